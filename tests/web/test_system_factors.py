"""A second step that was lost in a system: what it takes, who is told, and that a pass is kept nowhere."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from keyback.application.doctor import system_factor
from keyback.application.ports.connectors import (
    Capabilities,
    Finding,
    Means,
    Outcome,
    Step,
    SystemFactor,
    TemporaryPass,
    Unavailable,
)
from keyback.application.ports.storage import ImportedAccount
from keyback.application.recovery import evidence
from keyback.connectors.base import ConnectorBase
from keyback.domain.challenges import challenge as ch
from keyback.domain.secret import Secret
from tests.support.browser import Browser
from tests.support.enrolled import add_codes, answer_way, ask_way
from tests.support.kit import Kit, person
from tests.support.steps import HERE, Tray, accept, ask, case_of, drain, fit, secrets_of, types

Make = Callable[..., Kit]
PASS = "Kanarienvogel-4711"


@dataclass
class Tide(ConnectorBase):
    """A system with second steps; what it is asked to do is kept."""

    removed: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    away: bool = False
    passes: int = 0
    says: Sequence[Finding] = ()

    def __post_init__(self) -> None:
        self.name, self.title = "tide", "Tide"
        means = Means.NATIVE
        self.capabilities = Capabilities(lookup=means, set_password=means, reset_factor=means, temporary_pass=means)

    async def diagnose(self, username: str, external_id: str | None = None) -> Sequence[Finding]:
        return self.says

    async def factors(self, external_id: str) -> Sequence[SystemFactor]:
        if self.away:
            raise Unavailable("unavailable")
        kept = (SystemFactor("app-1", "totp", "Old phone", True), SystemFactor("key-1", "passkey", "Key", False))
        return tuple(f for f in kept if f.id not in self.removed)

    async def reset_factor(self, external_id: str, factor: str, *, allow_privileged: bool = False) -> Outcome:
        assert not allow_privileged
        self.removed.append(factor)
        return self.outcome or Outcome(Step.FACTOR, "done")

    async def temporary_pass(
        self, external_id: str, minutes: int, *, allow_privileged: bool = False
    ) -> TemporaryPass | Outcome:
        assert not allow_privileged
        self.passes += 1
        return self.outcome or TemporaryPass(Secret(PASS), 1_900_000_000_000, True)


def locked_out(make_kit: Make, *, codes: bool = True, **account: Any) -> tuple[Kit, Tray, Tide, Browser, str, str]:
    """Maya on the doctor's page, verified by mail; the last two are her page and a saved code."""
    kit = make_kit()
    tide = Tide()
    accounts = (ImportedAccount("tide", "id-1", "maya@tide", **account),)
    tray = fit(kit, replace(person("maya"), accounts=accounts), person("omar"))
    kit.services = replace(
        kit.services,
        connectors={**kit.services.connectors, "tide": tide},
        titles={**kit.services.titles, "tide": "Tide"},
    )
    code = _codes(kit)[0] if codes else ""
    started = ask(kit, "maya@example.com", journey="still_locked_out")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    return kit, tray, tide, Browser(kit, started), f"/r/{started.handle}", code


def _codes(kit: Kit) -> list[str]:
    return add_codes(kit)


def account_in(text: str) -> str:
    found = re.search(r'name="account" value="([^"]+)"', text)
    assert found, text
    return found[1]


def go_on(kit: Kit, browser: Browser, at: str) -> str:
    """Presses "Replace the second step"; the address of the page that it leads to."""
    account = account_in(browser("GET", at).text)
    led = browser("POST", f"{at}/second-step", f"account={account}")
    assert led.status_code == 303
    return led.headers["location"]


def through(kit: Kit, browser: Browser, at: str, code: str) -> str:
    """Everything that it takes: one more method, and the wait."""
    new = go_on(kit, browser, at)
    handle = new.removeprefix("/r/")
    ask_way(kit, handle, "recovery_code")
    assert answer_way(kit, handle, "recovery_code", code) == "accepted"
    kit.clock.forward(minutes=16)
    kit.write(evidence.release)
    return new


