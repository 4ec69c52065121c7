"""A code to a second mailbox."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports.proofs import Enrolments, Target
from keyback.domain.people.person import channel_of
from keyback.proofs.issued import IssuedCode


class BackupEmail(IssuedCode):
    """Mailboxes in one domain share a channel, so that they count once (`person.channel_of`)."""

    name = "backup_email"
    carrier = "mail"

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        mine = self.own(holder)
        return [Target(c.id, channel_of(c, mine), _hint(c.address)) for c in mine if c.role == "backup"]


def _hint(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"
