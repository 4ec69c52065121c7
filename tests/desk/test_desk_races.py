"""Fifty operators at once: one has a case, one decides it, and an approval is for what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.desk import approvals, operators, workbench
from keyback.application.desk.sessions import Actor
from keyback.domain.operators.approvals import Decision, Recommendation, obstacle_to_approval
from keyback.domain.operators.roles import Operator, Role
from tests.support.console import URL, Staff, staffed, waits
from tests.support.kit import Kit
from tests.support.races import all_at_once
from tests.support.steps import drain

Make = Callable[..., Kit]
BURST = 50


def version_of(kit: Kit, case_id: str) -> int:
    return int(kit.read(lambda tx: tx.cases.get(case_id)).version)


def recommended(staff: Staff, handle: str, case_id: str) -> int:
    kit, agent = staff.kit, staff.actor(Role.AGENT)
    version = version_of(kit, case_id)
    kit.write(lambda tx: workbench.claim(tx, agent, case_id))
    kit.write(lambda tx: workbench.recommend(tx, agent, case_id, handle, version, "Fits.", "", kit.services.policy))
    return version


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("F10")
def test_fifty_claims_at_once_have_one_winner(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url, public_url=URL)
    staff = staffed(kit)
    _, case_id = waits(staff)
    actors = [staff.actor(Role.AGENT, f"agent{n}") for n in range(BURST)]

    def claim(actor: Actor) -> Callable[[Any], None]:
        return lambda tx: workbench.claim(tx, actor, case_id)

    assert all_at_once(kit, list(map(claim, actors))) == {"done": 1, "claimed": BURST - 1}
    work = kit.read(lambda tx: tx.desk.work(case_id))
    assert {work.claimed_by} == set(work.worked_by)


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("F10", "E2")
def test_fifty_decisions_at_once_decide_once(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url, public_url=URL)
    staff = staffed(kit)
    started, case_id = waits(staff)
    version = recommended(staff, started.handle, case_id)
    actors = [staff.actor(Role.APPROVER, f"approver{n}") for n in range(BURST)]
    staff.actor(Role.SECURITY_OFFICER)

    def decide(n: int, actor: Actor) -> Callable[[Any], Any]:
        if n % 2:
            return lambda tx: approvals.decline(tx, actor, case_id, version, "No.")
        return lambda tx: approvals.approve(tx, actor, case_id, started.handle, version, "Yes.", kit.services.policy)

    outcome = all_at_once(kit, [decide(n, a) for n, a in enumerate(actors)])
    assert outcome == {"done": 1, "wrong_state": BURST - 1}
    notes = [n for n in kit.read(lambda tx: tx.desk.notes(case_id)) if n.kind in ("approved", "declined")]
    assert len(notes) == 1
    drain(kit)
    assert len([m for m in staff.tray.messages if m.kind == "desk"]) == 1, "the security officer hears of it"
    told = [m for kind in ("hold", "stopped") for m in staff.tray.to("maya@example.com", kind)]
    assert len(told) == 1


@pytest.mark.covers("E2", "A-8.2.2")
def test_an_approval_is_for_the_version_that_was_seen(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    started, case_id = waits(staff)
    version = recommended(staff, started.handle, case_id)
    agent, approver, policy = staff.actor(Role.AGENT), staff.actor(Role.APPROVER), kit.services.policy

    def approve(actor: Actor, seen: int, page: str = started.handle, why: str = "Yes.") -> Counter[str]:
        return all_at_once(kit, [lambda tx: approvals.approve(tx, actor, case_id, page, seen, why, policy)])

    assert approve(approver, version - 1) == {"conflict": 1}
    assert approve(approver, version, page="x" * 22) == {"not_found": 1}
    assert approve(approver, version, why="  ") == {"empty": 1}
    assert approve(agent, version) == {"own_work": 1}, "whatever a role may, whoever worked on it does not approve"
    kit.clock.forward(minutes=6)
    assert approve(approver, version) == {"step_up": 1}
    fresh = staff.actor(Role.APPROVER)
    kit.write(lambda tx: tx.operators.end_sessions(fresh.operator.id))
    assert approve(fresh, version) == {"over": 1}
    fresh = staff.actor(Role.APPROVER)
    assert approve(fresh, version) == {"done": 1}
    assert approve(fresh, version) == {"wrong_state": 1}


@pytest.mark.covers("E2", "N-R11")
def test_what_comes_after_a_recommendation_voids_it() -> None:
    actor = Operator("o2", "N", "n@example.com", Role.APPROVER, "active")
    told = Recommendation("o1", "h1", 7)
    right = Decision("privileged", 7, "h1", frozenset({"o1"}), told)
    assert obstacle_to_approval(actor, right, 7) == ""
    assert obstacle_to_approval(actor, right, 8) == "changed"
    assert obstacle_to_approval(actor, Decision("privileged", 8, "h1", frozenset({"o1"}), told), 8) == "not_recommended"
    assert obstacle_to_approval(actor, Decision("privileged", 7, "h2", frozenset({"o1"}), told), 7) == "not_recommended"
    assert obstacle_to_approval(actor, Decision("privileged", 7, "h1"), 7) == "not_recommended"
    assert obstacle_to_approval(actor, Decision("mfa", 7, "h1"), 7) == ""
    assert obstacle_to_approval(actor, Decision("mfa", 7, "h1", frozenset({"o2"})), 7) == "own_work"


def test_security_officers_hear_of_operators_who_are_added_on_the_server(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    staff.actor(Role.SECURITY_OFFICER)
    kit.write(lambda tx: operators.add(tx, "Nina", "nina@example.com", Role.AGENT))
    kit.write(lambda tx: operators.invite_again(tx, "nina@example.com"))
    drain(kit)
    told = [m for m in staff.tray.messages if m.kind == "desk"]
    assert [m.to for m in told] == ["security_officer@example.com"] * 2
    assert [getattr(m.content, "what", "") for m in told] == ["operator_added", "operator_invited"]


@pytest.mark.slow
@pytest.mark.covers("L10", "B7", "A-6.3.1")
def test_wrong_sign_ins_of_operators_are_limited_and_tell_nothing(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    agent = staff.add(Role.AGENT)
    mails = ("agent@example.com", "no@example.com")
    pages = {agent.sign_in(mail, code="000000").text.replace(mail, "") for mail in mails}
    assert len({p.split("data-options")[0] for p in pages}) == 1, "known and unknown look the same"
    for mail in mails:
        statuses = [agent.sign_in(mail, code="000000").status_code for _ in range(12)]
        assert (statuses[0], statuses[-1]) == (401, 429)
    assert agent.sign_in("agent@example.com").status_code == 429
    kit.clock.forward(hours=2)
    assert agent.sign_in("agent@example.com").headers["location"] == "/console"