def said(browser: Browser, path: str, **values: str) -> tuple[int, str]:
    answer = browser("POST", path, urlencode(values))
    return answer.status_code, html.unescape(answer.text)


@pytest.mark.covers("O-M1", "N-R11")
def test_mail_alone_removes_nothing_and_more_waits_first(make_kit: Make) -> None:
    kit, tray, tide, browser, at, code = locked_out(make_kit)
    account = account_in(browser("GET", at).text)
    for page in (at, go_on(kit, browser, at)):
        assert said(browser, f"{page}/system-factors", account=account, factor="app-1")[0] == 303
        assert said(browser, f"{page}/temporary-pass", account=account)[0] == 303
        assert browser("GET", f"{page}/system-factors").status_code == 303
    new = go_on(kit, browser, at)
    handle = new.removeprefix("/r/")
    ask_way(kit, handle, "recovery_code")
    assert answer_way(kit, handle, "recovery_code", code) == "accepted"
    case = case_of(kit, handle)
    assert case is not None
    assert case.hold_of(handle)  # the policy's wait, and every contact is told
    assert said(browser, f"{new}/temporary-pass", account=account)[0] == 303
    assert (tide.removed, tide.passes) == ([], 0)
    drain(kit)
    assert "hold" in {str(x.kind) for x in tray.messages}


@pytest.mark.covers("O-M1")
def test_a_lost_app_is_removed_and_every_contact_is_told(make_kit: Make) -> None:
    kit, tray, tide, browser, at, code = locked_out(make_kit)
    page = through(kit, browser, at, code)
    text = html.unescape(browser("GET", page).text)
    assert "Old phone" in text
    account = account_in(text)
    assert said(browser, f"{page}/system-factors", account=account, factor="key-1")[0] == 422
    assert tide.removed == []  # which only an administrator may
    assert said(browser, f"{page}/system-factors", account=account, factor="app-2")[0] == 422
    assert tide.removed == []
    status, text = said(browser, f"{page}/system-factors", account=account, factor="app-1")
    assert (status, tide.removed) == (200, ["app-1"])
    assert "Old phone" not in text
    drain(kit)
    assert "system_factor_removed" in {getattr(x.content, "what", "") for x in tray.messages}
    noted = types(kit)
    assert noted.index("system_factor_asked") < noted.index("system_factor_removed")
    assert noted.count("system_factor_refused") == 2


@pytest.mark.covers("N12")
def test_a_time_out_after_the_removal_is_not_called_a_failure(make_kit: Make) -> None:
    kit, _, tide, browser, at, code = locked_out(make_kit)
    page = through(kit, browser, at, code)
    tide.outcome = Outcome(Step.FACTOR, "uncertain", "unavailable")
    status, text = said(
        browser, f"{page}/system-factors", account=account_in(browser("GET", page).text), factor="app-1"
    )
    assert status == 422
    assert "Not sure yet" in text
    assert "system_factor_removed" in types(kit)


@pytest.mark.covers("A-16.2.5")
def test_a_pass_is_shown_once_and_kept_nowhere(make_kit: Make, caplog: pytest.LogCaptureFixture) -> None:
    kit, tray, tide, browser, at, code = locked_out(make_kit)
    page = through(kit, browser, at, code)
    account = account_in(browser("GET", page).text)
    answer = browser("POST", f"{page}/temporary-pass", f"account={account}")
    assert PASS in answer.text
    assert "no-store" in answer.headers["cache-control"]
    assert PASS not in browser("GET", page).text
    drain(kit)
    assert "temporary_pass_given" in {getattr(x.content, "what", "") for x in tray.messages}
    assert PASS not in str([x.content for x in tray.messages])
    assert PASS not in caplog.text
    assert PASS not in str(kit.read(lambda tx: tx.audit.rows(limit=1000)))
    for _ in range(system_factor.PER_HOUR):
        status, text = said(browser, f"{page}/temporary-pass", account=account)
    assert status == 429
    assert PASS not in text
    assert tide.passes < system_factor.PER_HOUR + 1


