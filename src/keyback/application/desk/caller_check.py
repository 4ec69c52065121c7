"""Somebody calls the help desk. Their page shows a number; an operator types it, calls back a number on record, and
types what the page shows by then. So whoever holds the page and whoever holds the phone are one, and what the caller
knows about a person is worth nothing.

A page about nobody shows the same, and takes the same statements. What a passed check is worth says the policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from keyback.application.desk.cases import lock_for
from keyback.application.desk.digest import count
from keyback.application.desk.operators import STREAM
from keyback.application.desk.sessions import Actor
from keyback.application.notifications.notify import notify_contacts, notify_started, username_of
from keyback.application.origin import Origin, where
from keyback.application.ports.calls import CallerCheck
from keyback.application.ports.messages import AskedMessage
from keyback.application.ports.storage import Intake, Match, Seals, Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.methods import holder_of
from keyback.application.recovery.resolve import join
from keyback.domain import tokens
from keyback.domain.challenges.challenge import RECOVERY_CONTACT
from keyback.domain.challenges.typed import digits
from keyback.domain.errors import Refusal
from keyback.domain.operators import calls
from keyback.domain.people.person import Contact, Person
from keyback.domain.policy.rules import Policy
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case, State
from keyback.domain.recovery.events import Note

PROOF = "caller_check"
OPEN = (State.REQUESTED, *dc.JOINABLE)
COLLISIONS = 8  # numbers that are tried until one is free
Outcome = Literal["passed", "wrong", "failed"]


# ── the caller's page ───────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows. `number`: what to read out, empty where there is none; `state` is `over` when time is up."""

    state: Literal["none", "shown", "begun", "passed", "over"]
    number: str = ""
    seconds_left: int = 0
    may_ask: bool = True


def look(tx: Tx, handle: str) -> Shown:
    """Reads."""
    found, count = tx.calls.newest_check(handle), tx.counters.get(_counter(handle))
    may_ask = count.hour < calls.NUMBERS_AN_HOUR
    if found is None:
        return Shown("none", may_ask=may_ask)
    if found.state == "passed":
        return Shown("passed")
    if found.state == "failed" or tx.now >= found.expires_at:
        return Shown("over", may_ask=may_ask)
    left = (found.expires_at - tx.now) // 1000
    number = calls.caller_number(key_of(tx.seals), found.id, 1 if found.state == "shown" else 2)
    return Shown("shown" if found.state == "shown" else "begun", number, left, may_ask)


def ask(tx: Tx, handle: str) -> bool:
    """Has a page show a new number, which ends the one before; False when it had too many. Costs the same whoever the
    page is about."""
    intake, newest = tx.intakes.get(handle), tx.calls.newest_check(handle)
    if intake is None or intake.state == "stopped" or (intake.expires_at <= tx.now and not intake.case_id):
        return False
    if newest is not None and newest.state == "begun" and tx.now < newest.expires_at:
        return True  # somebody is about to call back
    if tx.counters.add([_counter(handle)])[_counter(handle)].hour > calls.NUMBERS_AN_HOUR:
        tx.counters.take_back([_counter(handle)])
        return False
    tx.calls.withdraw(handle)
    key, until = key_of(tx.seals), tx.now + calls.NUMBER_LIFE
    for _ in range(COLLISIONS):
        check_id = tx.new_id()
        digest = calls.number_digest(key, calls.caller_number(key, check_id, 1))
        if tx.calls.add_check(CallerCheck(check_id, handle, digest, created_at=tx.now, expires_at=until)):
            tx.audit.record(handle, [Note("caller_number_shown", {"check": check_id})])
            return True
    return False


def _counter(handle: str) -> str:
    return f"ask/call/{handle}"


def key_of(seals: Seals) -> bytes:
    """What the numbers of pages are derived with."""
    return seals.derive("call")


# ── the operator's side ─────────────────────────────────────────────────────


