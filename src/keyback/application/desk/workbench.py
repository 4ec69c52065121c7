"""Work on a case: claimed, released, commented, and put before somebody else for approval."""

from __future__ import annotations

from dataclasses import replace

from keyback.application.desk import keys
from keyback.application.desk.cases import lock_for, pages_of
from keyback.application.desk.sessions import Actor
from keyback.application.enrolment.tier import tier_of
from keyback.application.ports.desk_storage import DeskNote, NoteKind
from keyback.application.ports.storage import Tx
from keyback.domain.characters import is_shown
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.approvals import Recommendation
from keyback.domain.policy.rules import TIERS, Policy
from keyback.domain.recovery.case import Case, State
from keyback.domain.recovery.events import Note

MAX_TEXT = 2000
MAX_TICKET = 200


def claim(tx: Tx, actor: Actor, case_id: str) -> None:
    """Takes a case on; one operator at a time has it.

    Raises:
        Refusal: as `lock_for`, or `claimed` when somebody else has it.
    """
    case, _ = lock_for(tx, actor, case_id, State.IN_REVIEW)
    work, me = tx.desk.work(case.id), actor.operator.id
    if work.claimed_by == me:
        return
    if work.claimed_by and not keys.has_lapsed(tx, work.claimed_by):
        raise Refusal("claimed")
    tx.desk.save(replace(work, claimed_by=me, claimed_at=tx.now, worked_by=work.worked_by | {me}))
    tx.audit.record(case.id, [Note("case_claimed", {"operator": me})])


def release(tx: Tx, actor: Actor, case_id: str) -> None:
    """Gives a case back to the queue. It goes on counting as one that this operator worked on.

    Raises:
        Refusal: as `lock_for`, or `claimed` when somebody else has it.
    """
    case, _ = lock_for(tx, actor, case_id)
    work, me = tx.desk.work(case.id), actor.operator.id
    if work.claimed_by != me:
        raise Refusal("claimed")
    tx.desk.save(replace(work, claimed_by="", claimed_at=0))
    tx.audit.record(case.id, [Note("case_released", {"operator": me})])


def comment(tx: Tx, actor: Actor, case_id: str, text: str) -> str:
    """Writes a comment for colleagues; its id.

    Raises:
        Refusal: as `lock_for`. `BadInput`: `empty` or `too_long`.
    """
    case, _ = lock_for(tx, actor, case_id)
    note = write(tx, actor, case, "note", text)
    tx.audit.record(case.id, [Note("case_commented", {"operator": actor.operator.id})])
    return note.id


def set_ticket(tx: Tx, actor: Actor, case_id: str, ticket: str) -> None:
    """Names the company's own ticket of a case; empty names none.

    Raises:
        Refusal: as `lock_for`.
    """
    case, _ = lock_for(tx, actor, case_id)
    work, ticket = tx.desk.work(case.id), one_line(ticket)[:MAX_TICKET]
    if work.ticket != ticket:
        tx.desk.save(replace(work, ticket=ticket))
        tx.audit.record(case.id, [Note("case_ticket_set", {"operator": actor.operator.id})])


def recommend(
    tx: Tx, actor: Actor, case_id: str, page: str, version: int, reason: str, ticket: str, policy: Policy
) -> None:
    """Puts what one page showed before somebody who may approve it, with the reason and the ticket.

    Raises:
        Refusal: as `lock_for`; `claimed` when they have not claimed it; `conflict` when the case is not what the page
            showed; `not_enough_evidence` when this page does not wait for anybody.
        BadInput: as `comment`.
    """
    case, person = lock_for(tx, actor, case_id, State.IN_REVIEW)
    work, me = tx.desk.work(case.id), actor.operator.id
    if work.claimed_by != me:
        raise Refusal("claimed")
    if version != case.version:
        raise Refusal("conflict")
    accounts = tx.people.accounts([person.id]).get(person.id, ())
    tier = max(case.tier, tier_of(tx, person, accounts, policy), key=TIERS.index)
    if not any(p.waits and p.handle == page for p in pages_of(tx, case, tier, policy)):
        raise Refusal("not_enough_evidence")
    write(tx, actor, case, "recommended", reason)
    told = Recommendation(me, page, version)
    ticket = one_line(ticket)[:MAX_TICKET]
    tx.desk.save(replace(work, recommended=told, recommended_at=tx.now, worked_by=work.worked_by | {me}, ticket=ticket))
    tx.audit.record(case.id, [Note("case_recommended", {"operator": me, "intake_id": page, "version": version})])


def write(tx: Tx, actor: Actor, case: Case, kind: NoteKind, text: str) -> DeskNote:
    """Keeps what an operator wrote, sealed.

    Raises:
        BadInput: `empty` or `too_long`.
    """
    text = "\n".join(one_line(line) for line in text.splitlines()).strip()
    if not text:
        raise BadInput("empty")
    if len(text) > MAX_TEXT:
        raise BadInput("too_long")
    note = DeskNote(tx.new_id(), case.id, actor.operator.id, kind, tx.now, text)
    tx.desk.add_note(note)
    return note


def one_line(text: str) -> str:
    """What can be shown of a line of text."""
    return "".join(c for c in " ".join(text.split()) if is_shown(c))
