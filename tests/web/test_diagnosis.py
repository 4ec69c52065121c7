"""The login doctor: what it finds, what it costs, and that nobody learns anything from it who has not verified."""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import pytest

from keyback.application.asking import ask_each
from keyback.application.doctor import diagnosis, preflight
from keyback.application.doctor.diagnosis import stale_sources
from keyback.application.doctor.preflight import IN_VAIN
from keyback.application.ports.connectors import (
    Activity,
    Capabilities,
    Finding,
    FoundAccount,
    Means,
    Outcome,
    Plan,
    SignIn,
    Step,
    Unavailable,
)
from keyback.application.ports.storage import ImportedAccount
from keyback.connectors.base import ConnectorBase
from keyback.domain.people.person import Account
from tests.support.browser import Browser
from tests.support.kit import Kit, person
from tests.support.steps import NEW, Tray, accept, ask, case_of, drain, fit, secrets_of

Make = Callable[..., Kit]


@dataclass
class Asked(ConnectorBase):
    """A system that says what it is told to say, and remembers that it was asked."""

    name: str
    says: Sequence[Finding] | Exception = ()
    hangs: bool = False
    history: Sequence[SignIn] = ()
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    has: Sequence[FoundAccount] = ()
    sought: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.title = self.name.title()
        self.url = f"https://{self.name}.example.com/"
        read, means = Means.NATIVE, Means.NATIVE if self.history else Means.NONE
        self.capabilities = Capabilities(lookup=read, status=read, set_password=read, unlock=read, activity=means)

    async def diagnose(self, username: str, external_id: str | None = None) -> Sequence[Finding]:
        self.asked.append((username, external_id))
        if self.hangs:
            await asyncio.Event().wait()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        self.sought.append(identifier)
        return [a for a in self.has if identifier in (a.username, a.mail)]

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        self.planned.append(plan.external_id)
        return [Outcome(Step.SET, "done")]

    async def activity(self, external_id: str) -> Activity | None:
        return Activity(tuple(self.history))


def ailing(make_kit: Make, *systems: Asked, who: str = "maya", **more: Any) -> tuple[Kit, Tray]:
    """Somebody with an account in each of these systems."""
    kit = make_kit()
    accounts = tuple(ImportedAccount(c.name, f"id-{c.name}", f"{who}@{c.name}", **more) for c in systems)
    tray = fit(kit, replace(person(who), accounts=accounts), person("omar"))
    connectors = {**kit.services.connectors, **{c.name: c for c in systems}}
    titles = {**kit.services.titles, **{c.name: c.title for c in systems}}
    kit.services = replace(kit.services, connectors=connectors, titles=titles)
    return kit, tray


def verified(kit: Kit, tray: Tray, journey: str = "still_locked_out") -> tuple[Browser, str]:
    """The browser of somebody who asked and opened the link."""
    started = ask(kit, "maya@example.com", journey=journey)
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    return Browser(kit, started), f"/r/{started.handle}"


def text_of(browser: Browser, at: str) -> str:
    answer = browser("GET", at)
    assert answer.status_code == 200, answer.headers
    return html.unescape(answer.text)


def states(text: str) -> dict[str, str]:
    """What the page says of each system, by its title."""
    rows = re.findall(r'data-state="(\w+)".*?class="system-name">([^<]+)<', text, re.S)
    return {title: state for state, title in rows}


def findings(text: str) -> list[str]:
    return re.findall(r'data-finding="(\w+)"', text)


@pytest.mark.covers("N18")
def test_the_page_says_what_each_system_says_and_changes_nothing(make_kit: Make) -> None:
    frozen, fine = Asked("ridge", [Finding("frozen", "by admin 4711")]), Asked("tide")
    mute = Asked("mute")
    mute.capabilities = Capabilities(set_password=Means.GUIDED)
    kit, tray = ailing(make_kit, frozen, fine, mute)
    browser, at = verified(kit, tray)
    text = text_of(browser, at)
    assert states(text) == {"Ridge": "found", "Tide": "fine", "Mute": "silent"}
    assert findings(text) == ["frozen"]
    assert "frozen this account" in text
    assert "4711" not in text  # that is for operators
    assert frozen.asked == [("maya@ridge", "id-ridge")]
    assert mute.asked == []
    for check in ("An old password is saved", "Caps Lock", "Old cookies", "sandbox"):
        assert check in text
    assert 'href="https://ridge.example.com/"' in text
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    noted = [r["data"] for r in kit.read(lambda tx: tx.audit.rows(limit=1000)) if r["type"] == diagnosis.NOTE]
    assert "by admin 4711" in str(noted)
    text_of(browser, at)
    again = [r for r in kit.read(lambda tx: tx.audit.rows(limit=1000)) if r["type"] == diagnosis.NOTE]
    assert len(again) == 1  # the log says the same already