def test_an_administrators_second_step_is_left_alone(make_kit: Make) -> None:
    kit, _, tide, browser, at, _ = locked_out(make_kit)
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    (account,) = case.accounts
    refused = Outcome(Step.FACTOR, "refused", "privileged_target")
    page = through(kit, browser, at, _codes(kit)[0])
    tide.outcome = refused
    assert said(browser, f"{page}/system-factors", account=account, factor="app-1")[0] == 422
    assert "system_factor_removed" not in types(kit)
    now = ImportedAccount("tide", "id-1", "maya@tide", privileged=True)
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), accounts=(now,))]))
    before = tide.passes
    said(browser, f"{page}/temporary-pass", account=account)
    assert tide.passes == before


def test_a_system_that_is_away_says_so(make_kit: Make) -> None:
    kit, _, tide, browser, at, code = locked_out(make_kit)
    page = through(kit, browser, at, code)
    account = account_in(browser("GET", page).text)
    tide.away = True
    status, text = said(browser, f"{page}/system-factors", account=account, factor="app-1")
    assert status == 422
    assert "couldn’t reach" in text
    assert tide.removed == []


@pytest.mark.covers("A1")
def test_another_persons_account_is_no_account(make_kit: Make) -> None:
    kit, _, tide, browser, at, code = locked_out(make_kit)
    page = through(kit, browser, at, code)
    other = kit.read(lambda tx: tx.people.account_by_external_id("builtin", "omar"))
    assert other is not None
    assert said(browser, f"{page}/temporary-pass", account=other.id)[0] == 422
    assert browser("POST", f"{at}/second-step", f"account={other.id}").headers["location"] == at
    assert tide.passes == 0


@pytest.mark.covers("O-M1", "B1")
def test_the_same_over_the_api(make_kit: Make) -> None:
    kit, _, tide, browser, at, code = locked_out(make_kit)
    held = kit.run(_secret(kit, at.removeprefix("/r/")))
    status, found = call(browser, "GET", at, held, "/diagnosis")
    assert status == 200
    (row,) = found["accounts"]
    assert (row["state"], row["takes_password"], row["second_step"]) == ("fine", True, True)
    assert [c["code"] for c in found["checks"]] == ["saved_password", "autofill", "keyboard", "cookies", "address"]
    account = f"/accounts/{row['account_id']}"
    assert call(browser, "GET", at, held, "/factors")[0] == 409
    assert call(browser, "POST", at, held, f"{account}/temporary-pass")[0] == 409
    status, new = call(browser, "POST", at, held, f"{account}/second-step")
    assert status == 201
    handle, page = new["handle"], f"/r/{new['handle']}"
    assert call(browser, "GET", page, new["secret"])[1]["state"] == "need_more"
    assert call(browser, "GET", page, held, "/factors")[0] == 401
    ask_way(kit, handle, "recovery_code")
    assert answer_way(kit, handle, "recovery_code", code) == "accepted"
    kit.clock.forward(minutes=16)
    kit.write(evidence.release)
    (theirs,) = call(browser, "GET", page, new["secret"], "/factors")[1]["accounts"]
    assert [f["id"] for f in theirs["factors"] if f["removable"]] == ["app-1"]
    away = f"{account}/factors/remove"
    assert call(browser, "POST", page, new["secret"], away, {"factor": "key-1"})[1]["code"] == "not_removable"
    assert call(browser, "POST", page, new["secret"], away, {"factor": "app-1"})[0] == 204
    assert tide.removed == ["app-1"]
    status, given = call(browser, "POST", page, new["secret"], f"{account}/temporary-pass")
    assert (status, given["secret"], given["once"]) == (201, PASS, True)