def begin(tx: Tx, actor: Actor, typed: str, policy: Policy) -> CallerCheck | Literal["wrong", "slow_down"]:
    """Takes the number that a caller reads out: it is used up, and the check is this operator's alone.

    Nothing is told apart here either: a page about nobody begins a check that nobody can pass.

    Raises:
        Refusal: as `lock_for`: `yourself`, `rank`; or `off` where the policy takes no caller checks. Then the number
            is not used up.
    """
    me = actor.operator.id
    key = f"op/g/call/{me}"
    if not policy.takes(PROOF):
        raise Refusal("off")
    if tx.counters.add([key])[key].hour > calls.WRONG_AN_HOUR:
        tx.counters.take_back([key])
        return "slow_down"
    number, until = digits(typed, calls.DIGITS), tx.now + calls.CALLBACK_LIFE
    digest = calls.number_digest(key_of(tx.seals), number or "")
    check = tx.calls.begin_check(digest, me, until) if number else None
    intake = tx.intakes.get(check.handle) if check else None
    if check is None or intake is None:
        tx.audit.record(STREAM, [Note("caller_number_wrong", {"operator": me})])
        return "wrong"
    tx.counters.take_back([key])
    case = _case_of(tx, intake)
    about = {"operator": me, "check": check.id, "intake_id": intake.handle}
    if case is None:
        tx.audit.record(STREAM, [Note("caller_check_begun", {**about, "matched": False})])
        return check
    case, person = lock_for(tx, actor, case.id, *OPEN)
    sent = dc.SendChallenge(check.id, intake.handle, "", **where(intake.source, intake.agent))
    case = tx.cases.act(case, dc.decide(case, sent, tx.now))
    check = replace(check, case_id=case.id)
    tx.calls.save_check(check)
    _worked(tx, case, me)
    tx.audit.record(case.id, [Note("caller_check_begun", {**about, "matched": True})])
    notify_started(tx, person.id, "call_begun", case.id, case.expires_at, intake)
    return check


def _case_of(tx: Tx, intake: Intake) -> Case | None:
    """The case that a page is about, opened where there is none; None where the page is about nobody, or several."""
    if intake.case_id:
        return tx.cases.get(intake.case_id)
    if intake.state == "stopped" or intake.expires_at <= tx.now:
        return None
    found: Sequence[Match] = tx.people.match([intake.identifier]).get(intake.identifier, ())
    if len(found) != 1 or found[0].person.state != "active":
        return None  # of several that share an address nobody can say which one calls
    return join(tx, intake, found[0])


def _worked(tx: Tx, case: Case, operator_id: str) -> None:
    """Whoever checked a caller does not approve what follows."""
    work = tx.desk.work(case.id)
    tx.desk.save(replace(work, worked_by=work.worked_by | {operator_id}))


@dataclass(frozen=True, slots=True)
class OpenCheck:
    """A check on its operator's page. `phones`: numbers on record to call back; of a page about nobody there are none.

    Args:
        confirmed: a recovery contact confirmed on this page since, which does as well.
        asked_manager: the manager of record was asked to co-sign.
    """

    check: CallerCheck
    state: Literal["begun", "passed", "failed", "over"]
    person: Person | None
    phones: tuple[Contact, ...]
    confirmed: bool
    left: int
    now: int
    asked_manager: bool = False


def open_check(tx: Tx, actor: Actor, check_id: str, policy: Policy) -> OpenCheck:
    """An operator's own check.

    Raises:
        Refusal: `not_found`, also for one of somebody else's.
    """
    check = tx.calls.check(check_id)
    if check is None or check.operator_id != actor.operator.id or check.state == "shown":
        raise Refusal("not_found")
    over = check.state == "begun" and tx.now >= check.expires_at
    case = tx.cases.get(check.case_id) if check.case_id else None
    person = tx.people.person(case.person_id) if case else None
    waits = person is not None and check.state == "begun" and not over
    phones = _phones(tx, person, policy) if waits and person else ()
    state = "over" if over else check.state
    left = max(0, calls.MAX_WRONG - check.tries)
    confirmed = waits and _confirmed(case, check)
    return OpenCheck(check, state, person, phones, confirmed, left, tx.now, bool(check.manager_id))


def _phones(tx: Tx, person: Person, policy: Policy) -> tuple[Contact, ...]:
    """Numbers on record that may recover now: confirmed, cooled in, and not too long ago."""
    mine = holder_of(tx, person, policy.ages).contacts
    return tuple(c for c in mine if c.channel == "sms" and c.role != "recovery" and c.usable_from <= tx.now)


def _confirmed(case: Case | None, check: CallerCheck) -> bool:
    shown = case.shown_by(check.handle) if case else ()
    return any(e.proof == RECOVERY_CONTACT and e.accepted_at >= check.created_at for e in shown)


