"""A key fob with a keypad: the page shows six digits, the fob makes six others of them, and those are the answer.

Every fob has a secret of its own, made of the company's and of its number. The number is on record as the person's chat
id, so nothing has to be enrolled here.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path

from keyback.application.ports.proofs import N_, About, Enrolments, Given, PendingChallenge, Proof, Target, Verdict
from keyback.domain.challenges.challenge import SHORT_LIFE, short_code
from keyback.domain.challenges.typed import digits
from keyback.domain.people.person import Contact
from keyback.domain.policy.rules import ProofClass
from keyback.proofs import question
from keyback.proofs.question import Carrier

DIGITS = 6


class KeyFob:
    """One question for each fob on record.

    Args:
        secret: of the company; every fob's is made of it.
    """

    name = "key_fob"
    about = About(
        Path(__file__).parent,
        title=N_("Your key fob"),
        note=N_("You type six digits into it, and it shows six others"),
        noun=N_("a key fob"),
        by=N_("by key fob"),
        contact="im",
        form_for_clients=True,
    )
    kind: ProofClass = "bound"
    carrier: Carrier = ""
    life_ms = SHORT_LIFE

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def make(cls, given: Given) -> Proof:
        try:
            return cls(Path(str(given.options["secret_file"])).read_bytes())
        except (KeyError, OSError):
            raise ValueError("secret_file: name a file that can be read, with the secret of the fobs in it") from None

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        return [Target(c.id, f"fob:{c.id}", f"{c.address[:1]}•••") for c in self._fobs(holder)]

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        """The digits to type into the fob; some that nobody waits for where nobody is asked."""
        return {"challenge": challenge(asked[0]) if asked else "0" * DIGITS}

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        typed = digits(answer, DIGITS)
        if typed is None:
            return Verdict(code="not_a_code")
        right: PendingChallenge | None = None
        for a in question.live(self.name, asked, now):
            fob = question.meant(a, list(self._fobs(a.holder)), now)
            if fob is not None and hmac.compare_digest(self.shown(fob.address, challenge(a)), typed) and right is None:
                right = a
        if not asked:
            hmac.compare_digest(self.shown("", "0" * DIGITS), typed)
        return Verdict(right, "ok") if right else Verdict()

    def shown(self, number: str, typed: str) -> str:
        """What the fob of this number shows once these digits were typed into it."""
        return short_code(hmac.digest(self._secret, number.encode(), "sha256"), typed.encode(), DIGITS)

    def _fobs(self, holder: Enrolments) -> Sequence[Contact]:
        return list(question.contacts(holder, lambda c: c.channel == "im" and c.role != "recovery"))


def challenge(a: PendingChallenge) -> str:
    """The digits of a question: as many for everybody, and nobody can tell beforehand which."""
    return short_code(a.key, b"fob\0" + a.challenge.nonce, DIGITS)
