""" "This wasn't me": the owner ends everything at once, by the link in a notice or from inside (E7, E13, N-T3).

Opening the link changes nothing; only a POST does. What was added in the last 72 hours goes as well if the owner says
so. Signing in is off until a recovery: whoever got in knows the password.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from keyback.application import locking
from keyback.application.enrolment import contacts, factors
from keyback.application.enrolment.recently_added import Added, recent
from keyback.application.notifications.account_changes import (
    DAYS_BACK,
    GONE_LINK_LIFE,
    METHOD,
    notify_account_change,
    record,
)
from keyback.application.notifications.link_endings import Ended, why_over
from keyback.application.notifications.notify import username_of
from keyback.application.origin import Origin
from keyback.application.people import address_changes
from keyback.application.ports.storage import Tx
from keyback.application.recovery import cancel
from keyback.application.signin import alerts
from keyback.application.tasks import stop
from keyback.domain.challenges.challenge import EMAIL_LINK, Challenge, Purpose
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Contact, Person
from keyback.domain.policy.rules import Policy
from keyback.domain.recovery import case as dc

SYSTEM = "builtin"
LockedBy = Literal["locked_down", "desk_locked_down"]
VOID: tuple[Purpose, ...] = ("recovery", "enrol", "step_up", "sign_in")


@dataclass(frozen=True, slots=True)
class Notice:
    """What the reader of a notice may see. `elsewhere`: systems whose password a lockdown leaves as it is."""

    problem: Ended | None
    username: str = ""
    recent: tuple[Added, ...] = ()
    elsewhere: tuple[str, ...] = ()


def notice(tx: Tx, token: str) -> Challenge | None:
    """The challenge behind the link of a notice about a change."""
    return tx.challenges.behind(token, "cancel", METHOD)


def look(tx: Tx, token: str) -> Notice:
    """Reads; changes nothing, however often it is called."""
    p = notice(tx, token)
    if p is None:
        return Notice("unknown")
    reader = tx.contacts.many([p.target]).get(p.target)
    gone = reader is not None and reader.state == "removed"
    if p.ended == "stopped" and gone:
        return Notice("gone")
    if (problem := why_over(tx, p, bound=False)) is not None:
        return Notice(problem, username_of(tx, p.person_id))
    if gone and reader is not None and reader.ended_at + GONE_LINK_LIFE <= tx.now:
        return Notice("gone")
    added = recent(tx, p.person_id, tx.now - DAYS_BACK, hidden=True)
    return Notice(None, username_of(tx, p.person_id), added, not_locked(tx, p.person_id))


def not_locked(tx: Tx, person_id: str) -> tuple[str, ...]:
    """Systems in which a person has a password that only a recovery changes: nothing here can lock them."""
    accounts = tx.people.accounts([person_id]).get(person_id, ())
    return tuple(dict.fromkeys(a.system for a in accounts if a.system != SYSTEM and not a.provider))


def lock_by_link(tx: Tx, token: str, take_back: bool, origin: Origin) -> bool:
    """Locks the account whose notice this is; True for exactly one caller."""
    p = notice(tx, token)
    if p is None:
        return False
    locking.with_case(tx, p.person_id)
    if look(tx, token).problem or not tx.challenges.end(p.id, "used"):
        return False
    lock(tx, p.person_id, take_back, origin, by=p.target)
    return True


def lock(tx: Tx, person_id: str, take_back: bool, origin: Origin, by: str = "", what: LockedBy = "locked_down") -> None:
    """Ends sessions, known browsers, pending questions and recoveries; switches sign-in off until a recovery.
    Accounts in other systems are stopped where that is possible.

    Every contact hears of it once: locking what is locked already is noted, and told only where something was taken
    back with it, so that nobody fills mailboxes with the links of earlier notices.

    Args:
        take_back: also removes what was added in the last 72 hours.
        by: id of the contact whose link it was, or of the operator; empty from inside.
        what: `desk_locked_down` where an operator did it.
    """
    locking.with_case(tx, person_id)
    added = recent(tx, person_id, tx.now - DAYS_BACK)
    gone = take_away(tx, person_id, [a.id for a in added]) if take_back else []
    tx.sessions.end_all(person_id)
    tx.devices.forget(person_id)
    alerts.locked(tx, person_id)
    for purpose in VOID:
        tx.challenges.end_where("stopped", person_id=person_id, purpose=purpose, but=EMAIL_LINK)
    tx.people.bump_security(person_id)
    case = tx.cases.open_of([person_id]).get(person_id)
    if case is not None and case.state in dc.STOPPABLE:
        try:
            cancel.cancel(tx, case.id, "owner" if what == "locked_down" else "operator")
        except Refusal:
            pass  # it is being applied; the new password then is the owner's or is replaced by the next recovery
    own = [a for a in tx.people.accounts([person_id]).get(person_id, ()) if a.system == SYSTEM]
    again = any(tx.counters.get(f"lockdown/{a.id}").total for a in own)
    for account in own:
        if account.state == "active":
            tx.people.set_account_state(account.id, "locked")
            tx.counters.add([f"lockdown/{account.id}"])  # until a new password: whoever got in knows the old one
            again = False
    stop.request(tx, person_id)
    data: dict[str, object] = {"by": by, "taken_back": [a.id for a in added] if take_back else []}
    if again and not (take_back and added):
        record(tx, person_id, what, origin, data)
    else:
        notify_account_change(tx, person_id, what, origin, also=gone, data=data)


def drop(tx: Tx, person: Person, ids: Sequence[str], policy: Policy, origin: Origin) -> None:
    """Removes what its owner does not know, and tells everybody; the last second step of who must have one stays."""
    tx.people.lock(person.id)
    for item in ids:
        factor = tx.factors.get(item)
        try:
            if factor is not None:
                factors.remove(tx, person.id, item, policy, origin)
            else:
                contacts.remove(tx, person.id, item, origin)
        except Refusal:
            continue  # not theirs, gone already, or not theirs to remove


def take_away(tx: Tx, person_id: str, ids: Sequence[str]) -> list[Contact]:
    """Removes factors and contacts of a person; the contacts among them, to be told. Ids of others are passed over."""
    factors = {f.id for f in tx.factors.of_person(person_id)}
    own = {c.id: c for c in tx.contacts.of_person(person_id, states=("confirmed", "pending"))}
    out: list[Contact] = []
    for item in ids:
        tx.challenges.end_where("stopped", target=item)
        if item in factors:
            tx.factors.turn(item, "active", "removed")
        elif item in own and address_changes.refusable(own[item], tx.now):
            out += [c] if (c := tx.contacts.refuse(item)) else []
        elif item in own and own[item].origin == "person" and tx.contacts.remove(item):
            out += [own[item]] if own[item].state == "confirmed" and own[item].role != "recovery" else []
    return out