@pytest.mark.covers("A1", "A2")
def test_nobody_learns_anything_before_verifying(make_kit: Make) -> None:
    system = Asked("ridge", [Finding("frozen")])
    kit, _ = ailing(make_kit, system)
    known, unknown = (ask(kit, who, journey="still_locked_out") for who in ("maya@example.com", "nobody"))
    drain(kit)
    seen = []
    for started in (known, unknown):
        browser, at = Browser(kit, started), f"/r/{started.handle}"
        led_back = browser("GET", f"{at}/diagnosis")
        assert (led_back.status_code, led_back.headers["location"]) == (303, at)
        seen.append(re.sub(r"\b\d\d\b", "", browser("GET", at).text.replace(started.handle, "H")))
    assert seen[0] == seen[1]
    assert system.asked == []
    assert Browser(kit)("GET", f"/r/{known.handle}/diagnosis").status_code == 403


@pytest.mark.covers("N1")
def test_a_system_that_hangs_or_breaks_is_named_and_the_others_answer(
    make_kit: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "PATIENCE_S", 0.05)
    monkeypatch.setattr(diagnosis, "AGAIN_S", 0.05)
    systems = (
        Asked("hangs", hangs=True), Asked("away", Unavailable("unavailable")), Asked("bad", ZeroDivisionError()),
        Asked("ridge", [Finding("locked")]),
    )  # fmt: skip
    kit, tray = ailing(make_kit, *systems)
    browser, at = verified(kit, tray)
    text = text_of(browser, at)
    assert states(text) == {"Hangs": "slow", "Away": "slow", "Bad": "slow", "Ridge": "found"}
    assert "didn’t answer in time" in text
    systems[0].hangs = False
    assert states(text_of(browser, f"{at}?again=1"))["Hangs"] == "fine"


@pytest.mark.covers("N1")
def test_all_are_asked_at_once() -> None:
    """Each waits for all the others, so that asking one after the other would never end."""

    accounts, connectors = many(8)

    async def go() -> list[str]:
        here = asyncio.Barrier(8)

        async def wait(_: Any, account: Account) -> str:
            await here.wait()
            return account.system

        return [x.value or "" for x in await ask_each(connectors, accounts, wait, 60)]

    assert asyncio.run(go()) == [a.system for a in accounts]


def test_what_cannot_be_cancelled_holds_up_nobody() -> None:
    accounts, connectors = many(2)

    async def go() -> list[str]:
        over = asyncio.Event()

        async def ask(_: Any, account: Account) -> str:
            while account.system == "s0" and not over.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await over.wait()
            return "here"

        said = [x.silence or x.value or "" for x in await ask_each(connectors, accounts, ask, 0.05)]
        over.set()
        return said

    assert asyncio.run(go()) == ["slow", "here"]


def many(n: int) -> tuple[list[Account], dict[str, Any]]:
    """Accounts in so many systems."""
    names = [f"s{i}" for i in range(n)]
    return [Account(x, "p", x, x, x) for x in names], {x: Asked(x) for x in names}


def failed(at: int, source: str = "203.0.113.9", client: str = "Mail on a phone", ok: bool = False) -> SignIn:
    return SignIn(at, ok, source, client)


def test_a_device_that_keeps_an_old_password_is_found(make_kit: Make) -> None:
    history = [failed(n) for n in range(9, 1, -1)] + [failed(1, "198.51.100.1", "Browser", ok=True)]
    kit, tray = ailing(make_kit, Asked("ridge", history=history))
    browser, at = verified(kit, tray)
    text = text_of(browser, at)
    assert findings(text) == ["stale_password"]
    assert "203.0.113.9" in text
    assert "8 times" in text


def test_slips_of_the_finger_and_what_was_mended_are_no_stale_password() -> None:
    assert stale_sources([failed(2), failed(1)]) == ()
    assert stale_sources([failed(9, ok=True), *(failed(n) for n in range(8))]) == ()
    assert stale_sources([failed(n, f"203.0.113.{n}") for n in range(9)]) == ()
    (found,) = stale_sources([failed(n) for n in range(1, 6)])
    assert (found.count, found.last) == (5, 5)


