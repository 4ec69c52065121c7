"""A code that is sent to an address on record and typed back: what SMS, messages and backup mail have in common.

Sources: NIST SP 800-63B-4 sections 3.1.3 and 4.2.1.2 (N-R4, N-R5), OWASP ASVS 5.0 6.5.5 and 6.6.2.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from keyback.application.ports.proofs import About, Enrolments, Given, PendingChallenge, Target, Verdict
from keyback.domain.challenges.challenge import SHORT_DIGITS, SHORT_LIFE, short_code
from keyback.domain.challenges.typed import digits
from keyback.domain.people.person import Contact
from keyback.domain.policy.rules import ProofClass
from keyback.proofs import question
from keyback.proofs.question import Carrier

_NOBODY = bytes(32)


class IssuedCode(ABC):
    """Six digits, ten minutes, unless a subclass says otherwise. What carries them, and which contacts they go to, it
    always says."""

    name: ClassVar[str]
    about: ClassVar[About]
    carrier: ClassVar[Carrier]
    kind: ProofClass = "issued"
    life_ms = SHORT_LIFE
    size: ClassVar[int] = SHORT_DIGITS

    @classmethod
    def make(cls, given: Given) -> Self:
        return cls()

    @abstractmethod
    def targets(self, holder: Enrolments) -> Sequence[Target]: ...

    def own(self, holder: Enrolments) -> Sequence[Contact]:
        """This person's own addresses that this carrier reaches, oldest first; last what messages came back from."""
        mine = question.contacts(holder, lambda c: c.channel == self.carrier and c.role != "recovery")
        return sorted(mine, key=lambda c: (bool(c.bounce), c.added_at, c.id))

    def live(self, asked: Sequence[PendingChallenge], now: int) -> Sequence[PendingChallenge]:
        return question.live(self.name, asked, now)

    def code(self, key: bytes, nonce: bytes) -> str:
        """What was sent for a challenge."""
        return short_code(key, nonce)

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        return {"digits": self.size}

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        """Compares with each live question's code, each in constant time; a code means nothing without its question."""
        typed = digits(answer, self.size)
        if typed is None:
            return Verdict(code="not_a_code")
        right: PendingChallenge | None = None
        for a in self.live(asked, now):
            same = hmac.compare_digest(self.code(a.key, a.challenge.nonce), typed)
            if same and right is None and question.meant(a, a.holder.contacts, now) is not None:
                right = a
        if not asked:
            hmac.compare_digest(self.code(_NOBODY, _NOBODY), typed)
        return Verdict(right, "ok") if right else Verdict()
