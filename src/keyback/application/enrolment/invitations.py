"""A recovery contact looks at an invitation, and accepts or declines it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from keyback.application.enrolment.contacts import INVITED, PER_COLLEAGUE, mark_confirmed
from keyback.application.notifications.link_endings import Ended, why_over
from keyback.application.origin import Origin
from keyback.application.ports.storage import Tx
from keyback.domain import digests
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.person import canonicalize
from keyback.domain.recovery.events import Note


@dataclass(frozen=True, slots=True)
class Invitation:
    """What somebody who is asked to become a recovery contact may see. `accepted`: they are one."""

    problem: Ended | Literal["accepted"] | None
    person: str = ""
    asked_at: int = 0


def look_at_invitation(tx: Tx, token: str) -> Invitation:
    """Reads; changes nothing, however often it is called (C5)."""
    p = invitation(tx, token)
    if p is None:
        return Invitation("unknown")
    person, problem = tx.people.person(p.person_id), _problem(tx, p)
    named = person is not None and problem in (None, "accepted")
    return Invitation(problem, person.name if person and named else "", p.created_at)


def _problem(tx: Tx, p: Challenge) -> Ended | Literal["accepted"] | None:
    """A colleague is not told whether the account is off, and an invitation that a lock ended was withdrawn."""
    contact = tx.contacts.many([p.target]).get(p.target)
    if p.ended == "used":
        return "accepted" if contact is not None and contact.state == "confirmed" else "gone"
    if (found := why_over(tx, p)) is not None:
        return "changed" if found == "off" else found
    return None if contact is not None and contact.state == "pending" else "stopped"


def invitation(tx: Tx, token: str) -> Challenge | None:
    return tx.challenges.behind(token, "enrol", INVITED)


def accept(tx: Tx, token: str, origin: Origin, per_colleague: int = PER_COLLEAGUE) -> bool:
    """The one who was asked agrees; False when it is over, or they confirm for as many people as they may (F11).

    Raises:
        Refusal: `over`, or `too_many` where others were quicker and there is no room left.
    """
    p = invitation(tx, token)
    if p is None:
        return False
    tx.people.lock(p.person_id)
    if look_at_invitation(tx, token).problem:
        return False
    address = tx.contacts.many([p.target])[p.target].address
    # Counting locks the row: of several who agree at once, on whatever node, each sees the ones before.
    tx.counters.add([f"mail/helper/{digests.digest(canonicalize(address).encode()).hex()[:32]}"])
    if tx.contacts.vouched_by(address, p.person_id) >= per_colleague:
        return False
    mark_confirmed(tx, p, origin)
    return True


def decline(tx: Tx, token: str) -> bool:
    """They do not; True if there was still something to decline."""
    p = invitation(tx, token)
    if p is None:
        return False
    tx.people.lock(p.person_id)
    if not tx.challenges.end(p.id, "refused"):
        return False
    tx.contacts.remove(p.target)
    tx.audit.record(p.person_id, [Note("helper_declined", {"contact": p.target})])
    return True
