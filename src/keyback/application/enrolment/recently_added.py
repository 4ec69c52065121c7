"""What was added lately, for its owner to see and take out again."""

from __future__ import annotations

from dataclasses import dataclass

from keyback.application.notifications.account_changes import masked
from keyback.application.people import address_changes
from keyback.application.ports.storage import Tx
from keyback.domain.people.person import Contact


@dataclass(frozen=True, slots=True)
class Added:
    """Something that was added lately. `what` is a kind of factor or contact, `label` masked or the giver's own."""

    id: str
    what: str
    label: str
    added_at: int


def recent(tx: Tx, person_id: str, since: int, *, hidden: bool = False) -> tuple[Added, ...]:
    """What was added by somebody who was signed in, since then, and is still there.

    Args:
        hidden: mask addresses; the reader has shown no more than a mailbox.
    """
    factors = [Added(f.id, f.kind, f.label, f.added_at) for f in tx.factors.of_person(person_id) if f.added_at > since]
    addresses = [
        Added(c.id, "helper" if c.role == "recovery" else c.channel, _shown(c, hidden), c.added_at)
        for c in tx.contacts.of_person(person_id, states=("confirmed", "pending"))
        if (c.origin == "person" and c.added_at > since) or address_changes.refusable(c, tx.now)
    ]
    return tuple(sorted([*factors, *addresses], key=lambda a: -a.added_at))


def _shown(c: Contact, hidden: bool) -> str:
    return masked(c) if hidden else c.name or c.address
