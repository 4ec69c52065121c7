"""An administrator ends sessions, of one person or of everybody (OWASP ASVS 5.0 7.4.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from keyback.application.ports.storage import Database, Tx
from keyback.domain.errors import BadInput
from keyback.domain.events import Note
from keyback.domain.person import Person, canonicalize

PORTION = 500  # people in one transaction


@dataclass(frozen=True, slots=True)
class SignedOut:
    """How many sessions ended, of how many people."""

    people: int = 0
    sessions: int = 0


def named(tx: Tx, name: str) -> tuple[Person, ...]:
    """The people with this user name, mail address or id; several may share an address."""
    person = tx.people.person(name)
    if person is not None:
        return (person,)
    try:
        canonical = canonicalize(name)
    except BadInput:
        return ()
    return tuple(m.person for m in tx.people.match([canonical]).get(canonical, ()))


def sign_out(tx: Tx, person_id: str, reason: str) -> int:
    """Ends a person's sessions, and sign-ins of theirs that wait for the second step; how many sessions there were.

    Browsers stay known: this is no lock. Whoever knows the password can sign in anew.
    """
    ended = tx.sessions.end_all(person_id)
    for purpose in ("sign_in", "step_up"):
        tx.prompts.end_where("stopped", person_id=person_id, purpose=purpose)
    tx.audit.record(person_id, [Note("sessions_ended", {"count": ended, "by": "operator", "reason": reason})])
    return ended


async def sign_all_out(db: Database, reason: str, progress: Callable[[int, int], None]) -> SignedOut:
    """Ends every session, a few hundred people at a time.

    Args:
        progress: told (done, of) after each portion.
    """
    people, after, done, sessions = await db.read(lambda tx: tx.sessions.people()), "", 0, 0
    await db.write(lambda tx: _end_waiting(tx, people, reason))
    while True:
        ids, ended = await db.write(partial(_portion, after=after, reason=reason))
        done, sessions = done + len(ids), sessions + ended
        progress(done, max(people, done))
        if len(ids) < PORTION:
            return SignedOut(done, sessions)
        after = ids[-1]


def _end_waiting(tx: Tx, people: int, reason: str) -> None:
    waiting = tx.prompts.end_where("stopped", purpose="sign_in")
    told = {"people": people, "waiting": waiting, "by": "operator", "reason": reason}
    tx.audit.record("sessions", [Note("everybody_signed_out", told)])


def _portion(tx: Tx, after: str, reason: str) -> tuple[list[str], int]:
    ids = list(tx.sessions.next_people(after, PORTION))
    return ids, sum(sign_out(tx, pid, reason) for pid in ids)