@pytest.mark.covers("N18")
def test_over_the_api_no_password_is_set_in_vain(make_kit: Make) -> None:
    kit, _, tide, browser, at, _ = locked_out(make_kit)
    held = kit.run(_secret(kit, at.removeprefix("/r/")))
    tide.says = (Finding("frozen", "by 4711"),)
    (row,) = call(browser, "GET", at, held, "/diagnosis")[1]["accounts"]
    assert (row["takes_password"], row["second_step"]) == (False, False)
    assert "4711" not in str(row)
    sent = {"new_password": "supper ladder teapot 7"}
    assert call(browser, "POST", at, held, "/password", sent)[1]["code"] == "no_accounts"
    named = {**sent, "accounts": [row["account_id"]]}
    assert call(browser, "POST", at, held, "/password", named)[1]["code"] == "set_in_vain"


async def _secret(kit: Kit, handle: str) -> str:
    return ch.holder_secret(kit.services.seals.derive("holder"), handle)


def call(
    browser: Browser, method: str, page: str, secret: str, path: str = "", body: dict[str, Any] | None = None
) -> tuple[int, Any]:
    """One request to the API, with the secret of a recovery."""

    async def go() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=browser.app, client=(HERE.source, 40000))
        async with httpx2.AsyncClient(transport=transport, base_url=browser.kit.settings.public_url) as client:
            url = f"/api/v1/recoveries/{page.removeprefix('/r/')}{path}"
            held = {"authorization": f"Bearer {secret}"}
            return await client.request(method, url, headers=held, json=body)

    answer = browser.kit.run(go())
    return answer.status_code, answer.json() if answer.content else None


@pytest.mark.covers("N-R11")
def test_a_form_sent_twice_says_that_it_is_already_removed(make_kit: Make) -> None:
    """Reloading the page that said so sends the form again: nothing is asked of the system, nobody is told twice."""
    kit, tray, tide, browser, at, code = locked_out(make_kit)
    new = through(kit, browser, at, code)
    account = account_in(browser("GET", f"{new}/system-factors").text)
    assert said(browser, f"{new}/system-factors", account=account, factor="app-1")[0] == 200
    drain(kit)
    told = len(tray.messages)
    status, text = said(browser, f"{new}/system-factors", account=account, factor="app-1")
    drain(kit)
    assert status == 422
    assert "Already removed" in text
    assert "didn’t accept" not in text
    assert tide.removed == ["app-1"]
    assert len(tray.messages) == told


@pytest.mark.covers("N-R11", "O-M1")
def test_an_account_that_signs_in_elsewhere_gets_a_pass_beside_others(make_kit: Make) -> None:
    kit, _, tide, browser, at, code = locked_out(make_kit, provider="Harbour ID")
    own = ImportedAccount("builtin", "maya", "maya")
    elsewhere = ImportedAccount("tide", "id-1", "maya@tide", provider="Harbour ID")
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), accounts=(own, elsewhere))]))
    tide.says = [Finding("federated")]
    page = through(kit, browser, at, code)
    text = browser("GET", f"{page}/system-factors").text
    assert "maya@tide" in text
    status, shown = said(browser, f"{page}/temporary-pass", account=account_in(text))
    assert (status, PASS in shown, tide.passes) == (200, True, 1)


@pytest.mark.covers("N-R11")
def test_a_disabled_account_elsewhere_gets_none(make_kit: Make) -> None:
    kit, _, tide, browser, at, _ = locked_out(make_kit, provider="Harbour ID")
    own = ImportedAccount("builtin", "maya", "maya")
    elsewhere = ImportedAccount("tide", "id-1", "maya@tide", "disabled", provider="Harbour ID")
    account = account_in(browser("GET", at).text)
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), accounts=(own, elsewhere))]))
    assert browser("POST", f"{at}/second-step", f"account={account}").headers["location"] == at
    assert tide.passes == 0
