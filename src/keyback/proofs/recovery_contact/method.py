"""A colleague, chosen beforehand, says: I talked to them just now, and it is them.

The colleague gets a link. The person who is locked out sees four digits and reads them to the colleague, who types them
on the linked page: nobody vouches by habit for a mail that came out of the blue, and who vouches did talk to somebody.
Source: NIST SP 800-63B-4 section 4.2.1.3 (N-R8).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path

from keyback.application.ports.proofs import N_, About, Enrolments, Given, PendingChallenge, Target, Verdict
from keyback.application.recovery.recovery_contact import STATEMENT
from keyback.domain.challenges.challenge import CONTACT_LIFE, short_code
from keyback.domain.challenges.typed import MAX_TYPED, digits
from keyback.domain.policy.rules import ProofClass
from keyback.proofs import question
from keyback.proofs.question import Carrier

SPOKEN_DIGITS = 4


class RecoveryContact:
    """The answer is `confirm:VERSION:DIGITS`; the link that led to it finds the question."""

    name = "recovery_contact"
    about = About(
        Path(__file__).parent,
        title=N_("A recovery contact"),
        note=N_("A colleague talks to you and confirms it’s you"),
        noun=N_("a recovery contact"),
        by=N_("by a recovery contact"),
        lede=N_("If what you entered belongs to an account here and it has a recovery contact, we’ve emailed them."),
        form_for_clients=True,
        contact="helper",
    )
    kind: ProofClass = "contact"
    carrier: Carrier = "mail"
    life_ms = CONTACT_LIFE

    @classmethod
    def make(cls, given: Given) -> RecoveryContact:
        return cls()

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        """People who vouch; an address that is also the person's own is nobody else's word (F7)."""
        own = {c.address.casefold() for c in holder.contacts if c.role != "recovery"}
        others = question.contacts(
            holder, lambda c: c.role == "recovery" and c.channel == "mail" and c.address.casefold() not in own
        )
        return [Target(c.id, f"contact:{c.id}", f"{(c.name or c.address)[:1]}•••") for c in others]

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        """The digits to be read out; they are for the page of the person, never for the mail or the linked page."""
        return {"digits": _spoken(asked[0]) if asked else "0" * SPOKEN_DIGITS}

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        if len(answer) > MAX_TYPED:
            return Verdict(code="not_a_code")
        word, _, typed = answer.partition(f":{STATEMENT}:")
        spoken = digits(typed, SPOKEN_DIGITS)
        if word != "confirm" or spoken is None:
            return Verdict(code="not_a_code")
        right: PendingChallenge | None = None
        for a in question.live(self.name, asked, now):
            same = hmac.compare_digest(_spoken(a), spoken)
            listed = any(t.id == a.target.id for t in self.targets(a.holder))
            if same and listed and right is None and question.meant(a, a.holder.contacts, now) is not None:
                right = a
        return Verdict(right, "ok") if right else Verdict()


def _spoken(a: PendingChallenge) -> str:
    return short_code(a.key, b"spoken\0" + a.challenge.nonce, SPOKEN_DIGITS)
