"""The manager of record co-signs a caller check: whom the systems say that somebody reports to, never whom the caller
names. They confirm by their own sign-in, with the number that the caller reads them from their page.

What it is worth is what a callback is worth: one method, another operator's approval, and a hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from keyback.application.desk import caller_check
from keyback.application.desk.caller_check import OPEN, PROOF, Outcome
from keyback.application.desk.operators import operators_who_are
from keyback.application.desk.sessions import Actor
from keyback.application.notifications.notify import mailboxes_of, notify, username_of
from keyback.application.origin import Origin
from keyback.application.ports.calls import CallerCheck
from keyback.application.ports.messages import ReminderMessage
from keyback.application.ports.storage import Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.domain import tokens
from keyback.domain.challenges.typed import digits
from keyback.domain.errors import Refusal
from keyback.domain.operators import calls
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.people.person import Person
from keyback.domain.policy.rules import Policy
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note

ASKS_A_DAY = 5  # of one manager: who is asked all day confirms anything


def of_record(tx: Tx, case: Case, person: Person) -> Person | None:
    """Who may co-sign for a case: the manager whom the systems named for longer than the cooling-off when it began, and
    still name. A record that somebody wrote in order to recover this account comes too late."""
    found = tx.people.manager_of(person.id)
    return found.person if found is not None and found.since + COOLING_OFF <= case.opened_at else None


def ask(tx: Tx, actor: Actor, check_id: str) -> None:
    """Asks the manager of record to co-sign a check that its operator has begun.

    Raises:
        Refusal: `not_found`, `over`, or as `lock_for`; `no_manager` where the page is about nobody, there is none, or
            the operator is them; `many_asks` for one manager today.
    """
    check, case, person = caller_check.lock(tx, actor, check_id)
    manager = of_record(tx, case, person) if case and person else None
    if case is None or manager is None or any(o.id == actor.operator.id for o in operators_who_are(tx, manager)):
        raise Refusal("no_manager")
    if check.manager_id:
        return
    key = f"ask/manager/{manager.id}"
    if tx.counters.add([key])[key].day > ASKS_A_DAY:
        raise Refusal("many_asks")
    tx.calls.save_check(replace(check, manager_id=manager.id, expires_at=tx.now + calls.CALLBACK_LIFE))
    about = {"operator": actor.operator.id, "check": check.id, "manager": manager.id}
    tx.audit.record(case.id, [Note("manager_asked", about)])
    told = ReminderMessage(username=username_of(tx, manager.id), what="manager_asked", path="/account/callers")
    own = [c for c in mailboxes_of(tx, manager.id) if c.role != "recovery" and c.usable_from <= tx.now]
    notify(tx, told, own, life=calls.CALLBACK_LIFE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that a manager is asked about. `handle`: the caller's page; whose browser has it open does not confirm."""

    check_id: str
    person: str
    operator: str
    until: int
    left: int
    handle: str


def asked(tx: Tx, manager_id: str) -> tuple[Asked, ...]:
    """What this person is asked to co-sign now."""
    out = []
    for check in tx.calls.for_manager(manager_id):
        case = tx.cases.get(check.case_id)
        person = tx.people.person(case.person_id) if case else None
        operator = tx.operators.get(check.operator_id)
        if case is not None and person is not None and of_record(tx, case, person) is not None:
            left = max(0, calls.MAX_WRONG - check.tries)
            name = operator.name if operator else ""
            out.append(Asked(check.id, person.name, name, check.expires_at, left, check.handle))
    return tuple(out)


def confirm(tx: Tx, manager: Person, check_id: str, typed: str, policy: Policy) -> Outcome:
    """Takes the number that the caller reads to their manager. Three wrong ones end the check.

    Raises:
        Refusal: `over`, also for what this person was not asked.
    """
    check, case = _lock(tx, manager, check_id)
    number = digits(typed, calls.DIGITS)
    if number is None or not tokens.same(calls.caller_number(caller_check.key_of(tx.seals), check.id, 2), number):
        check = replace(check, tries=check.tries + 1)
        tx.calls.save_check(check)
        tx.audit.record(case.id, [Note("caller_number_wrong", {"manager": manager.id, "check": check.id})])
        if check.tries < calls.MAX_WRONG:
            return "wrong"
        caller_check.fail(tx, check, case, "wrong_number")
        return "failed"
    intake = tx.intakes.get(check.handle)
    if intake is None:
        raise Refusal("over")
    about = caller_check.end(tx, check, "passed") | {"method": "manager", "manager": manager.id}
    tx.audit.record(case.id, [Note("caller_check_passed", about)])
    work = tx.desk.work(case.id)  # whoever co-signed does not approve what follows
    theirs = frozenset(o.id for o in operators_who_are(tx, manager))
    tx.desk.save(replace(work, worked_by=work.worked_by | theirs))
    here = Here(Origin(intake.source, intake.agent), policy)
    evidence.add(tx, case, PROOF, f"manager:{manager.id}", check.id, intake, here, "number")
    return "passed"


def refuse(tx: Tx, manager: Person, check_id: str) -> None:
    """It isn't them, or the manager cannot say so: the check ends, and every contact of the person is told.

    Raises:
        Refusal: as `confirm`.
    """
    check, case = _lock(tx, manager, check_id)
    caller_check.fail(tx, check, case, "manager")


def _lock(tx: Tx, manager: Person, check_id: str) -> tuple[CallerCheck, Case]:
    seen = tx.calls.check(check_id)
    case = tx.cases.get(seen.case_id) if seen and seen.manager_id == manager.id and seen.case_id else None
    person = tx.people.lock(case.person_id) if case else None
    check = tx.calls.check(check_id, lock=True) if person else None
    if case is None or person is None or check is None or check.state != "begun" or tx.now >= check.expires_at:
        raise Refusal("over")
    still = of_record(tx, case, person)
    if case.state not in OPEN or still is None or still.id != manager.id:
        raise Refusal("over")
    return check, case
