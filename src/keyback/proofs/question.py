"""What every proof makes sure of before it looks at an answer.

Storage hands over live questions and enrolments only; a proof looks again, so that no slip elsewhere opens a way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar

from keyback.application.ports.proofs import Enrolments, PendingChallenge
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import Contact

Carrier = Literal["", "mail", "sms", "im"]
Enrolled = TypeVar("Enrolled", Contact, Factor)


def contacts(holder: Enrolments, fits: Callable[[Contact], bool]) -> Iterator[Contact]:
    """Confirmed addresses of this person that fit."""
    return (c for c in holder.contacts if c.person_id == holder.person.id and c.state == "confirmed" and fits(c))


def factors(holder: Enrolments, kind: str) -> Iterator[Factor]:
    """Active factors of this kind of this person."""
    return (f for f in holder.factors if f.person_id == holder.person.id and f.state == "active" and f.kind == kind)


def live(name: str, asked: Sequence[PendingChallenge], now: int) -> list[PendingChallenge]:
    """The questions of this proof that may be answered at `now` (ms): not over, and the person the same as then."""
    return [
        a
        for a in asked
        if a.challenge.method == name
        and a.challenge.ended is None
        and a.challenge.created_at <= now < a.challenge.expires_at
        and a.challenge.person_id == a.holder.person.id
        and a.challenge.security_version == a.holder.person.security_version
        and a.holder.person.state == "active"
        and a.challenge.target == a.target.id
    ]


def meant(a: PendingChallenge, enrolled: Sequence[Enrolled], now: int) -> Enrolled | None:
    """What the question is put to; None where it may not answer it.

    Active or confirmed, and for a recovery cooled in. To enrol is to prove something that is still pending (M5).
    """
    for e in enrolled:
        if e.id == a.target.id and e.person_id == a.holder.person.id:
            good = e.state in ("active", "confirmed") or (a.challenge.purpose == "enrol" and e.state == "pending")
            return e if good and (a.challenge.purpose != "recovery" or e.usable_from <= now) else None
    return None


def mail_hint(address: str) -> str:
    """A mailbox in words for its owner, such as `m•••@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"