def test_whoever_signs_in_elsewhere_only_gets_the_page_too(make_kit: Make) -> None:
    kit, tray = ailing(make_kit, Asked("ridge", [Finding("not_found")]), provider="Harbour ID")
    browser, at = verified(kit, tray)
    text = text_of(browser, at)
    assert findings(text) == ["sso_only"]
    assert "?new=1" not in text


def test_the_page_leads_to_a_new_password_and_back(make_kit: Make) -> None:
    kit, tray = ailing(make_kit, Asked("ridge", [Finding("locked")]))
    browser, at = verified(kit, tray)
    assert f'href="{at}?new=1"' in text_of(browser, at)
    assert 'name="new_password"' in browser("GET", f"{at}?new=1").text


@pytest.mark.covers("N18")
def test_a_page_that_is_done_still_leads_to_the_doctor_for_an_hour(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    browser, at = verified(kit, tray, "password")
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    sent = f"new_password={NEW.reveal()}&submission=s1&accounts={case.accounts[0]}"
    assert browser("POST", f"{at}/password", sent.replace(" ", "+")).status_code == 303
    drain(kit)
    assert f'href="{at}/diagnosis"' in text_of(browser, at)
    assert states(text_of(browser, f"{at}/diagnosis")) == {"Keyback": "fine"}
    kit.clock.forward(minutes=61)
    assert browser("GET", f"{at}/diagnosis").status_code == 303


@pytest.mark.covers("N18")
def test_a_page_that_only_unlocked_leads_to_the_doctor_too(make_kit: Make) -> None:
    ridge = Asked("ridge", [Finding("wrong_host")])
    kit, tray = ailing(make_kit, ridge)
    browser, at = verified(kit, tray, "locked")
    assert browser("POST", f"{at}/unlock").status_code == 303
    done = text_of(browser, at)
    assert "Your account is unlocked" in done
    assert f'href="{at}/diagnosis"' in done
    assert findings(text_of(browser, f"{at}/diagnosis")) == ["wrong_host"]
    kit.clock.forward(minutes=61)
    assert browser("GET", f"{at}/diagnosis").status_code == 303
    assert "/diagnosis" not in text_of(browser, at), "the link would lead back here"


@pytest.mark.covers("N18")
def test_a_page_that_only_unlocked_says_nothing_once_something_else_happened(make_kit: Make) -> None:
    kit, tray = ailing(make_kit, Asked("ridge"))
    browser, at = verified(kit, tray, "locked")
    browser("POST", f"{at}/unlock")
    kit.clock.forward(minutes=3)
    later, there = verified(kit, tray, "password")
    (account,) = form_of(text_of(later, there))["accounts"]
    assert send(later, there, [account]).status_code == 303
    assert browser("GET", f"{at}/diagnosis").status_code == 303
    assert "/diagnosis" not in text_of(browser, at)


def test_asking_has_an_end(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "PER_HOUR", 2)
    system = Asked("ridge")
    kit, tray = ailing(make_kit, system)
    browser, at = verified(kit, tray)
    answers = [browser("GET", at).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    assert len(system.asked) == 2


# ── before a new password ───────────────────────────────────────────────────


def form_of(text: str) -> dict[str, list[str]]:
    """Names and values of the hidden fields and boxes of the form for a new password."""
    out: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="(submission|accounts)" value="([^"]*)"', text):
        out.setdefault(name, []).append(value)
    return out


def send(browser: Browser, at: str, accounts: Sequence[str]) -> Any:
    words = NEW.reveal()
    sent = [("new_password", words), ("submission", "s1")]
    return browser("POST", f"{at}/password", urlencode([*sent, *(("accounts", a) for a in accounts)]))


@pytest.mark.covers("N18", "INV-I12")
def test_what_a_new_password_opens_nothing_in_is_said_before_and_not_set(make_kit: Make) -> None:
    frozen, fine = Asked("ridge", [Finding("frozen")]), Asked("tide", [Finding("no_license")])
    kit, tray = ailing(make_kit, frozen, fine)
    browser, at = verified(kit, tray, "password")
    text = text_of(browser, at)
    assert findings(text) == ["no_license", "frozen"]
    (settable,) = form_of(text)["accounts"]
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    (held_back,) = set(case.accounts) - {settable}
    for accounts in ([held_back], [held_back, settable]):
        again = send(browser, at, accounts)
        assert again.status_code == 422
        assert "can’t take a new password" in html.unescape(again.text)
    drain(kit)
    assert (frozen.planned, fine.planned) == ([], [])
    assert send(browser, at, [settable]).status_code == 303
    drain(kit)
    assert (frozen.planned, fine.planned) == ([], ["id-tide"])


