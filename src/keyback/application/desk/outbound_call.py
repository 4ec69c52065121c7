"""An operator calls somebody: it is entered before it is made, and the person sees it where they look anyway.

Whoever is called types and says nothing: they compare two digits, which the operator reads out, with those on their own
screen. There is no page that a caller could send them to. Everywhere else it says that no one of ours is calling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from keyback.application.desk.cases import lock_for
from keyback.application.desk.sessions import Actor
from keyback.application.notifications.notify import contacts_of, notify, username_of
from keyback.application.ports.calls import CallReason, OutboundCall
from keyback.application.ports.messages import CallMessage
from keyback.application.ports.storage import Seals, Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators import calls
from keyback.domain.people.person import Contact, Person
from keyback.domain.recovery.events import Note

REASONS: tuple[CallReason, ...] = get_args(CallReason)


@dataclass(frozen=True, slots=True)
class ShownCall:
    """What the person sees of a call that they may get now."""

    operator: str
    reason: CallReason
    number: int
    until: int


@dataclass(frozen=True, slots=True)
class EnteredCall:
    """A call on its operator's page. `phones`: numbers on record; none once it is over."""

    call: OutboundCall
    person: Person
    number: int
    phones: tuple[Contact, ...]
    live: bool


def _number(seals: Seals, call: OutboundCall) -> int:
    return calls.call_number(seals.derive("call"), call.id)


def enter(tx: Tx, actor: Actor, case_id: str, reason: str) -> OutboundCall:
    """Enters a call to a case's person, and tells them at once: every contact that they can use.

    Raises:
        Refusal: as `lock_for`; `many_calls` for this person today.
        BadInput: `reason`.
    """
    if reason not in REASONS:
        raise BadInput("reason")
    case, person = lock_for(tx, actor, case_id)
    key = f"ask/out/{person.id}"
    if tx.counters.add([key])[key].day > calls.CALLS_A_DAY:
        raise Refusal("many_calls")
    me = actor.operator
    call = OutboundCall(tx.new_id(), person.id, case.id, me.id, reason, tx.now, tx.now + calls.CALL_LIFE)
    tx.calls.add_call(call)
    told = CallMessage(
        username=username_of(tx, person.id), operator=me.name, reason=reason, number=_number(tx.seals, call), at=tx.now
    )
    own = [c for c in contacts_of(tx, person.id) if c.role != "recovery" and c.usable_from <= tx.now]
    notify(tx, told, own, life=calls.CALL_LIFE)
    tx.audit.record(case.id, [Note("call_entered", {"operator": me.id, "call": call.id, "reason": reason})])
    return call


def open_call(tx: Tx, actor: Actor, call_id: str) -> EnteredCall:
    """An operator's own call.

    Raises:
        Refusal: `not_found`, also for one of somebody else's.
    """
    call = tx.calls.call(call_id)
    person = tx.people.person(call.person_id) if call else None
    if call is None or person is None or call.operator_id != actor.operator.id:
        raise Refusal("not_found")
    live = not call.ended_at and tx.now < call.expires_at
    own = [c for c in contacts_of(tx, person.id) if c.channel == "sms" and c.role != "recovery"]
    phones = tuple(c for c in own if c.usable_from <= tx.now) if live else ()
    return EnteredCall(call, person, _number(tx.seals, call), phones, live)


def end(tx: Tx, actor: Actor, call_id: str) -> str:
    """The call is over: from now on no one of ours is calling. The id of its case.

    Raises:
        Refusal: `not_found`, or as `lock_for`.
    """
    call = tx.calls.call(call_id)
    if call is None or call.operator_id != actor.operator.id:
        raise Refusal("not_found")
    case, _ = lock_for(tx, actor, call.case_id)
    if tx.calls.end_call(call.id):
        tx.audit.record(case.id, [Note("call_ended", {"operator": actor.operator.id, "call": call.id})])
    return case.id


def call_to(tx: Tx, person_id: str) -> ShownCall | None:
    """The call that somebody may get now, for their own security center; None: no one of ours is calling."""
    call = tx.calls.call_to(person_id)
    operator = tx.operators.get(call.operator_id) if call else None
    if call is None or operator is None or operator.state != "active":
        return None
    return ShownCall(operator.name, call.reason, _number(tx.seals, call), call.expires_at)
