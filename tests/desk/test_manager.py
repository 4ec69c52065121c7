"""A manager of record co-signs a caller check: whom the systems name, for long enough, by their own sign-in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from keyback.application.desk import caller_check, manager
from keyback.application.desk.sessions import Actor
from keyback.application.ports.calls import CallerCheck
from keyback.application.recovery.start import Started
from keyback.domain.operators import calls as numbers
from keyback.domain.operators.roles import Role
from keyback.domain.policy.claims import PIECES
from keyback.domain.policy.rules import Policy, Risk, rule
from keyback.storage.sql.schema import accounts
from tests.support.browser import Browser
from tests.support.console import URL, Staff, staffed
from tests.support.enrolled import add_totp, person_id
from tests.support.kit import Kit, person
from tests.support.races import all_at_once
from tests.support.steps import OLD, ask, case_of, drain, set_password, sign_in, types

Make = Callable[..., Kit]
BURST = 50


def reports_to(kit: Kit, who: str, boss: str, *, hours: float = 100) -> None:
    """What a sync has written for so many hours."""
    pid, theirs = person_id(kit, who), person_id(kit, boss)

    def write(tx: Any) -> None:
        since = tx.now - int(hours * 3_600_000)
        (account,) = tx.people.accounts([theirs])[theirs]
        values = {"manager": account.external_id, "manager_since": since}
        tx.conn.execute(update(accounts).where(accounts.c.person_id == pid).values(**values))

    kit.write(write)


def desk(make_kit: Make, url: str | None = None, *, hours: float = 100) -> Staff:
    """Omar, who lost his app, reports to Lena."""
    staff = staffed(make_kit(url=url, public_url=URL))
    staff.kit.write(lambda tx: tx.people.save_imported([person("lena"), person("noor")]))
    add_totp(staff.kit, "omar")
    staff.kit.clock.forward(hours=200)
    reports_to(staff.kit, "omar", "lena", hours=hours)
    return staff


def begun(staff: Staff, role: Role = Role.AGENT) -> tuple[Started, CallerCheck, Actor]:
    kit, policy, actor = staff.kit, staff.kit.services.policy, staff.actor(role)
    started = ask(kit, "omar")
    drain(kit)
    assert kit.write(lambda tx: caller_check.ask(tx, started.handle))
    first = kit.read(lambda tx: caller_check.look(tx, started.handle)).number
    check = kit.write(lambda tx: caller_check.begin(tx, actor, first, policy))
    assert isinstance(check, CallerCheck)
    return started, check, actor


def second(kit: Kit, started: Started) -> str:
    return str(kit.read(lambda tx: caller_check.look(tx, started.handle)).number)


def who(kit: Kit, name: str) -> Any:
    found = person_id(kit, name)
    return kit.read(lambda tx: tx.people.person(found))


def open_case(kit: Kit, name: str) -> Any:
    pid = person_id(kit, name)
    return kit.read(lambda tx: tx.cases.open_of([pid]))[pid]


def home_of(kit: Kit, name: str) -> Browser:
    set_password(kit, name, OLD)
    browser = Browser(kit)
    browser.cookies["keyback-session"] = sign_in(kit, name, OLD).token  # type: ignore[union-attr]
    return browser


@pytest.mark.covers("I1", "N-R8", "A-8.2.2")
def test_a_manager_confirms_in_their_own_security_center_what_the_caller_reads_to_them(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    started, check, actor = begun(staff)
    assert "No one is waiting" in home_of(kit, "lena")("GET", "/account/callers").text
    kit.write(lambda tx: manager.ask(tx, actor, check.id))
    drain(kit)
    (mail,) = staff.tray.to("lena@example.com", "reminder")
    assert mail.content.what == "manager_asked"  # type: ignore[attr-defined]
    lena, noor = home_of(kit, "lena"), home_of(kit, "noor")
    assert "/account/callers" in lena("GET", "/account").text
    page = lena("GET", "/account/callers").text
    assert "reports to you" in page
    assert "No one is waiting" in noor("GET", "/account/callers").text
    at = f"/account/callers/{check.id}"
    number = second(kit, started)
    assert number not in page, "it is the caller who reads it out"
    assert noor("POST", at, f"number={number}").status_code == 410
    assert lena("POST", at, "number=000000").status_code == 422
    done = lena("POST", at, f"number={number}")
    assert done.headers["location"] == "/account/callers?done=passed"
    case = case_of(kit, started.handle)
    assert case
    assert [(e.proof, e.channel) for e in case.evidence] == [("caller_check", f"manager:{person_id(kit, 'lena')}")]
    assert case.state == "proving", "a manager's word alone opens nothing"
    assert {"manager_asked", "caller_check_passed"} <= set(types(kit))
    kept = kit.read(lambda tx: tx.calls.check(check.id))
    assert kept.state == "passed"
    assert kept.contact_id == ""


@pytest.mark.covers("I1", "F1")
@pytest.mark.parametrize("hours", [0, 71])
def test_a_record_that_is_newer_than_the_cooling_off_names_nobody(make_kit: Make, hours: float) -> None:
    staff = desk(make_kit, hours=hours)
    _, check, actor = begun(staff)
    assert all_at_once(staff.kit, [lambda tx: manager.ask(tx, actor, check.id)]) == {"no_manager": 1}


@pytest.mark.covers("I1", "F1")
def test_a_record_that_changes_while_they_are_asked_is_worth_nothing(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit, policy = staff.kit, staff.kit.services.policy
    started, check, actor = begun(staff)
    kit.write(lambda tx: manager.ask(tx, actor, check.id))
    reports_to(kit, "omar", "noor")
    lena, noor, number = who(kit, "lena"), who(kit, "noor"), second(kit, started)
    for person_ in (lena, noor):
        outcome = all_at_once(kit, [lambda tx, p=person_: manager.confirm(tx, p, check.id, number, policy)])
        assert outcome == {"over": 1}
    assert not open_case(kit, "omar").evidence


@pytest.mark.covers("A-8.2.2")
def test_an_operator_asks_nobody_who_is_themselves_and_does_not_approve_what_they_confirmed(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit, policy = staff.kit, staff.kit.services.policy
    lena_at_work = staff.actor(Role.APPROVER, "lena")
    started, check, actor = begun(staff)
    kit.write(lambda tx: manager.ask(tx, actor, check.id))
    lena, number = who(kit, "lena"), second(kit, started)
    assert kit.write(lambda tx: manager.confirm(tx, lena, check.id, number, policy)) == "passed"
    case = case_of(kit, started.handle)
    assert case
    assert lena_at_work.operator.id in kit.read(lambda tx: tx.desk.work(case.id)).worked_by
    staff = desk(make_kit)
    staff.actor(Role.AGENT, "lena")
    kit = staff.kit
    policy = kit.services.policy
    me = staff.actor(Role.AGENT, "lena")
    started = ask(kit, "omar")
    drain(kit)
    kit.write(lambda tx: caller_check.ask(tx, started.handle))
    first = kit.read(lambda tx: caller_check.look(tx, started.handle)).number
    own = kit.write(lambda tx: caller_check.begin(tx, me, first, policy))
    assert all_at_once(kit, [lambda tx: manager.ask(tx, me, own.id)]) == {"no_manager": 1}


def test_three_wrong_numbers_or_a_no_end_the_check_and_tell_the_person(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit, policy = staff.kit, staff.kit.services.policy
    lena = who(kit, "lena")
    _, check, actor = begun(staff)
    kit.write(lambda tx: manager.ask(tx, actor, check.id))
    found = [kit.write(lambda tx: manager.confirm(tx, lena, check.id, "000000", policy)) for _ in range(3)]
    assert found == ["wrong", "wrong", "failed"]
    drain(kit)
    assert len(list(staff.tray.to("omar@example.com", "asked"))) >= 1
    _, check, actor = begun(staff)
    kit.write(lambda tx: manager.ask(tx, actor, check.id))
    browser = home_of(kit, "lena")
    done = browser("POST", f"/account/callers/{check.id}/refuse")
    assert done.headers["location"] == "/account/callers?done=refused"
    assert kit.read(lambda tx: tx.calls.check(check.id)).state == "failed"


def test_a_page_about_nobody_has_no_manager_and_one_is_asked_so_often_a_day(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit, policy, actor = staff.kit, staff.kit.services.policy, staff.actor(Role.AGENT)
    started = ask(kit, "nobody@example.com")
    drain(kit)
    kit.write(lambda tx: caller_check.ask(tx, started.handle))
    first = kit.read(lambda tx: caller_check.look(tx, started.handle)).number
    check = kit.write(lambda tx: caller_check.begin(tx, actor, first, policy))
    assert all_at_once(kit, [lambda tx: manager.ask(tx, actor, check.id)]) == {"no_manager": 1}
    for n in range(manager.ASKS_A_DAY + 1):
        _, check, actor = begun(staff)
        outcome = all_at_once(kit, [lambda tx, c=check.id, a=actor: manager.ask(tx, a, c)])
        assert outcome == {"many_asks" if n == manager.ASKS_A_DAY else "done": 1}


@pytest.mark.both
@pytest.mark.covers("F10", "I1")
def test_of_fifty_answers_at_once_one_counts(make_kit: Make, database_url: str) -> None:
    staff = desk(make_kit, database_url)
    kit, policy = staff.kit, staff.kit.services.policy
    started, check, actor = begun(staff)
    kit.write(lambda tx: manager.ask(tx, actor, check.id))
    lena, number = who(kit, "lena"), second(kit, started)

    def answer(n: int) -> Callable[[Any], Any]:
        if n % 5 == 0:
            return lambda tx: manager.refuse(tx, lena, check.id)
        return lambda tx: manager.confirm(tx, lena, check.id, number, policy)

    outcome = all_at_once(kit, [answer(n) for n in range(BURST)])
    assert outcome == Counter({"done": 1, "over": BURST - 1})
    assert len(open_case(kit, "omar").evidence) <= 1


@pytest.mark.covers("I1", "N-R11")
def test_the_search_tries_a_managers_word_and_it_needs_another_operator_and_a_hold() -> None:
    piece = next(p for p in PIECES if str(p) == "caller_check (manager:1)")
    mail = next(p for p in PIECES if str(p) == "email_link (mail:primary)")
    shown, policy = [piece.evidence, mail.evidence], Policy()
    assert rule([piece.evidence], "mfa", Risk(True, True), policy).kind == "more"
    assert rule(shown, "mfa", Risk(True, True), policy).kind == "review"
    approved = rule(shown, "mfa", Risk(True, True), policy, approved=True)
    assert (approved.kind, approved.wait) == ("hold", policy.holds.proofing)
    assert numbers.MAX_WRONG == 3


def test_the_operators_page_asks_the_manager_of_record(make_kit: Make) -> None:
    staff = desk(make_kit)
    kit = staff.kit
    agent = staff.add(Role.AGENT)
    started = ask(kit, "omar")
    drain(kit)
    kit.write(lambda tx: caller_check.ask(tx, started.handle))
    first = kit.read(lambda tx: caller_check.look(tx, started.handle)).number
    at = agent.post("/console/calls", number=first).headers["location"]
    assert "Ask the manager of record" in agent.get(at).text
    assert agent.post(f"{at}/manager").headers["location"] == at
    page = agent.get(at).text
    assert "Their manager was asked" in page
    assert not re.search("lena", page, re.I), "who it is, the caller cannot be told"
