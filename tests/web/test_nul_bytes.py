"""A NUL byte in any field of any form, and in any text of the API: PostgreSQL keeps none, so none may get that far."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.enrolment import contacts
from keyback.application.signin.sessions import SignedIn
from keyback.application.signin.sign_in import SecondStep
from keyback.domain.tokens import token_digest
from keyback.storage.sql.schema import intakes
from keyback.web import intake
from keyback.web.app import openapi
from keyback.web.ui import forms
from tests.support.browser import call
from tests.support.enrolled import add_totp, person_id
from tests.support.forms import Site, filled
from tests.support.kit import Kit, person
from tests.support.steps import HERE, OLD, Tray, accept, ask, drain, fit, secrets_of, set_password, sign_in

Make = Callable[..., Kit]
NULS = ("\0", "before\0after")
# No urlencoded forms; the first is tried with the API, the second in tests/desk/test_documents.py.
NO_FORMS = {"/passwords/check", "/r/{handle}/document/image"}
ENDS = {"/account/lock", "/wasnt-me", "/sign-out", "/r/{handle}/cancel", "/link/stop", "/stop"}  # so they come last
WIDE = dict.fromkeys(("recoveries", "proofs", "sign_ins", "checks"), 10_000)


@pytest.fixture
def at(make_kit: Make, make_database: Callable[[str], str]) -> tuple[Kit, Tray]:
    """On PostgreSQL: SQLite takes a NUL for a letter like any other."""
    kit = make_kit(url=make_database("postgres"), limits=WIDE)
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    return kit, tray


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Names of the fields that a handler reads, as it says them."""
    names: list[tuple[str, ...]] = []
    real = forms.parse_form

    def parse(body: bytes, single: Any, many: Any = ()) -> dict[str, str]:
        names.append((*single, *many))
        return real(body, single, many)

    for module in (forms, intake):
        monkeypatch.setattr(module, "parse_form", parse)
    return names


def proven(kit: Kit, tray: Tray) -> Any:
    started = ask(kit, "maya")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    return started


def cookies(kit: Kit, tray: Tray) -> dict[str, str]:
    """Everything that a browser can hold: a session, a recovery that is proven, a mailed link, a sign-in half-way."""
    done = sign_in(kit, "maya", OLD)
    assert isinstance(done, SignedIn)
    other = ask(kit, "maya")
    drain(kit)
    link = secrets_of(tray.messages[-1])[0]
    held = proven(kit, tray)
    add_totp(kit)
    half = sign_in(kit, "maya", OLD)
    assert isinstance(half, SecondStep)
    kit.write(lambda tx: tx.sessions.prove(token_digest(done.token), "totp"))
    recovery = f"{held.handle}.{held.secret}~{other.handle}.{other.secret}"
    return {"session": done.token, "recovery": recovery, "link": link, "second": half.token, "ticket": "x" * 43}


@pytest.mark.slow
@pytest.mark.covers("B15", "L1")
def test_no_field_of_any_form_breaks_on_a_nul_byte(at: tuple[Kit, Tray], asked_for: list[tuple[str, ...]]) -> None:
    kit, tray = at
    site, given = Site(kit), cookies(kit, tray)
    pid = person_id(kit)
    new = kit.write(
        lambda tx: contacts.start(tx, tx.people.person(pid), "mail", "maya@example.net", "", HERE)  # type: ignore[arg-type]
    )
    values = {"handle": given["recovery"][:22], "id": new, "proof": "recovery_code"}
    every = {p for p, _ in site.posts()} | {p for p in site.app._hot if not p.startswith("/api/")}
    seen: dict[str, tuple[str, ...]] = {}
    broken = []
    for journey in ("password", "locked", "second_factor", "mailbox"):
        kit.write(lambda tx, j=journey: tx.conn.execute(intakes.update().values(journey=j)))
        for pattern in sorted(every - NO_FORMS, key=lambda p: (p in ENDS, p)):
            path = filled(pattern, **values)
            asked_for.clear()
            site.cookies = dict(given)
            site.post(path, **{"no such field": "x"})  # refused before anything happens, but says what is read
            fields = asked_for[0] if asked_for else ()
            if asked_for:
                seen[pattern] = fields
            for field in fields:
                for text in NULS:
                    site.cookies = dict(given)
                    status, _ = site.post(path, **{field: text})
                    if status >= 500:
                        broken.append((pattern, field, text, status))
    assert broken == []
    assert every - NO_FORMS == seen.keys(), "each handler read its form once"
    assert sum(map(len, seen.values())) > 40


@pytest.mark.covers("B15", "E8")
def test_a_password_with_a_nul_byte_is_refused_in_the_words_of_the_rules(at: tuple[Kit, Tray]) -> None:
    kit, tray = at
    site, typed = Site(kit), "nul\0 in the middle of it"
    done = sign_in(kit, "maya", OLD)
    assert isinstance(done, SignedIn)
    held = proven(kit, tray)
    kept = f"keyback-session={done.token}; keyback-recovery={held.handle}.{held.secret}"
    headers = {"sec-fetch-site": "same-origin", "accept-language": "en", "cookie": kept}
    form = {"new_password": typed}
    for path, more in (("/account/password", {"current_password": OLD.reveal()}), (f"/r/{held.handle}/password", {})):
        got = call(kit, site.app, "POST", path, data={**form, **more}, headers=headers)
        assert got.status_code == 422, path
        assert 'data-code="not_text"' in got.text, path
    for name, text in (("identifier", "maya\0"), ("password", typed)):
        wrong = {"identifier": "maya", "password": OLD.reveal(), name: text}
        assert site.post("/sign-in", **wrong) == (401, "")


@pytest.mark.slow
@pytest.mark.covers("B15", "L1")
def test_no_text_of_the_api_breaks_on_a_nul_byte(at: tuple[Kit, Tray]) -> None:
    kit, tray = at
    app, done = Site(kit).app, sign_in(kit, "maya", OLD)
    assert isinstance(done, SignedIn)
    held = proven(kit, tray)
    doc, tried = openapi(), 0
    in_path = defaultdict(lambda: "x", handle=held.handle, proof="recovery_code")
    for path, methods in doc["paths"].items():
        body = methods.get("post", {}).get("requestBody")
        if body is None:
            continue
        shape = doc["components"]["schemas"][body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        good = {k: shape["properties"][k].get("examples", ["x"])[0] for k in shape.get("required", ())}
        for name, field in shape["properties"].items():
            for text in NULS:
                sent = {**good, name: [text] if "array" in json.dumps(field) else text}
                for secret in (held.secret, done.token):
                    headers = {"sec-fetch-site": "same-origin", "authorization": f"Bearer {secret}"}
                    got = call(kit, app, "POST", "/api/v1" + path.format_map(in_path), json=sent, headers=headers)
                    assert got.status_code < 500, (path, name, text)
                    tried += 1
    assert tried > 30
