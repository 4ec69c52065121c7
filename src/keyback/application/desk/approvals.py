"""Recoveries that wait for an operator are approved or declined: for one version of the case, and never by whoever
worked on it. The person goes on by their own page; no operator sees or chooses a password."""

from __future__ import annotations

from keyback.application.desk.cases import lock_for
from keyback.application.desk.digest import count
from keyback.application.desk.notices import tell_of_pair, tell_officers
from keyback.application.desk.sessions import Actor, must_be_fresh
from keyback.application.desk.workbench import write
from keyback.application.enrolment.tier import tier_of
from keyback.application.notifications.notify import notify_contacts, username_of
from keyback.application.origin import Origin, where
from keyback.application.ports.messages import AskedMessage, StoppedMessage
from keyback.application.ports.storage import Intake, Tx
from keyback.application.recovery import evidence
from keyback.domain.errors import Refusal
from keyback.domain.operators.approvals import Decision, obstacle_to_approval
from keyback.domain.policy.rules import TIERS, Policy
from keyback.domain.recovery import case as dc
from keyback.domain.recovery import events as ev
from keyback.domain.recovery.case import Case, State

MAX_AN_HOUR = 20  # approvals by one operator: more is no work of a careful reader


def approve(tx: Tx, actor: Actor, case_id: str, page: str, version: int, reason: str, policy: Policy) -> Case:
    """Approves what one page showed. It goes on at once, or after the hold that the policy wants.

    Args:
        version: of the case, as the operator saw it.

    Raises:
        Refusal: as `lock_for`; `step_up` without a second factor just now; `own_work`, `not_recommended` or
            `conflict`; `too_many` in one hour; `not_enough_evidence` when what was shown does not hold any more.
        BadInput: the reason is `empty` or `too_long`.
    """
    intake = tx.intakes.get(page, lock=True)
    case, person = lock_for(tx, actor, case_id, State.IN_REVIEW)
    if intake is None or not any(e.handle == page for e in case.evidence):
        raise Refusal("not_found")
    work, me = tx.desk.work(case.id), actor.operator.id
    tier = max(
        case.tier, tier_of(tx, person, tx.people.accounts([person.id]).get(person.id, ()), policy), key=TIERS.index
    )
    decision = Decision(tier, version, page, work.worked_by, work.recommended)
    _may_decide(tx, actor, obstacle_to_approval(actor.operator, decision, case.version))
    key = f"op/approved/{me}"
    if tx.counters.add([key])[key].hour > MAX_AN_HOUR:
        raise Refusal("too_many")
    command = dc.Approve(
        me,
        page,
        version,
        tuple(evidence.still_holds(tx, case, page)),
        work.recommended.operator_id if work.recommended else "",
        tier,
        intake.journey,
        evidence.risk_of(tx, person.id, Origin(intake.source, intake.agent), policy),
        policy,
    )
    happened = dc.decide(case, command, tx.now)
    write(tx, actor, case, "approved", reason)
    case = tx.cases.act(case, happened)
    if work.recommended:
        tell_of_pair(tx, work.recommended.operator_id, actor.operator)
    count(tx, "approved")
    _tell_officers(tx, actor, case, "approved")
    for e in happened:
        if isinstance(e, ev.HoldStarted):
            evidence.tell_hold(tx, case, e.until, intake, over=False)
        if isinstance(e, ev.Approved):
            _tell_approved(tx, case, intake)
    return case


def decline(tx: Tx, actor: Actor, case_id: str, version: int, reason: str) -> Case:
    """Declines a recovery: it ends, its links end, and every contact is told.

    Raises:
        Refusal: as `lock_for`; `step_up`, or `conflict` when the case is not what the operator saw.
        BadInput: the reason is `empty` or `too_long`.
    """
    case, person = lock_for(tx, actor, case_id, State.IN_REVIEW)
    _may_decide(tx, actor, "changed" if version != case.version else "")
    write(tx, actor, case, "declined", reason)
    case = tx.cases.act(case, dc.decide(case, dc.Reject(actor.operator.id, version, "declined"), tx.now))
    tx.challenges.end_where("stopped", case_id=case.id)
    notify_contacts(tx, person.id, StoppedMessage(username=username_of(tx, person.id), at=tx.now, by="operator"))
    count(tx, "declined")
    _tell_officers(tx, actor, case, "declined")
    return case


def _tell_officers(tx: Tx, actor: Actor, case: Case, what: str) -> None:
    person = tx.people.person(case.person_id)
    if case.tier == "privileged":
        tell_officers(tx, what, person.name if person else "", actor.operator.name, case_id=case.id)


def _may_decide(tx: Tx, actor: Actor, obstacle: str) -> None:
    must_be_fresh(tx, actor)
    if obstacle:
        raise Refusal("conflict" if obstacle == "changed" else obstacle)


def _tell_approved(tx: Tx, case: Case, intake: Intake) -> None:
    told = AskedMessage(
        username=username_of(tx, case.person_id),
        what="review_approved",
        at=tx.now,
        **where(intake.source, intake.agent),
    )
    notify_contacts(tx, case.person_id, told, cancels=case.id, until=case.expires_at)