@pytest.mark.slow
@pytest.mark.covers("N18")
@pytest.mark.parametrize("code", sorted(IN_VAIN | {"privileged"}))
def test_where_nothing_can_be_set_there_is_no_form(make_kit: Make, code: Any) -> None:
    kit, tray = ailing(make_kit, Asked("ridge", [Finding(code)]))
    browser, at = verified(kit, tray, "password")
    text = text_of(browser, at)
    assert "new_password" not in text
    assert findings(text) == [code]
    assert f'href="{at}/diagnosis"' in text


@pytest.mark.covers("N1")
def test_a_system_that_hangs_is_set_all_the_same(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "PATIENCE_S", 0.05)
    slow = Asked("ridge", hangs=True)
    kit, tray = ailing(make_kit, slow)
    browser, at = verified(kit, tray, "password")
    accounts = form_of(text_of(browser, at))["accounts"]
    assert send(browser, at, accounts).status_code == 303
    drain(kit)
    assert slow.planned == ["id-ridge"]


def test_what_is_kept_elsewhere_is_named_beside_the_form(make_kit: Make) -> None:
    kit, tray = ailing(make_kit, Asked("ridge"))
    elsewhere = ImportedAccount("builtin", "maya-sso", "maya.sso", provider="Harbour ID")
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), accounts=(
        ImportedAccount("ridge", "id-ridge", "maya@ridge"), elsewhere))]))  # fmt: skip
    browser, at = verified(kit, tray, "password")
    text = text_of(browser, at)
    assert findings(text) == ["sso_only"]
    assert len(form_of(text)["accounts"]) == 1


def disabled(kit: Kit, system: str, also: str) -> None:
    """Disables one of maya's two accounts."""
    off = ImportedAccount(system, f"id-{system}", f"maya@{system}", state="disabled")
    other = ImportedAccount(also, f"id-{also}", f"maya@{also}")
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), accounts=(off, other))]))


@pytest.mark.covers("N18", "A1")
def test_a_disabled_account_is_named_beside_the_form_with_what_to_do(make_kit: Make) -> None:
    ridge, tide = Asked("ridge"), Asked("tide")
    kit, tray = ailing(make_kit, ridge, tide)
    disabled(kit, "ridge", also="tide")
    started = ask(kit, "maya@example.com")
    drain(kit)
    before = Browser(kit, started)("GET", f"/r/{started.handle}").text
    assert "ridge" not in before.lower(), "nothing of it before verification"
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    text = text_of(browser, at)
    assert findings(text) == ["inactive"]
    assert "maya@ridge" in text
    assert "Ask the help desk to reactivate it" in text
    assert len(form_of(text)["accounts"]) == 1
    off = kit.read(lambda tx: tx.people.account_by_external_id("ridge", "id-ridge"))
    assert off is not None
    assert send(browser, at, [off.id]).status_code in (303, 422)
    drain(kit)
    assert ridge.planned == []


def with_home(make_kit: Make, code: Any) -> tuple[Kit, Tray, Asked, Asked]:
    """Somebody whose account in Ridge has its password in Tide."""
    ridge, tide = Asked("ridge", [Finding(code, "Corporate directory")]), Asked("tide")
    kit, tray = ailing(make_kit, ridge, tide)
    kit.services = replace(kit.services, passwords_in={"ridge": "tide"})
    return kit, tray, ridge, tide


@pytest.mark.slow
@pytest.mark.covers("N18")
@pytest.mark.parametrize("code", sorted(diagnosis.ELSEWHERE))
def test_where_the_password_is_kept_is_one_step_away(make_kit: Make, code: Any) -> None:
    kit, tray, ridge, tide = with_home(make_kit, code)
    browser, at = verified(kit, tray)
    text = text_of(browser, at)
    assert findings(text) == [code]
    assert "Choose a new password for Tide (maya@tide)" in text
    home = kit.read(lambda tx: tx.people.account_by_external_id("tide", "id-tide"))
    assert home is not None
    there = f"{at}?new=1&account={home.id}"
    assert f'href="{there}"' in text
    assert "Corporate directory" not in text
    form = text_of(browser, there)
    assert form_of(form)["accounts"] == [home.id]
    assert "Choose a new password for Tide (maya@tide)" in form, "the page of the form says it, too"
    assert send(browser, at, [home.id]).status_code == 303
    drain(kit)
    assert (ridge.planned, tide.planned) == ([], ["id-tide"])


