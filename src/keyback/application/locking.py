"""Who waits for whom: a person's row is locked before anything of theirs is counted, and always in one order (ADR 28).

Intake, case, person, then what belongs to them: challenges, factors, contacts, sessions, counters. An act that
needs none of the first begins with the next; none goes back.
"""

from __future__ import annotations

from keyback.application.ports.storage import Session, Tx
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Person


def own(tx: Tx, session: Session) -> Person:
    """Whoever is signed in, locked until the commit.

    Raises:
        Refusal: `over` when the session has ended since its request came in, such as by a lockdown: what comes after it
            must find nothing of it.
    """
    person = tx.people.lock(session.person_id)
    if person is None or person.state != "active" or tx.sessions.get(session.digest) is None:
        raise Refusal("over")
    return person


def with_case(tx: Tx, person_id: str) -> None:
    """Locks a person's open recovery, then the person: for what ends both."""
    tx.cases.open_of([person_id])
    tx.people.lock(person_id)
