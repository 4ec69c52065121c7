"""What a system asks of a password is shown and checked before anything is set there."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import urlencode

import httpx2
import pytest

from keyback.application.passwords import system_rules
from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.storage import Tx
from keyback.domain.passwords.target_rules import TargetRules
from tests.support.browser import Browser, mailed
from tests.support.kit import Kit
from tests.support.steps import HERE, ask, drain
from tests.support.systems import two_systems

Make = Callable[..., Kit]
RULES = TargetRules(8, 24, frozenset({"class_upper", "class_digit"}), known="configured")
WEAK, GOOD = "supper ladder teapot", "Supper ladder teapot 7"
LONG = "Supper ladder teapot 7 and a few words more"


def recovering(kit: Kit) -> tuple[Browser, str, object]:
    """Somebody on the page where the new password is chosen, with a CRM that has rules of its own."""
    tray, crm, theirs = two_systems(kit)
    connector = kit.services.connectors["crm"]
    connector.rules = RULES  # type: ignore[attr-defined]
    kit.services = replace(kit.services, titles={"builtin": "Keyback", "crm": "Harbour"})
    started = ask(kit, "maya")
    browser = Browser(kit, started)
    browser.open(mailed(kit, tray, started.handle))
    browser("POST", "/link/accept")
    return browser, f"/r/{started.handle}", crm.user(theirs)


def sent(browser: Browser, at: str, password: str, accounts: Sequence[str] = ()) -> str:
    page = browser("GET", f"{at}?again=1").text
    fields = re.findall(r'name="(submission|accounts)" value="([^"]+)"', page)
    kept = [(n, v) for n, v in fields if n != "accounts" or not accounts or v in accounts]
    pairs = [*kept, ("new_password", password)]
    return html.unescape(browser("POST", f"{at}/password", urlencode(pairs)).text)


def live(browser: Browser, body: dict[str, str]) -> set[str]:
    """Codes that the live list gets for what was typed so far."""

    async def go() -> httpx2.Response:
        headers = {"cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies.items())}
        url = browser.kit.settings.public_url
        transport = httpx2.ASGITransport(app=browser.app, client=(HERE.source, 40000))
        async with httpx2.AsyncClient(transport=transport, base_url=url, headers={"origin": url}) as http:
            return await http.post("/passwords/check", json=body, headers=headers)

    return {v["code"] for v in browser.kit.run(go()).json()["violations"]}


def test_they_are_shown_before_anything_is_typed_under_the_systems_name(make_kit: Make) -> None:
    browser, at, _ = recovering(make_kit())
    page = html.unescape(browser("GET", at).text)
    for words in ("Harbour: At least 8 characters", "Harbour: A capital letter", "Harbour: A digit"):
        assert words in page


@pytest.mark.covers("E8")
def test_what_breaks_them_is_told_at_once_and_nothing_is_set(make_kit: Make) -> None:
    kit = make_kit()
    browser, at, user = recovering(kit)
    said = sent(browser, at, WEAK)
    assert "Harbour: No capital letter yet." in said
    assert "Harbour: No digit yet." in said
    drain(kit)
    assert user.changes == 0  # type: ignore[attr-defined]
    assert "Harbour: At most 24 characters" in sent(browser, at, LONG)
    sent(browser, at, GOOD)
    drain(kit)
    assert user.changes == 1  # type: ignore[attr-defined]


def test_a_system_that_was_not_chosen_asks_nothing(make_kit: Make) -> None:
    kit = make_kit()
    browser, at, user = recovering(kit)

    def own(tx: Tx) -> str:
        intake = tx.intakes.get(at.removeprefix("/r/"))
        case = tx.cases.get(intake.case_id if intake else "")
        assert case is not None
        return next(a.id for a in tx.people.accounts([case.person_id])[case.person_id] if a.system == "builtin")

    assert "Harbour: " not in sent(browser, at, WEAK, [kit.read(own)])
    drain(kit)
    assert user.changes == 0  # type: ignore[attr-defined]


def test_the_live_list_knows_them_for_whoever_proved_who_they_are(make_kit: Make) -> None:
    kit = make_kit()
    browser, at, _ = recovering(kit)
    assert {"crm_class_upper", "crm_class_digit"} <= live(browser, {"password": WEAK, "handle": at.removeprefix("/r/")})
    assert not [code for code in live(browser, {"password": WEAK}) if code.startswith("crm_")]


async def away(external_id: str | None = None) -> TargetRules | None:
    raise Unavailable("unavailable")


def test_a_system_that_is_away_holds_nobody_up(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = make_kit()
    browser, at, _ = recovering(kit)
    monkeypatch.setattr(system_rules, "PATIENCE_S", 0.05)
    connector = kit.services.connectors["crm"]
    monkeypatch.setattr(connector, "password_rules", away)
    assert "Harbour: " not in html.unescape(browser("GET", at).text)
    assert "Harbour: " not in sent(browser, at, WEAK)
