"""What pages have in common has one home: who may see them, how forms are read, how often something is done."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

import pytest
from starlette.routing import Route, compile_path

from keyback.web.account import sign_in
from keyback.web.portal import link, methods, password, recovery, recovery_contact, remedy, system_factors
from tests.support.reach import SOURCE

ROOMS = (SOURCE / "web" / "portal", SOURCE / "web" / "account")
# Forms that answer in their own way where there were too many, or read something else than a form.
LIMITED_THEMSELVES = {
    "document.upload",
    "identity.go",
    "identity.back",
    "sign_in_with.go",
    "sign_in_with.back",
    "sign_in.sign_in",
    "second_step.by_passkey",
    "password.live_check",
}
READ_THEMSELVES = {"sign_in.sign_out"}  # which signs out without a session, too


def calls() -> Iterator[tuple[str, ast.Call]]:
    for room in ROOMS:
        for path in sorted(room.glob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)):
                for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
                    yield f"{path.stem}.{function.name}", call


def named(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


@pytest.mark.slow
def test_limits_and_forms_have_one_home() -> None:
    assert {where for where, call in calls() if named(call) == "allows"} == LIMITED_THEMSELVES
    assert {where for where, call in calls() if named(call) == "read_form"} == READ_THEMSELVES
    assert {where for where, call in calls() if named(call) == "ErrorPage"} == set()


@pytest.mark.covers("D8", "INV-I10")
def test_every_form_of_portal_and_account_is_made_by_the_decorator() -> None:
    rooms = (sign_in, link, methods, password, recovery, recovery_contact, remedy, system_factors)
    posts = [r for m in rooms for r in m.ROUTES if isinstance(r, Route) and "POST" in (r.methods or ())]
    assert len(posts) > 30
    plain = {r.endpoint.__name__ for r in posts if inspect.unwrap(r.endpoint) is r.endpoint}
    assert plain == {"sign_out", "live_check"}


def test_a_page_that_watches_goes_back_to_an_address_that_shows_it() -> None:
    """Its own may take forms alone: a refused answer that was shown there could not be loaded again."""
    routes = (*recovery.ROUTES, *methods.ROUTES)
    shown = [compile_path(r.path)[0] for r in routes if r.methods and "GET" in r.methods]
    watched = []
    for template in (SOURCE / "web" / "portal" / "templates").glob("*.html"):
        text = template.read_text("utf-8")
        for tag in re.findall(r"\{% block main_attributes %\}(.*?)\{% endblock %\}", text):
            at = re.search(r'data-page="([^"]+)"', tag) or re.search(r'data-status-url="(/[^"]+)/status"', tag)
            if at:
                watched.append(template.stem)
                address = re.sub(r"\{\{.*?\}\}", "x", at[1])
                assert any(p.fullmatch(address) for p in shown), (template.stem, address)
    assert {"waiting", "way", "ways", "held", "results"} <= set(watched)
