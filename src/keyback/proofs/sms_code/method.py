"""A code by SMS. Weak, so a policy can switch it off, and it never counts for `privileged` (N-O4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from phonenumbers import NumberParseException

from keyback.application.ports.proofs import N_, About, Enrolments, Target
from keyback.domain.people.phone import shown
from keyback.proofs.issued import IssuedCode


class SmsCode(IssuedCode):
    name = "sms_code"
    about = About(
        Path(__file__).parent,
        title=N_("A text message to your phone"),
        note=N_("To your registered number"),
        noun=N_("a code by text message"),
        by=N_("by text message"),
        contact="sms",
    )
    carrier = "sms"

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        return [Target(c.id, f"phone:{c.id}", _hint(c.address)) for c in self.own(holder)]


def _hint(number: str) -> str:
    try:
        return shown(number)
    except NumberParseException:  # a number that was stored before they were checked
        return f"••• {number[-2:]}"
