"""A system that is away for longer than a password is kept for it: its person chooses again, and verifies no more."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from keyback.application.ports.connectors import Outcome, Plan, Step
from keyback.application.ports.messages import MessageKind
from keyback.application.recovery import apply
from keyback.application.recovery.apply import LEASE
from keyback.application.signin.sessions import SignedIn
from keyback.domain.recovery.case import Case, Expire, Settle, State, decide, evolve
from keyback.domain.recovery.results import TIMED_OUT, AccountResult
from keyback.domain.secret import Secret
from tests.support.api_client import Client
from tests.support.browser import Browser, mailed
from tests.support.kit import Kit
from tests.support.steps import NEW, accept, ask, choose, drain, sign_in, types
from tests.support.systems import checks, results, two_systems

Make = Callable[..., Kit]
LATER = "Harbour walnut 9 noons"
AWAY = Outcome(Step.SET, "retry", "unavailable")


class Gone:
    """A system that can't be reached, in place of its connector."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def apply(self, plan: Plan) -> list[Outcome]:
        return [AWAY]


class Away:
    """maya with two systems, of which one is away; her browser, on the page of results once the time is over."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.tray, self.crm, self.theirs = two_systems(kit)
        self.real = kit.services.connectors
        kit.services = replace(kit.services, titles={"builtin": "Keyback", "crm": "Harbour CRM"})
        kit.services = replace(kit.services, connectors={**self.real, "crm": Gone(self.real["crm"])})  # type: ignore[dict-item]
        self.started = ask(kit, "maya")
        self.browser = Browser(kit, self.started)
        self.at = f"/r/{self.started.handle}"
        token = mailed(kit, self.tray, self.started.handle)
        self.browser.open(token)
        self.browser("POST", "/link/accept")
        self.submit(self.browser, NEW.reveal())
        self.case_id: str = kit.read(lambda tx: tx.intakes.get(self.started.handle)).case_id

    def back(self) -> None:
        self.kit.services = replace(self.kit.services, connectors=self.real)
        self.browser = Browser(self.kit, self.started)

    def submit(self, browser: Browser, password: str) -> Any:
        page = browser("GET", f"{self.at}?again=1").text
        pairs = re.findall(r'name="(submission|accounts)" value="([^"]+)"', page)
        fields = [*pairs, ("new_password", password)]
        return browser("POST", f"{self.at}/password", urlencode(fields))

    def wait(self, minutes: int = 12) -> None:
        for _ in range(minutes):
            drain(self.kit)
            self.kit.clock.forward(minutes=1)
        drain(self.kit)

    def link(self) -> str:
        (mail,) = self.tray.to("maya@example.com", MessageKind.CHOOSE_AGAIN)[-1:]
        return mail.content.link.reveal().rpartition("/")[2]  # type: ignore[attr-defined, no-any-return]


def sealed(kit: Kit) -> list[Any]:
    return kit.read(lambda tx: list(tx.conn.execute(text("SELECT id FROM outbox WHERE sealed IS NOT NULL"))))  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.covers("INV-I12", "N11", "E15")
def test_a_system_that_was_away_ten_minutes_gets_another_password_without_verifying(
    make_kit: Make, database_url: str
) -> None:
    away = Away(make_kit(url=database_url))
    kit, tray = away.kit, away.tray
    away.wait()
    assert sealed(kit) == [], "nothing sealed outlives its time"
    assert results(kit, away.case_id)["builtin"] == ("done", "")
    assert results(kit, away.case_id)["crm"][1] == "choose_again"
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn), "what worked stays"
    (mail,) = tray.to("maya@example.com", MessageKind.CHOOSE_AGAIN)
    assert mail.content.systems == (("Harbour CRM", "maya.crm"),)  # type: ignore[attr-defined]
    page = html.unescape(away.browser("GET", away.at).text)
    assert "Choose again for Harbour CRM" in page

    away.back()
    kit.clock.forward(hours=20)
    form = html.unescape(away.browser("GET", f"{away.at}?again=1").text)
    assert "Choose a new password for Harbour CRM" in form
    assert "Keyback</" not in form.split("<form", 1)[1], "for that system alone"
    assert away.submit(away.browser, LATER).status_code == 303
    drain(kit)
    assert checks(kit, away.crm, Secret(LATER)) is True
    assert results(kit, away.case_id) == {"builtin": ("done", ""), "crm": ("done", "")}
    assert kit.read(lambda tx: tx.cases.get(away.case_id)).state == State.CLOSED
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn), "the other system keeps its own"
    assert types(kit).count("proof_accepted") == 1
    assert [t for t in types(kit) if t in ("reopened", "choose_again_mailed")] == ["reopened", "choose_again_mailed"]


@pytest.mark.slow
@pytest.mark.covers("INV-I12", "C5")
def test_the_mailed_link_goes_on_in_another_browser_until_it_was_used(make_kit: Make) -> None:
    away = Away(make_kit())
    kit = away.kit
    away.wait()
    away.back()
    token, elsewhere = away.link(), Browser(kit)
    for _ in range(3):
        shown = elsewhere.open(token)
    assert "choose_again_opened" not in types(kit), "opening it changes nothing"
    assert "Choose a new password for Harbour CRM" in html.unescape(shown.text)
    assert elsewhere("POST", "/again", f"of={elsewhere.hidden['of']}").headers["location"] == f"{away.at}?again=1"
    assert types(kit).count("choose_again_opened") == 1
    assert away.submit(elsewhere, LATER).status_code == 303
    drain(kit)
    assert checks(kit, away.crm, Secret(LATER)) is True
    used = Browser(kit).open(token)
    assert used.status_code == 410
    assert "This link has been used" in used.text


@pytest.mark.covers("N-R11", "F7")
def test_the_link_alone_is_not_enough_where_more_was_shown(make_kit: Make) -> None:
    away = Away(make_kit())
    kit = away.kit
    away.wait()
    away.back()
    token = away.link()
    kit.services = replace(kit.services, policy=replace(kit.services.policy, loose=frozenset()))
    kit.write(
        lambda tx: (
            tx.conn.execute(text("UPDATE cases SET body = replace(body, 'email_link', 'passkey')"))
            and tx.conn.execute(text("UPDATE cases SET body = replace(body, 'mail:', 'key:')"))
        )
    )
    elsewhere = Browser(kit)
    elsewhere.open(token)
    refused = elsewhere("POST", "/again", f"of={elsewhere.hidden['of']}")
    assert "location" not in refused.headers
    assert "keyback-recovery" not in elsewhere.cookies
    assert "choose_again_opened" not in types(kit)


@pytest.mark.slow
@pytest.mark.covers("E16", "C17")
@pytest.mark.parametrize("what", ["life over", "verified anew", "canceled"])
def test_the_link_ends_with_what_it_belongs_to(make_kit: Make, what: str) -> None:
    away = Away(make_kit())
    kit = away.kit
    away.wait()
    away.back()
    token = away.link()
    if what == "life over":
        kit.clock.forward(hours=48)
        kit.write(apply.give_up)
        assert kit.read(lambda tx: tx.cases.get(away.case_id)).state == State.CLOSED, "some of it was recovered"
    elif what == "canceled":
        away.browser("POST", f"{away.at}/cancel")
        assert kit.read(lambda tx: tx.cases.get(away.case_id)).state == State.CANCELLED
    else:
        again = ask(kit, "maya")
        assert accept(kit, mailed(kit, away.tray, again.handle)) is None
        case = kit.read(lambda tx: tx.cases.get(away.case_id))
        assert case.approved_for == (again.handle,)
        choose(kit, away.case_id, Secret(LATER), submission="s2")
        drain(kit)
        assert isinstance(sign_in(kit, "maya", Secret(LATER)), SignedIn), "whoever verifies anew chooses for everything"
        assert checks(kit, away.crm, Secret(LATER)) is True
    gone = Browser(kit).open(token)
    assert gone.status_code == 410
    assert Browser(kit)("POST", "/again", "of=x").headers.get("location", "").startswith("/again")


@pytest.mark.covers("Q1", "Q2", "Q12")
def test_a_crash_on_either_side_of_the_end_neither_loses_nor_repeats_the_mail(
    make_kit: Make, database_url: str
) -> None:
    away = Away(make_kit(url=database_url))
    kit = away.kit
    drain(kit)
    kit.clock.forward(minutes=11)
    # One that dies with the job in its hands, before anything was written; its lease runs out.
    (dead,) = kit.write(lambda tx: tx.outbox.claim("apply", 5, LEASE))
    assert away.tray.to("maya@example.com", MessageKind.CHOOSE_AGAIN) == []
    kit.clock.forward(seconds=16)
    drain(kit)
    # It was only slow, and comes back: it has lost its lease.
    assert kit.run(apply.apply_one(kit.services.db, kit.services.connectors, dead)) == "lost"
    # The mail is sent, and the process dies before it is marked: the same bytes go again.
    kit.write(lambda tx: tx.conn.execute(text("UPDATE outbox SET due_at = 0 WHERE kind = 'mail'")))
    drain(kit)
    assert len({m.id for m in away.tray.to("maya@example.com", MessageKind.CHOOSE_AGAIN)}) == 1
    assert types(kit).count("choose_again_mailed") == types(kit).count("reopened") == 1
    assert sealed(kit) == []


@pytest.mark.slow
@pytest.mark.covers("INV-I12")
def test_a_system_that_stays_away_is_asked_for_within_the_life_of_the_case_only(make_kit: Make) -> None:
    away = Away(make_kit())
    kit, rounds = away.kit, 0
    away.wait()
    while kit.read(lambda tx: tx.cases.get(away.case_id)).state == State.APPROVED:
        rounds += 1
        assert rounds < 8
        kit.clock.forward(hours=11)
        kit.write(apply.give_up)
        away.submit(away.browser, f"{LATER} {rounds}")
        away.wait()
    assert kit.read(lambda tx: tx.cases.get(away.case_id)).ended
    opened = kit.read(lambda tx: tx.cases.get(away.case_id)).opened_at
    assert kit.clock.now - opened <= 60 * 3600 * 1000
    assert rounds >= 3
    assert len(away.tray.to("maya@example.com", MessageKind.CHOOSE_AGAIN)) == rounds
    assert sealed(kit) == []


@pytest.mark.slow
@pytest.mark.covers("INV-I12")
def test_over_the_api_the_same_recovery_takes_another_password(make_kit: Make) -> None:
    away = Away(make_kit())
    kit = away.kit
    away.wait()
    away.back()
    client = Client(kit)
    where, secret = f"/recoveries/{away.started.handle}", away.started.secret
    told = client.get(where, secret=secret).json()
    assert (told["state"], [a["system"] for a in told["accounts"]]) == ("password_due", ["crm"])
    assert {r["system"]: r["code"] for r in told["results"]} == {"builtin": "", "crm": "choose_again"}
    answer = client.together([lambda: client.send("POST", f"{where}/password", {"new_password": LATER}, secret=secret)])
    assert answer[0].json()["state"] == "done"
    assert {r["result"] for r in answer[0].json()["results"]} == {"done"}


@pytest.mark.covers("INV-I12")
def test_while_it_is_open_again_a_person_settles_another_system_and_the_end_keeps_what_was_done() -> None:
    opened = 1_795_000_000_000
    rows = (AccountResult("a1", "j1", "done"), AccountResult("a2", "j2", "yours"), AccountResult("a3", "j3"))
    case = Case("c1", "p1", state=State.APPLYING, accounts=("a1", "a2", "a3"), results=rows, opened_at=opened)
    case = replace(case, expires_at=opened + 60_000, approved_for=("h1",), submission="s1", version=9)

    def act(case: Case, command: Any, now: int) -> Case:
        for event in decide(case, command, now):
            case = evolve(case, event, now)
        return case

    case = act(case, Settle("a3", "refused", TIMED_OUT), opened + 600_000)
    assert (case.state, case.submission) == (State.APPROVED, "")
    case = act(case, Settle("a2", "done"), opened + 700_000)
    assert case.state == State.APPROVED, "still open for the one that was away"
    assert [r.account_id for r in case.results if r.may_choose] == ["a3"]
    assert act(case, Expire(), case.expires_at).state == State.CLOSED
    late = replace(case, state=State.APPLYING, results=(*rows[:1], AccountResult("a3", "j3")))
    gone = act(late, Settle("a3", "refused", TIMED_OUT), opened + 48 * 3_600_000 - 1)
    assert gone.state == State.CLOSED, "not reopened for a few minutes"
