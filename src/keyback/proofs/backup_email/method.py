"""A code to a second mailbox."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports import Holder, Target
from keyback.domain.person import Contact
from keyback.proofs.issued import IssuedCode


class BackupEmail(IssuedCode):
    """Mailboxes in one domain fall together: whoever runs it, or takes it over, has them all. They share a channel, so
    that they count once (F7); where the primary one is among them, it is the primary one's."""

    name = "backup_email"
    carrier = "mail"

    def targets(self, holder: Holder) -> Sequence[Target]:
        mine = sorted(self.own(holder), key=lambda c: c.role != "primary")  # stable: else the oldest first
        return [
            Target(c.id, f"mail:{next(o.id for o in mine if _related(o, c))}", _hint(c.address))
            for c in mine
            if c.role == "backup"
        ]


def _domain(contact: Contact) -> str:
    return contact.address.rpartition("@")[2].casefold().rstrip(".")


def _related(a: Contact, b: Contact) -> bool:
    """The same domain, or one below the other."""
    one, two = _domain(a), _domain(b)
    return one == two or one.endswith(f".{two}") or two.endswith(f".{one}")


def _hint(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"
