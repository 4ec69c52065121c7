"""What operators do about people: by one or by two, told to whoever is meant, and one thing a call."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from keyback.application.desk import actions, approvals, records, workbench
from keyback.application.desk.sessions import Actor
from keyback.application.ports.connectors import Means, Outcome, Plan, Step
from keyback.application.ports.desk_actions import Action
from keyback.application.ports.storage import Tx
from keyback.application.recovery import evidence
from keyback.application.signin.sessions import SignedIn
from keyback.domain.operators import actions as rules
from keyback.domain.operators.roles import Role
from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import TIERS, Holds, Journey
from keyback.domain.units import HOUR
from tests.support.browser import Browser
from tests.support.console import URL, Staff, staffed, waits
from tests.support.enrolled import person_id
from tests.support.guided import kit_of
from tests.support.kit import Kit
from tests.support.races import all_at_once
from tests.support.steps import OLD, drain, sign_in, types

Make = Callable[..., Kit]
BURST = 50


def staff_of(make_kit: Make, url: str | None = None) -> Staff:
    return staffed(make_kit(url=url, public_url=URL))


def ask(staff: Staff, actor: Actor, who: str, kind: Any, detail: str = "", why: str = "HD-7") -> Action:
    kit = staff.kit
    pid, policy = person_id(kit, who), kit.services.policy
    found: Action = kit.write(lambda tx: actions.ask(tx, actor, pid, kind, why, policy, detail=detail))
    return found


def code(staff: Staff, act: Callable[[Tx], Any]) -> str:
    (outcome,) = all_at_once(staff.kit, [act])
    return outcome


def changes(staff: Staff, who: str) -> list[str]:
    drain(staff.kit)
    told = staff.tray.to(f"{who}@example.com", "account_changed")
    return [m.content.what for m in told]  # type: ignore[attr-defined]


def desk_mail(staff: Staff) -> list[tuple[str, str]]:
    drain(staff.kit)
    return [(m.to, m.content.what) for m in staff.tray.messages if m.kind == "desk"]  # type: ignore[attr-defined]


# ── the person's page ───────────────────────────────────────────────────────


@pytest.mark.covers("J3", "A-8.2.2")
def test_a_person_is_found_by_what_is_exact_and_masked_until_the_caller_is_checked(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    agent, maya = staff.add(Role.AGENT), person_id(staff.kit)
    for part in ("may", "maya@example", "%", "maya*", ""):
        got = agent.post("/console/people/find", q=part)
        assert got.status_code in (404, 422), part
    for whole in ("maya@example.com", " Maya ", maya):
        assert agent.post("/console/people/find", q=whole).headers["location"] == f"/console/people/{maya}"
    page = agent.get(f"/console/people/{maya}").text
    assert "m•••@example.com" in page
    assert ">m•••<" in page, "user names are masked too"
    assert "maya@example.com" not in page
    assert "Authenticator app" in page
    seen = staff.kit.read(lambda tx: tx.audit.of_person(maya, 1 << 60, 50))
    looks = [e for e in seen if e.type == "person_viewed"]
    assert [e.data["operator"] for e in looks] == [staff.made["agent"].id]
    assert types(staff.kit).count("person_sought") >= 3


def test_whoever_looks_for_many_people_has_to_wait(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FINDS_AN_HOUR", 3)
    staff = staff_of(make_kit)
    agent = staff.add(Role.AGENT)
    statuses = [agent.post("/console/people/find", q="maya").status_code for _ in range(4)]
    assert statuses == [303, 303, 303, 429]


@pytest.mark.covers("A-8.2.1")
def test_an_auditor_reads_and_acts_on_nothing(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    auditor, omar = staff.add(Role.AUDITOR), person_id(staff.kit, "omar")
    auditor.confirm()
    page = auditor.get(f"/console/people/{omar}").text
    assert "Reading only" in page
    assert "<form" not in page.split("What you can do")[1]
    for act in ("start", "unlock", "lock", "sessions", "cancel", "hold"):
        assert auditor.post(f"/console/people/{omar}/{act}").status_code in (403, 422), act
    assert staff.kit.read(lambda tx: tx.actions.of_person(omar, 9)) == []


def test_people_without_a_way_back_are_listed_page_by_page(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    staff = staff_of(make_kit)
    agent = staff.add(Role.AGENT)
    seen = agent.get("/console/people/stranded").text
    assert "2 people were checked" in seen
    monkeypatch.setattr(records, "MANY", 1)
    first = agent.get("/console/people/stranded").text
    more = re.search(r"stranded\?after=([A-Za-z0-9_-]{22})", first)
    assert more
    assert "1 person was checked" in agent.get(f"/console/people/stranded?after={more[1]}").text


# ── one operator, or two ────────────────────────────────────────────────────


@pytest.mark.covers("I1")
def test_a_recovery_is_started_and_its_person_goes_on_by_themselves(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    kit, omar = staff.kit, person_id(staff.kit, "omar")
    agent = staff.add(Role.AGENT)
    agent.confirm()
    at = f"/console/people/{omar}"
    assert "Start it" in agent.get(at).text
    assert agent.post(f"{at}/start", reason=" ", journey="password").status_code == 422
    typed = agent.post(f"{at}/start", reason="x" * 501, journey="locked")
    assert (typed.status_code, "x" * 501 in typed.text) == (422, True)
    done = agent.post(f"{at}/start", reason="Called, HD-7", journey="password")
    assert done.headers["location"] == f"{at}?done=start"
    assert changes(staff, "omar") == ["desk_started"]
    (mail,) = staff.tray.to("omar@example.com", "reminder")
    path = mail.content.path  # type: ignore[attr-defined]
    browser = Browser(kit)
    page = browser("GET", path).text
    assert "The help desk started a recovery for you" in page
    assert "omar" not in page, "whoever has the address learns no name"
    begun = browser("POST", path, "")
    assert begun.headers["location"].startswith("/r/")
    drain(kit)
    case = kit.read(lambda tx: tx.cases.open_of([omar]))[omar]
    assert (case.state.value, case.evidence) == ("proving", ()), "starting is no evidence"
    assert browser("GET", path).status_code == 410
    assert browser("POST", path, "").status_code == 410, "once"
    assert browser("GET", f"/start/{'x' * 22}").status_code == 410
    assert "Called, HD-7" in agent.get(at).text


@pytest.mark.covers("A-8.2.1", "A-8.2.2")
def test_somebody_privileged_is_started_by_two_operators(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    maya = person_id(staff.kit)
    agent, second, officer = staff.add(Role.AGENT), staff.add(Role.APPROVER), staff.add(Role.SECURITY_OFFICER)
    agent.confirm()
    done = agent.post(f"/console/people/{maya}/start", reason="HD-8", journey="second_factor")
    assert done.headers["location"].endswith("?done=start-waits")
    assert changes(staff, "maya") == []
    assert agent.post(f"/console/people/{maya}/start", reason="HD-8", journey="second_factor").status_code == 409
    (action,) = staff.kit.read(lambda tx: tx.actions.of_person(maya, 9))
    own = agent.get("/console/approvals").text
    assert "HD-8" in own
    assert "Take it back" in own
    assert agent.post(f"/console/approvals/{action.id}/approve").status_code == 403, "no agent approves"
    second.confirm()
    assert "Approve and do it" in second.get("/console/approvals").text
    done = second.post(f"/console/approvals/{action.id}/approve")
    assert done.headers["location"] == "/console/approvals?done=approved"
    assert changes(staff, "maya") == ["desk_started"]
    assert ("security_officer@example.com", "act_start") in desk_mail(staff)
    assert second.post(f"/console/approvals/{action.id}/approve").status_code == 409
    assert "Nothing waits" in officer.get("/console/approvals").text


@pytest.mark.covers("E2", "A-8.2.2")
def test_an_approval_is_for_what_was_asked_and_not_by_whoever_asked(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    kit, policy = staff.kit, staff.kit.services.policy
    first, second = staff.actor(Role.SECURITY_OFFICER), staff.actor(Role.APPROVER)
    action = ask(staff, first, "maya", "unlock")
    assert action.state == "waiting"
    assert code(staff, lambda tx: actions.approve(tx, first, action.id, policy)) == "own_work"
    maya = person_id(kit)
    kit.write(lambda tx: tx.people.bump_security(maya))
    assert code(staff, lambda tx: actions.approve(tx, second, action.id, policy)) == "conflict"
    assert code(staff, lambda tx: actions.decline(tx, second, action.id, policy)) == "done"
    action = ask(staff, first, "maya", "unlock")
    kit.clock.forward(minutes=6)
    assert code(staff, lambda tx: actions.approve(tx, second, action.id, policy)) == "step_up"
    kit.clock.forward(hours=25)
    fresh = staff.actor(Role.APPROVER)
    assert code(staff, lambda tx: actions.approve(tx, fresh, action.id, policy)) == "over"
    assert code(staff, lambda tx: actions.approve(tx, fresh, "x" * 22, policy)) == "not_found"
    assert kit.read(lambda tx: tx.actions.waiting(after=(0, ""), limit=9)) == []
    assert code(staff, lambda tx: actions.withdraw(tx, fresh, action.id, policy)) == "not_found"


@pytest.mark.covers("A-8.2.2")
def test_nobody_acts_on_themselves_or_on_an_equal_or_higher_role(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    staff.add(Role.SECURITY_OFFICER, "maya@example.com")
    agent = staff.actor(Role.AGENT)
    me = staff.kit.write(lambda tx: tx.operators.by_mail("maya@example.com"))
    officer = staff.actor(Role.SECURITY_OFFICER, "maya")
    assert officer.operator.id == me.id
    for kind in rules.KINDS:
        for actor, why in ((agent, "rank"), (officer, "yourself")):
            act = _asks(staff, actor, "maya", kind)
            assert code(staff, act) == why, (kind, why)
    maya = person_id(staff.kit)
    assert staff.kit.read(lambda tx: tx.actions.of_person(maya, 9)) == []


def _asks(staff: Staff, actor: Actor, who: str, kind: Any, detail: str = "") -> Callable[[Tx], Any]:
    policy, found = staff.kit.services.policy, person_id(staff.kit, who)
    return lambda tx: actions.ask(tx, actor, found, kind, "HD-7", policy, detail=detail)


@pytest.mark.covers("I15", "E2")
def test_what_takes_two_is_done_alone_only_with_an_alarm_to_everybody(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    agent, officer = staff.actor(Role.AGENT), staff.add(Role.SECURITY_OFFICER)
    staff.actor(Role.APPROVER)
    staff.actor(Role.SYSTEM_ADMINISTRATOR)
    action = ask(staff, agent, "maya", "unlock")
    officer.confirm()
    assert "No one else is there" in officer.get("/console/approvals").text
    assert officer.post(f"/console/approvals/{action.id}/alone", reason="").status_code == 422
    done = officer.post(f"/console/approvals/{action.id}/alone", reason="Trade fair, no approver")
    assert done.headers["location"] == "/console/approvals?done=alone"
    alarmed = {to for to, what in desk_mail(staff) if what == "glass_broken"}
    everyone = {o.mail for o in staff.kit.read(lambda tx: tx.operators.listed()) if o.state == "active"}
    assert alarmed == everyone
    assert len(everyone) == 4
    assert changes(staff, "maya") == ["desk_broke_glass", "desk_unlocked"]
    assert "glass_broken" in types(staff.kit)
    maya = person_id(staff.kit)
    (kept,) = staff.kit.read(lambda tx: tx.actions.of_person(maya, 9))
    assert (kept.state, kept.broke_glass) == ("done", True)


# ── each act ────────────────────────────────────────────────────────────────


def test_locking_is_done_at_once_by_one_and_told_to_security_officers(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    kit, agent = staff.kit, staff.actor(Role.AGENT)
    staff.actor(Role.SECURITY_OFFICER)
    _, case_id = waits(staff)
    agent = staff.actor(Role.AGENT)
    assert ask(staff, agent, "maya", "lock").state == "done"
    assert kit.read(lambda tx: tx.cases.get(case_id)).state == "cancelled"
    assert changes(staff, "maya") == ["desk_locked_down"]
    assert ("security_officer@example.com", "act_lock") in desk_mail(staff)
    assert not isinstance(sign_in(kit, "maya", OLD), SignedIn)
    officer = staff.actor(Role.SECURITY_OFFICER)
    assert code(staff, _asks(staff, officer, "maya", "unlock")) == "locked_down", "only a recovery opens it again"


def test_sessions_end_and_a_recovery_is_canceled(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    kit = staff.kit
    _, case_id = waits(staff)
    agent = staff.actor(Role.AGENT)
    ask(staff, agent, "maya", "end_sessions")
    assert changes(staff, "maya") == ["desk_sessions_ended"]
    maya = person_id(kit)
    assert kit.read(lambda tx: tx.sessions.of_person(maya)) == []
    assert code(staff, _asks(staff, agent, "maya", "cancel", "x" * 22)) == "conflict", "another one was shown"
    ask(staff, agent, "maya", "cancel", case_id)
    drain(kit)
    assert kit.read(lambda tx: tx.cases.get(case_id)).state == "cancelled"
    assert list(staff.tray.to("maya@example.com", "stopped"))
    assert code(staff, _asks(staff, agent, "maya", "cancel", case_id)) == "wrong_state"


@pytest.mark.covers("O-M1")
def test_a_hold_is_made_longer_and_never_shorter_than_the_policy_set_it(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    kit, policy = staff.kit, staff.kit.services.policy
    started, case_id = waits(staff)
    agent, approver = staff.actor(Role.AGENT), staff.actor(Role.APPROVER)
    version = kit.read(lambda tx: tx.cases.get(case_id)).version
    kit.write(lambda tx: workbench.claim(tx, agent, case_id))
    kit.write(lambda tx: workbench.recommend(tx, agent, case_id, started.handle, version, "Fits.", "", policy))
    case = kit.write(lambda tx: approvals.approve(tx, approver, case_id, started.handle, version, "Yes.", policy))
    until = case.hold_of(started.handle)
    for hours in ("-1", "169", "", "1.5", "9999"):
        assert code(staff, _asks(staff, agent, "maya", "hold", hours)) == "hours", hours
    action = ask(staff, agent, "maya", "hold", "48")
    kit.write(lambda tx: actions.approve(tx, approver, action.id, policy))
    case = kit.read(lambda tx: tx.cases.get(case_id))
    assert case.hold_of(started.handle) == until + 48 * HOUR
    action = ask(staff, agent, "maya", "hold", "0")
    kit.write(lambda tx: actions.approve(tx, approver, action.id, policy))
    assert kit.read(lambda tx: tx.cases.get(case_id)).hold_of(started.handle) == until
    assert changes(staff, "maya")[-2:] == ["desk_hold_changed"] * 2
    kit.clock.forward(hours=25)
    kit.write(evidence.release)
    assert kit.read(lambda tx: tx.cases.get(case_id)).state == "approved"


def test_a_start_is_limited_and_needs_a_mailbox(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    agent = staff.actor(Role.AGENT)
    assert code(staff, _asks(staff, agent, "omar", "start", "username")) == "journey"
    for _ in range(rules.STARTS_A_DAY):
        assert ask(staff, agent, "omar", "start", "password").state == "done"
    assert code(staff, _asks(staff, agent, "omar", "start", "password")) == "too_many"


# ── one call, one thing ─────────────────────────────────────────────────────


@pytest.mark.covers("I1")
def test_whatever_is_started_in_whatever_order_two_things_are_a_hold_apart() -> None:
    """Every order of three starts of every kind, an hour, a day or two apart, for every tier and hold."""
    gaps = (0, HOUR, 24 * HOUR - 1, 24 * HOUR, 48 * HOUR)
    tried = 0
    for tier, hold in product(TIERS, (0, 24 * HOUR, 72 * HOUR)):
        wait = rules.between(Holds(proofing=hold), tier)
        assert wait >= 24 * HOUR
        for things in product(rules.STARTABLE, repeat=3):
            for gap in product(gaps, repeat=2):
                times = (0, gap[0], gap[0] + gap[1])
                begun: list[tuple[Journey, int]] = []
                for journey, at in zip(things, times, strict=True):
                    if not rules.renews_another(journey, begun, at, wait):
                        begun.append((journey, at))
                tried += 1
                for (a, at), (b, bt) in product(begun, begun):
                    pair = {rules.RENEWS.get(a), rules.RENEWS.get(b)} - {None}
                    assert len(pair) < 2 or abs(at - bt) >= wait, (tier, hold, begun)
    assert tried > 10_000


@pytest.mark.covers("I1")
@pytest.mark.parametrize("tier", TIERS)
def test_one_call_never_starts_two_things(make_kit: Make, tier: Tier) -> None:
    staff = staff_of(make_kit)
    who = "maya" if tier == "privileged" else "omar"
    agent = staff.actor(Role.AGENT)
    ask(staff, agent, who, "start", "password")
    for other in ("second_factor", "mailbox"):
        assert code(staff, _asks(staff, agent, who, "start", other)) == "one_thing"
    staff.kit.clock.forward(hours=25 if tier != "privileged" else 49)
    agent = staff.actor(Role.AGENT)
    assert ask(staff, agent, who, "start", "second_factor").kind == "start"


# ── many at once, and the same two ──────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("F10", "E2")
def test_fifty_decisions_at_once_do_it_once(make_kit: Make, database_url: str) -> None:
    staff = staff_of(make_kit, database_url)
    kit, policy = staff.kit, staff.kit.services.policy
    action = ask(staff, staff.actor(Role.AGENT), "maya", "start", "password")
    actors = [staff.actor(Role.APPROVER, f"approver{n}") for n in range(BURST)]

    def decide(n: int, actor: Actor) -> Callable[[Any], Any]:
        if n % 5 == 0:
            return lambda tx: actions.decline(tx, actor, action.id, policy)
        return lambda tx: actions.approve(tx, actor, action.id, policy)

    outcome = all_at_once(kit, [decide(n, a) for n, a in enumerate(actors)])
    assert outcome == Counter({"done": 1, "wrong_state": BURST - 1})
    kept = kit.read(lambda tx: tx.actions.get(action.id))
    assert len(changes(staff, "maya")) == (1 if kept.state == "done" else 0)


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("F10", "I1")
def test_of_fifty_starts_at_once_all_are_of_one_thing(make_kit: Make, database_url: str) -> None:
    staff = staff_of(make_kit, database_url)
    actors = [staff.actor(Role.AGENT, f"agent{n}") for n in range(BURST)]
    things = ("password", "second_factor", "mailbox")
    outcome = all_at_once(staff.kit, [_asks(staff, a, "omar", "start", things[n % 3]) for n, a in enumerate(actors)])
    assert outcome["done"] == rules.STARTS_A_DAY
    omar = person_id(staff.kit, "omar")
    begun = staff.kit.read(lambda tx: tx.actions.of_person(omar, 99))
    assert len({a.detail for a in begun}) == 1


@pytest.mark.covers("E2")
def test_security_officers_hear_of_two_who_always_agree(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    kit, policy = staff.kit, staff.kit.services.policy
    staff.actor(Role.SECURITY_OFFICER)
    agent, approver = staff.actor(Role.AGENT), staff.actor(Role.APPROVER)
    for n in range(rules.PAIR_A_DAY + 1):
        assert [w for _, w in desk_mail(staff)].count("unusual_pair") == (1 if n >= rules.PAIR_A_DAY else 0)
        action = ask(staff, agent, "maya", "unlock")
        kit.write(lambda tx, i=action.id: actions.approve(tx, approver, i, policy))
    assert types(kit).count("unusual_pair") == 1


def test_an_operator_can_approve_so_many_an_hour(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MAX_AN_HOUR", 1)
    staff = staff_of(make_kit)
    kit, policy = staff.kit, staff.kit.services.policy
    agent, approver = staff.actor(Role.AGENT), staff.actor(Role.APPROVER)
    first = ask(staff, agent, "maya", "unlock")
    kit.write(lambda tx: actions.approve(tx, approver, first.id, policy))
    second = ask(staff, agent, "maya", "unlock")
    assert code(staff, lambda tx: actions.approve(tx, approver, second.id, policy)) == "too_many"
    assert kit.read(lambda tx: tx.actions.get(second.id)).state == "waiting"


# ── why somebody is locked out, and an unlock ───────────────────────────────


@pytest.mark.covers("J5")
def test_an_unlock_shows_why_and_reaches_other_systems_without_a_password(make_kit: Make) -> None:
    kit, tray, partner = kit_of(make_kit)
    plans: list[Plan] = []

    async def apply(plan: Plan) -> list[Outcome]:
        plans.append(plan)
        if len(plans) > 1:
            raise RuntimeError("a plug-in's fault")
        return [Outcome(Step.UNLOCK, "done")]

    partner.capabilities = replace(partner.capabilities, unlock=Means.NATIVE)
    partner.apply = apply  # type: ignore[method-assign, assignment]
    staff, maya = Staff(kit, tray), person_id(kit)
    account = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0]
    kit.write(lambda tx: tx.people.set_account_state(account.id, "locked"))
    agent = staff.add(Role.AGENT)
    agent.confirm()
    at = f"/console/people/{maya}"
    assert "locked in its system" in agent.get(at).text
    for n in range(2):
        done = agent.post(f"{at}/unlock", reason="HD-9")
        assert done.headers["location"].endswith("?done=unlock")
        assert len(plans) == n, "no operator waits for a system"
        drain(kit)
    assert kit.read(lambda tx: tx.people.account(account.id)).state == "active"
    assert "Unlocked in" in agent.get(at).text
    kit.clock.forward(minutes=61)
    drain(kit)
    assert {(p.username, p.new_password) for p in plans} == {("maya", None)}
    assert len(plans) > 2, "tried again"
    rows = kit.read(lambda tx: tx.audit.rows(limit=100_000))
    results = [json.loads(r["data"])["result"] for r in rows if r["type"] == "desk_unlocked_system"]
    assert results == ["done", "uncertain"], "the fault of a system is no fault of the unlock"
    agent = staff.add(Role.AGENT, "second@example.com")  # the other one's session is over
    assert "didn’t answer within an hour" in agent.get(at).text
    assert "locked in its system" not in agent.get(f"/console/people/{maya}").text