def take(tx: Tx, actor: Actor, check_id: str, contact_id: str, typed: str, policy: Policy) -> Outcome:
    """Takes the number that whoever answered the callback reads from their page.

    Raises:
        Refusal: `not_found`, `over`; `no_phone` when that is none of the numbers on record; or as `lock_for`.
    """
    check, case, person = lock(tx, actor, check_id)
    if person is None or case is None:
        raise Refusal("no_phone")
    contact = next((c for c in _phones(tx, person, policy) if c.id == contact_id), None)
    if contact is None:
        raise Refusal("no_phone")
    number = digits(typed, calls.DIGITS)
    if number is None or not tokens.same(calls.caller_number(key_of(tx.seals), check.id, 2), number):
        check = replace(check, tries=check.tries + 1)
        tx.calls.save_check(check)
        tx.audit.record(case.id, [Note("caller_number_wrong", {"operator": actor.operator.id, "check": check.id})])
        if check.tries < calls.MAX_WRONG:
            return "wrong"
        fail(tx, check, case, "wrong_number")
        return "failed"
    intake = tx.intakes.get(check.handle)
    if intake is None:
        raise Refusal("over")
    about = end(tx, check, "passed", contact.id) | {"method": "callback", "contact": contact.id}
    tx.audit.record(case.id, [Note("caller_check_passed", about)])
    here = Here(Origin(intake.source, intake.agent), policy)
    evidence.add(tx, case, PROOF, f"phone:{contact.id}", check.id, intake, here, "number", contact)
    return "passed"


def take_confirmation(tx: Tx, actor: Actor, check_id: str) -> None:
    """Passes a check by the word of a recovery contact, who confirmed on the page by themselves. It adds no evidence:
    theirs is there already.

    Raises:
        Refusal: `not_found`, `over`; `not_confirmed`; or as `lock_for`.
    """
    check, case, _ = lock(tx, actor, check_id)
    if case is None or not _confirmed(case, check):
        raise Refusal("not_confirmed")
    about = end(tx, check, "passed") | {"method": "recovery_contact"}
    tx.audit.record(case.id, [Note("caller_check_passed", about)])


def refuse(tx: Tx, actor: Actor, check_id: str) -> None:
    """The caller is not who they say, or nobody answered: every contact of the person is told.

    Raises:
        Refusal: `not_found`, `over`; or as `lock_for`.
    """
    check, case, _ = lock(tx, actor, check_id)
    fail(tx, check, case, "refused")


def lock(tx: Tx, actor: Actor, check_id: str) -> tuple[CallerCheck, Case | None, Person | None]:
    """An operator's own check that still runs, with its case and person, locked.

    Raises:
        Refusal: `not_found`, `over`; or as `lock_for`.
    """
    seen = tx.calls.check(check_id)
    if seen is None or seen.operator_id != actor.operator.id or seen.state == "shown":
        raise Refusal("not_found")
    case: Case | None = None
    person: Person | None = None
    if seen.case_id:
        case, person = lock_for(tx, actor, seen.case_id, *OPEN)
    check = tx.calls.check(check_id, lock=True)
    if check is None or check.state != "begun" or tx.now >= check.expires_at:
        raise Refusal("over")
    return check, case, person


def fail(tx: Tx, check: CallerCheck, case: Case | None, reason: str) -> None:
    """Ends a check that nobody passed, and tells every contact of the person."""
    about = end(tx, check, "failed") | {"reason": reason}
    tx.audit.record(case.id if case else STREAM, [Note("caller_check_failed", about)])
    intake = tx.intakes.get(check.handle)
    if case is None or intake is None:
        return
    seen = where(intake.source, intake.agent)
    told = AskedMessage(username=username_of(tx, case.person_id), what="call_failed", at=tx.now, **seen)
    notify_contacts(tx, case.person_id, told, cancels=case.id, until=case.expires_at)


def end(tx: Tx, check: CallerCheck, state: Literal["passed", "failed"], contact: str = "") -> dict[str, str]:
    """Ends a check; what the audit log says of it."""
    tx.calls.save_check(replace(check, state=state, contact_id=contact, ended_at=tx.now))
    count(tx, f"caller_{state}")
    return {"operator": check.operator_id, "check": check.id, "intake_id": check.handle}
