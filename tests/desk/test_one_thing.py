"""A case renews one thing, whoever else asks in it and however its holds run side by side."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from keyback.domain.errors import Refusal
from keyback.domain.policy.claims import PIECES
from keyback.domain.policy.rules import Journey, Policy, Risk, rule
from keyback.domain.recovery import case as dc
from keyback.domain.recovery import events as ev
from keyback.domain.recovery.case import Case, decide, evolve

A, B, C = "a" * 22, "b" * 22, "c" * 22
THINGS: dict[str, Any] = {
    "password": None,
    "second_factor": dc.Remedy("factor_replaced", B),
    "mailbox": dc.Remedy("mailbox_replaced", B),
}


def after(case: Case, *events: ev.CaseEvent, at: int = 0) -> Case:
    for e in events:
        case = evolve(case, e, at)
    return case


def proven(case: Case, page: str) -> Case:
    return after(
        case,
        ev.ProofAccepted("email_link", "issued", "mail:1", "x", page, False, ""),
        ev.ProofAccepted("caller_check", "proofing", "phone:1", "y", page, False, "number"),
    )


def recovered_by_calls() -> Case:
    """Two pages, each by a mail and a call, whose holds were over at the same time."""
    case = after(
        Case("c"),
        ev.Requested("p", "password", "mfa", ("one", "two"), 10_000_000),
        ev.ChallengeSent("ch", A, "m", "", ""),
    )
    case = proven(proven(case, A), B)
    return after(case, ev.Approved("hold", A), ev.Approved("hold", B))


@pytest.mark.covers("I1")
@pytest.mark.parametrize("second", ["second_factor", "mailbox"])
def test_a_password_and_something_else_are_never_renewed_by_one_case(second: str) -> None:
    case = recovered_by_calls()
    jobs = (("one", "j1"), ("two", "j2"))
    case = after(case, *decide(case, dc.ChoosePassword(jobs, "s", A), 1))
    with pytest.raises(Refusal):
        decide(case, THINGS[second], 1)
    case = after(case, *decide(case, dc.Settle("one", "done", "", ""), 2))
    case = after(case, *decide(case, dc.Settle("two", "refused", "policy_rejected", ""), 2))
    assert case.state == dc.State.APPROVED, "another password may be chosen for the second system"
    with pytest.raises(Refusal, match="wrong_state"):
        decide(case, THINGS[second], 3)
    # Nor by a hold that is over only now, which starts the results over.
    late = proven(case, C)
    late = after(late, ev.HoldStarted(3, C, ""), ev.Approved("hold", C), at=3)
    assert late.results == ()
    with pytest.raises(Refusal, match="wrong_state"):
        decide(late, replace(THINGS[second], intake_id=C), 3)
    assert decide(case, dc.ChoosePassword((("two", "j3"),), "t", A), 3)


@pytest.mark.covers("I1")
def test_whatever_is_replaced_first_the_case_is_over_with_it() -> None:
    for first, second in permutations(("second_factor", "mailbox"), 2):
        case = recovered_by_calls()
        case = after(case, *decide(case, THINGS[first], 1))
        assert case.ended
        for command in (THINGS[second], dc.ChoosePassword((("one", "j"),), "s", A)):
            with pytest.raises(Refusal):
                decide(case, command, 1)


@pytest.mark.covers("I1")
@pytest.mark.parametrize("journey", ["password", "second_factor", "mailbox"])
def test_each_thing_waits_on_its_own(journey: Journey) -> None:
    """Another case has no evidence of the one before: what rests on a call waits there from the beginning."""

    shown = [p.evidence for p in PIECES if str(p) in ("email_link (mail:primary)", "caller_check (phone:1)")]
    policy = Policy()
    assert rule(shown, "mfa", Risk(True, True), policy, journey).kind == "review"
    approved = rule(shown, "mfa", Risk(True, True), policy, journey, approved=True)
    assert (approved.kind, approved.wait) == ("hold", policy.holds.proofing)
