"""A whole recovery through the portal of a system that a recipe connects: an in-house CRM with a small JSON API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from keyback.application.ports.storage import ImportedAccount
from keyback.bootstrap import make_connector
from keyback.serving import _metrics
from keyback.settings import System
from keyback.testing.demo_crm import HISTORY, DemoCrm
from keyback.testing.serving import served
from tests.support.browser import Browser, choose, mailed
from tests.support.kit import Kit, person
from tests.support.rows import dump
from tests.support.steps import ask, fit

Make = Callable[..., Kit]
BEFORE, CHOSEN = "Summer-in-Lisbon-4711", "supper ladder teapot 7"
TOKEN = "a-token-of-the-crm-4711"


@pytest.fixture
def crm() -> DemoCrm:
    return DemoCrm(None, TOKEN)


@pytest.fixture
def url(crm: DemoCrm) -> Iterator[str]:
    with served(crm) as at:
        yield at


def recovering(kit: Kit, crm: DemoCrm, url: str, name: str, *, privileged: bool = False) -> tuple[Browser, str]:
    """Somebody with one login, in the CRM, on the page where the new password is chosen."""
    address = f"{name}@example.com"
    key = crm.add_user(name, address, name.title(), BEFORE, privileged=privileged)
    section = {"kind": "http", "title": "Harbour CRM", "url": url, "recipe": "demo", "secret": TOKEN}
    made = make_connector("crm", System.model_validate(section), kit.services.db, kit.services.gate)  # type: ignore[arg-type]
    tray = fit(kit, replace(person(name), mails=(address,), accounts=(ImportedAccount("crm", key, name),)))
    kit.services = replace(kit.services, connectors={"crm": made}, titles={"crm": "Harbour CRM"})
    started = ask(kit, name)
    browser = Browser(kit, started)
    browser.open(mailed(kit, tray, started.handle))
    browser("POST", "/link/accept")
    return browser, f"/r/{started.handle}"


@pytest.mark.covers("INV-I12", "E4")
def test_locked_is_let_in_by_the_new_password_alone_and_sessions_end(make_kit: Make, crm: DemoCrm, url: str) -> None:
    kit = make_kit()
    browser, at = recovering(kit, crm, url, "maya")
    assert crm.sign_in("maya", BEFORE)
    for _ in range(5):
        crm.sign_in("maya", "wrong")
    (maya,) = crm.users
    assert (maya.state, maya.sessions) == ("locked", 1)
    assert "Harbour CRM" in choose(kit, browser, at, CHOSEN)
    assert (maya.state, maya.sessions, maya.changes) == ("active", 0, 1)
    assert not crm.sign_in("maya", BEFORE)
    assert crm.sign_in("maya", CHOSEN)


@pytest.mark.covers("N18")
def test_what_the_crm_refuses_is_said_in_its_words_and_another_is_taken(make_kit: Make, crm: DemoCrm, url: str) -> None:
    kit = make_kit()
    browser, at = recovering(kit, crm, url, "lena")
    crm.broken = "policy"
    assert HISTORY in choose(kit, browser, at, CHOSEN)
    assert crm.sign_in("lena", BEFORE)
    crm.broken = ""
    choose(kit, browser, at, CHOSEN)
    assert crm.sign_in("lena", CHOSEN)


@pytest.mark.covers("N9")
def test_an_administrator_of_the_crm_is_left_alone(make_kit: Make, crm: DemoCrm, url: str) -> None:
    kit = make_kit()
    browser, at = recovering(kit, crm, url, "chief", privileged=True)
    page = browser("GET", at).text
    assert 'data-finding="privileged"' in page
    assert "new_password" not in page
    assert crm.sign_in("chief", BEFORE)


@pytest.mark.covers("N12")
def test_a_lost_answer_is_looked_into_and_nothing_is_set_twice(make_kit: Make, crm: DemoCrm, url: str) -> None:
    kit = make_kit()
    browser, at = recovering(kit, crm, url, "omar")
    crm.broken = "drop_reply_after_apply"
    choose(kit, browser, at, CHOSEN)
    assert crm.user("1").changes == 1
    assert crm.sign_in("omar", CHOSEN)


class Parrot:
    """Refuses every password, and says everything that was sent to it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self.heard = app, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].endswith("/password"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        said = f"{dict(request.headers)} {(await request.body()).decode()}"
        self.heard += CHOSEN in said and TOKEN in said
        await JSONResponse({"error": "weak_password", "text": said}, 422)(scope, receive, send)


@pytest.mark.covers("N10")
def test_what_a_hostile_system_repeats_is_on_no_page_and_in_no_row_log_or_metric(
    make_kit: Make, crm: DemoCrm, caplog: pytest.LogCaptureFixture
) -> None:
    kit, parrot = make_kit(), Parrot(crm)
    with served(parrot) as url, caplog.at_level("DEBUG"), capture_logs() as logs:
        browser, at = recovering(kit, crm, url, "maya")
        pages = choose(kit, browser, at, CHOSEN) + browser("GET", f"{at}/diagnosis").text
    assert parrot.heard, "the password never got there"
    assert crm.sign_in("maya", BEFORE)
    seen: dict[str, Any] = {
        "pages": pages, "rows": dump(kit.services.db), "logs": caplog.text + str(logs),  # type: ignore[arg-type]
        "metrics": kit.run(_metrics(kit.services, None).text()).decode(),
    }  # fmt: skip
    for place, text in seen.items():
        assert text
        assert not [s for s in (CHOSEN, quote(CHOSEN), TOKEN) if s in text], place
