"""The mail that starts a recovery: a link and a code to the primary mailbox.

The link is taken as it comes (`application.recovery.mailed_link`); here is the code, for those who read the mail on
another device.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keyback.application.ports.proofs import N_, About, Enrolments, PendingChallenge, Target
from keyback.domain.challenges.challenge import CODE_DIGITS, CODE_LIFE, EMAIL_LINK, mail_code
from keyback.domain.people.person import channel_of
from keyback.proofs import question
from keyback.proofs.issued import IssuedCode


class EmailLink(IssuedCode):
    """Eight digits, ten minutes; the link of the same mail lives for an hour."""

    name = EMAIL_LINK
    about = About(
        Path(__file__).parent,
        title=N_("A link to your email"),
        note=N_("To your registered address"),
        noun=N_("an email to the primary address"),
        by=N_("by email link"),
        page="",
    )
    carrier = "mail"
    life_ms = CODE_LIFE
    size = CODE_DIGITS

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        mine = self.own(holder)
        return [Target(c.id, channel_of(c, mine), question.mail_hint(c.address)) for c in mine if c.role == "primary"]

    def live(self, asked: Sequence[PendingChallenge], now: int) -> Sequence[PendingChallenge]:
        return [a for a in super().live(asked, now) if now < a.challenge.code_until]

    def code(self, key: bytes, nonce: bytes) -> str:
        return mail_code(key, nonce)
