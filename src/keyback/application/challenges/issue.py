"""Putting a challenge to somebody."""

from __future__ import annotations

from keyback.application.ports.proofs import Enrolments, PendingChallenge, Target
from keyback.application.ports.storage import Seals, Tx
from keyback.domain.challenges.challenge import Challenge, Purpose, key_purpose
from keyback.domain.people.person import Person


def draft(
    tx: Tx,
    person: Person,
    purpose: Purpose,
    method: str,
    life: int,
    *,
    target: str = "",
    handle: str = "",
    case_id: str = "",
    nonce: bytes = b"",
) -> Challenge:
    """A challenge that is not written down yet: several are issued together, in one statement.

    Args:
        life: ms until it is over.
        nonce: where it has to be known beforehand, or is shared; else 32 random bytes.
    """
    return Challenge(
        id=tx.new_id(),
        purpose=purpose,
        method=method,
        person_id=person.id,
        nonce=nonce or tx.random(32),
        security_version=person.security_version,
        created_at=tx.now,
        expires_at=tx.now + life,
        handle=handle,
        case_id=case_id,
        target=target,
    )


def issue(
    tx: Tx,
    person: Person,
    purpose: Purpose,
    method: str,
    life: int,
    *,
    target: str = "",
    handle: str = "",
    case_id: str = "",
) -> Challenge:
    """One challenge, written down; as `draft`."""
    new = draft(tx, person, purpose, method, life, target=target, handle=handle, case_id=case_id)
    tx.challenges.issue([new])
    return new


def stand_in(seals: Seals, method: str, nonce: bytes, asked_at: int, until: int) -> PendingChallenge:
    """A challenge that is put to nobody: what a page shows where nobody is meant, or nobody knows yet who is (W-6)."""
    shown = Challenge("", "recovery", method, "", nonce, 0, asked_at, until)
    nobody = Enrolments(Person("", "", "en", "standard", "active"))
    return PendingChallenge(shown, nobody, Target("", ""), seals.derive(key_purpose(method)))
