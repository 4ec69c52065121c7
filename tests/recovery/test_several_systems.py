"""One person, several systems: prove once, each system with its own password and its own result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.ports.connectors import Outcome, Step
from keyback.application.recovery import apply, new_password
from keyback.application.recovery.apply import judge
from keyback.domain.recovery.case import State
from keyback.domain.secret import Secret
from tests.support.kit import Kit
from tests.support.steps import NEW, OLD, choose, drain, page_of, proven, sign_in, types
from tests.support.systems import SessionsStay, checks, results, two_systems

Make = Callable[..., Kit]


@pytest.mark.covers("INV-I12", "C20")
def test_proved_once_every_system_gets_the_password(make_kit: Make) -> None:
    kit = make_kit()
    tray, crm, theirs = two_systems(kit)
    case_id = proven(kit, tray)
    choose(kit, case_id)
    drain(kit)
    assert results(kit, case_id) == {"builtin": ("done", ""), "crm": ("done", "")}
    assert (checks(kit, crm, NEW), crm.user(theirs).changes, crm.user("1").changes) == (True, 1, 0)
    assert type(sign_in(kit, "maya", NEW)).__name__ == "SignedIn"
    (told,) = [x for x in tray.messages if x.kind == "changed"]
    assert sorted(told.content.systems) == [("Keyback", "done"), ("crm", "done")]  # type: ignore[call-overload]


@pytest.mark.covers("INV-I12")
def test_only_what_was_picked_is_changed(make_kit: Make) -> None:
    kit = make_kit()
    tray, crm, theirs = two_systems(kit)
    case_id = proven(kit, tray)
    options = kit.read(lambda tx: new_password.choice(tx, case_id, page_of(tx, case_id), kit.services.policy)).accounts
    choose(kit, case_id, accounts=[a.id for a in options if a.system == "builtin"])
    drain(kit)
    assert (results(kit, case_id), crm.user(theirs).changes) == ({"builtin": ("done", "")}, 0)
    assert type(sign_in(kit, "maya", NEW)).__name__ == "SignedIn"


@pytest.mark.covers("N11", "N18", "INV-I12")
def test_one_system_refuses_and_gets_another_chance_the_other_keeps_what_it_has(make_kit: Make) -> None:
    kit = make_kit()
    tray, crm, theirs = two_systems(kit)
    crm.broken = "policy"
    case_id = proven(kit, tray)
    choose(kit, case_id, submission="one")
    drain(kit)
    assert results(kit, case_id) == {"builtin": ("done", ""), "crm": ("refused", "policy_rejected")}
    assert [
        a.system
        for a in kit.read(
            lambda tx: new_password.choice(tx, case_id, page_of(tx, case_id), kit.services.policy)
        ).accounts
    ] == ["crm"]
    crm.broken = ""
    other = Secret("kettle orchard window 9")
    choose(kit, case_id, other, "two")
    drain(kit)
    assert results(kit, case_id) == {"builtin": ("done", ""), "crm": ("done", "")}
    assert kit.read(lambda tx: tx.cases.get(case_id)).state == State.CLOSED
    assert checks(kit, crm, other) is True
    assert type(sign_in(kit, "maya", NEW)).__name__ == "SignedIn"
    assert crm.user(theirs).changes == 1


@pytest.mark.covers("N12", "INV-I12", "INV-I1")
def test_a_lost_answer_of_a_system_is_looked_into_and_not_told_wrongly(make_kit: Make) -> None:
    kit = make_kit()
    tray, crm, theirs = two_systems(kit)
    crm.broken = "drop_reply_after_apply"
    case_id = proven(kit, tray)
    choose(kit, case_id)
    drain(kit)
    assert results(kit, case_id)["crm"][0] == "working"
    crm.broken = ""
    for _ in range(4):
        kit.clock.forward(minutes=1)
        drain(kit)
    assert results(kit, case_id) == {"builtin": ("done", ""), "crm": ("done", "")}
    assert (checks(kit, crm, NEW), crm.user(theirs).changes) == (True, 1)


@pytest.mark.slow
@pytest.mark.covers("N11", "INV-I12")
def test_a_system_that_stays_away_is_told_as_not_changed(make_kit: Make) -> None:
    kit = make_kit()
    tray, crm, theirs = two_systems(kit)
    crm.broken = "refuse"
    case_id = proven(kit, tray)
    choose(kit, case_id)
    for _ in range(12):
        drain(kit)
        kit.clock.forward(minutes=1)
    assert results(kit, case_id)["builtin"] == ("done", "")
    assert results(kit, case_id)["crm"][0] in ("refused", "unsure")
    assert (crm.user(theirs).changes, checks(kit, crm, NEW)) == (0, None)
    assert types(kit).count("recovered") == 0, "a password can be chosen again for it"
    kit.clock.forward(hours=48)
    kit.write(apply.give_up)
    assert types(kit).count("recovered") == 1
    assert kit.read(lambda tx: tx.outbox.depth()) == {}


@pytest.mark.slow
@pytest.mark.covers("N11", "INV-I12")
@pytest.mark.parametrize("status", [403, 503])
def test_sessions_that_a_system_does_not_end_make_no_set_password_an_unset_one(make_kit: Make, status: int) -> None:
    kit = make_kit()
    tray, crm, theirs = two_systems(kit, make=SessionsStay)
    assert isinstance(crm, SessionsStay)
    crm.revoke_status = status
    case_id = proven(kit, tray)
    choose(kit, case_id)
    for _ in range(12):
        drain(kit)
        kit.clock.forward(minutes=1)
    assert results(kit, case_id) == {"builtin": ("done", ""), "crm": ("done", "sessions_open")}
    assert (checks(kit, crm, NEW), crm.user(theirs).changes) == (True, 1)
    (told,) = [x for x in tray.messages if x.kind == "changed"]
    assert ("crm", "sessions_open") in told.content.systems  # type: ignore[operator]


@pytest.mark.parametrize(
    ("status", "result", "code"),
    [("refused", "done", "sessions_open"), ("retry", "working", "not_permitted"), ("done", "done", "")],
)
@pytest.mark.parametrize("step", [Step.REVOKE, Step.GRANTS])
def test_nothing_after_a_finished_set_is_told_as_not_changed(step: Step, status: Any, result: str, code: str) -> None:
    before = [Outcome(Step.GUARD, "done"), Outcome(Step.SET, "done")]
    said = Outcome(step, status, "" if status == "done" else "not_permitted")
    got, last = judge([*before, said])
    assert (got, last.code) == (result, code)
    assert judge([*before, Outcome(Step.MUST_CHANGE, "refused", "not_permitted")])[0] == "unsure"
    assert judge([before[0], Outcome(Step.SET, "refused", "policy_rejected")])[0] == "refused"


@pytest.mark.covers("N9", "INV-I2")
def test_a_privileged_target_is_refused_by_the_guard(make_kit: Make) -> None:
    kit = make_kit()
    tray, crm, theirs = two_systems(kit, privileged=True)
    case_id = proven(kit, tray)
    choose(kit, case_id)
    drain(kit)
    assert results(kit, case_id) == {"builtin": ("done", ""), "crm": ("refused", "privileged_target")}
    assert crm.user(theirs).changes == 0
    assert sign_in(kit, "maya", OLD) != sign_in(kit, "maya", NEW)
