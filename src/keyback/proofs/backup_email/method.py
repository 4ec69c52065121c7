"""A code to a second mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keyback.application.ports.proofs import N_, About, Enrolments, Target
from keyback.domain.people.person import channel_of
from keyback.proofs import question
from keyback.proofs.issued import IssuedCode


class BackupEmail(IssuedCode):
    """Mailboxes in one domain share a channel, so that they count once (`person.channel_of`)."""

    name = "backup_email"
    about = About(
        Path(__file__).parent,
        title=N_("A code to your backup email"),
        note=N_("To your backup address"),
        noun=N_("an email to a backup address"),
        by=N_("by backup email"),
        contact="mail",
    )
    carrier = "mail"

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        mine = self.own(holder)
        return [Target(c.id, channel_of(c, mine), question.mail_hint(c.address)) for c in mine if c.role == "backup"]
