"""Why a mailed link can no longer be used: one word a cause, whatever it is for. Only whoever holds it is told."""

from __future__ import annotations

from typing import Literal

from keyback.application.ports.storage import Tx
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case, State

# `changed`: the account since the mail, as by a sign-in; `off`: the account is; `over`: the recovery ended without
# success; `finished`: it went through; `gone`: the address was taken off the record; `spent`: its tries are;
# `refused`: its reader said no; `in_effect`: what it could keep from happening has happened.
Ended = Literal[
    "unknown", "used", "refused", "spent", "replaced", "overtaken", "stopped", "wrong_number", "expired", "off",
    "changed", "over", "finished", "gone", "in_effect",
]  # fmt: skip


def why_over(tx: Tx, c: Challenge, *, bound: bool = True) -> Ended | None:
    """Why a link is over by itself, without what it is about; None where it is not.

    Args:
        bound: a change of its person's account ends it.
    """
    if c.ended is not None:
        return c.ended
    if tx.now >= c.expires_at:
        return "expired"
    person = tx.people.person(c.person_id)
    if person is None or person.state != "active":
        return "off"
    return "changed" if bound and person.security_version != c.security_version else None


def end_of_case(case: Case | None) -> Literal["stopped", "finished", "expired", "over"]:
    """How a case ended that nothing can be done with any more."""
    state = case.state if case else State.EXPIRED
    if state == State.CANCELLED:
        return "stopped"
    if state in (State.APPLYING, State.RECOVERED, State.CLOSED):
        return "finished"
    return "expired" if state == State.EXPIRED else "over"


def why_case_over(tx: Tx, c: Challenge) -> Ended | None:
    """The same for a link that shows something in a recovery."""
    case = tx.cases.get(c.case_id)
    if case is not None and case.state == State.CANCELLED:
        return "stopped"  # whatever else happened to the link before
    if (found := why_over(tx, c)) is not None:
        return found
    if case is None or case.state not in dc.JOINABLE:
        end = end_of_case(case)
        return "overtaken" if end == "finished" else end
    return None if tx.now < case.expires_at else "expired"