@pytest.mark.covers("N18")
def test_without_an_account_where_the_password_is_kept_nothing_is_promised(make_kit: Make) -> None:
    kit, tray, _, _ = with_home(make_kit, "synced_elsewhere")
    disabled(kit, "tide", also="ridge")
    browser, at = verified(kit, tray)
    text = text_of(browser, at)
    assert "Choose a new password for" not in text
    assert "or reset that one" in text
    kit, tray, _, _ = with_home(make_kit, "synced_elsewhere")
    kit.services = replace(kit.services, passwords_in={})
    browser, at = verified(kit, tray)
    assert "Choose a new password for" not in text_of(browser, at)


def test_whoever_asked_for_the_system_finds_where_it_is_kept_selected(make_kit: Make) -> None:
    kit, tray, _, _ = with_home(make_kit, "synced_elsewhere")
    other = ImportedAccount("demo", "id-demo", "maya@demo")
    mine = [ImportedAccount(x, f"id-{x}", f"maya@{x}") for x in ("ridge", "tide")]
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), accounts=(*mine, other))]))
    started = ask(kit, "maya@example.com", system="ridge")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    text = text_of(Browser(kit, started), f"/r/{started.handle}")
    assert len(form_of(text)["accounts"]) == 2
    home = kit.read(lambda tx: tx.people.account_by_external_id("tide", "id-tide"))
    assert home is not None
    assert re.findall(r'name="accounts" value="([^"]*)" checked', text) == [home.id]


def at_another(make_kit: Make, *has: FoundAccount, system: str = "sandbox") -> tuple[Asked, Browser, str]:
    """Somebody with an account in Ridge who asked for a system of another name."""
    ridge, sandbox = Asked("ridge"), Asked("sandbox", has=has)
    kit, tray = ailing(make_kit, ridge)
    connectors = {**kit.services.connectors, "sandbox": sandbox}
    kit.services = replace(
        kit.services, connectors=connectors, titles={**kit.services.titles, "sandbox": "Ridge sandbox"}
    )
    started = ask(kit, "maya@example.com", journey="still_locked_out", system=system)
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    return sandbox, Browser(kit, started), f"/r/{started.handle}"


@pytest.mark.covers("N18")
def test_whoever_asked_for_a_system_without_an_account_of_theirs_is_at_the_wrong_host(make_kit: Make) -> None:
    sandbox, browser, at = at_another(make_kit)
    text = text_of(browser, at)
    assert states(text) == {"Ridge sandbox": "found", "Ridge": "fine"}
    assert findings(text) == ["wrong_host"]
    assert sorted(sandbox.sought) == ["maya@example.com", "maya@ridge"]
    assert sandbox.asked == []
    assert 'href="https://ridge.example.com/"' in text
    assert 'href="https://sandbox.example.com/"' not in text, "it leads to where the account is"


@pytest.mark.covers("N18")
def test_an_account_that_was_only_never_imported_is_no_wrong_host(make_kit: Make) -> None:
    _, browser, at = at_another(make_kit, FoundAccount("x1", "maya.uat", "maya@example.com"))
    assert findings(text_of(browser, at)) == []
    sandbox, browser, at = at_another(make_kit, system="ridge")
    assert findings(text_of(browser, at)) == []
    assert sandbox.sought == []


def test_a_lost_second_step_stands_beside_the_form_and_leads_to_its_replacement(make_kit: Make) -> None:
    ridge = Asked("ridge", [Finding("factor_lost", "its code failed 4 times")])
    kit, tray = ailing(make_kit, ridge)
    browser, at = verified(kit, tray)
    text = text_of(browser, at)
    assert findings(text) == ["factor_lost"]
    assert "Ask the help desk to replace it" in text, "nothing here replaces it"
    ridge.capabilities = replace(ridge.capabilities, temporary_pass=Means.NATIVE)
    text = text_of(browser, at)
    assert f'action="{at}/second-step"' in text
    assert "help desk to replace" not in text
    assert "Can’t get the second code" not in text, "that is known already"
    form = text_of(browser, f"{at}?new=1")
    assert findings(form) == ["factor_lost"]
    assert len(form_of(form)["accounts"]) == 1
