"""A code by SMS. Weak, so a policy can switch it off, and it never counts for `privileged` (N-O4)."""

from __future__ import annotations

from collections.abc import Sequence

from phonenumbers import NumberParseException

from keyback.application.ports.proofs import Enrolments, Target
from keyback.domain.people.phone import shown
from keyback.proofs.issued import IssuedCode


class SmsCode(IssuedCode):
    name = "sms_code"
    carrier = "sms"

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        return [Target(c.id, f"phone:{c.id}", _hint(c.address)) for c in self.own(holder)]


def _hint(number: str) -> str:
    try:
        return shown(number)
    except NumberParseException:  # a number that was stored before they were checked
        return f"••• {number[-2:]}"
