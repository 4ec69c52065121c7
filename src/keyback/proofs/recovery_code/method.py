"""Codes that were printed or put away beforehand: ten, each good once.

`K7QF2M-9X3B1T-ZZ81AC`: two characters that find the row (the slot), and sixteen, 80 bits, that only an argon2id hash is
kept of. Crockford's base32: no I, L, O, U; either case; O reads as 0, I and L as 1.
Sources: NIST SP 800-63B-4 sections 3.1.2 and 4.2.1.1 (N-R2, N-R3, N-L3); crockford.com/base32.html.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keyback.application.ports.hashing import PasswordHasher
from keyback.application.ports.proofs import N_, About, Enrolments, Given, PendingChallenge, Target, Verdict
from keyback.domain.challenges.challenge import SHORT_LIFE
from keyback.domain.challenges.typed import MAX_TYPED, bare
from keyback.domain.people.factor import CODES, SavedCode
from keyback.domain.policy.rules import ProofClass
from keyback.domain.secret import Secret
from keyback.proofs import question
from keyback.proofs.question import Carrier

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SLOT, SECRET = 2, 16
GROUP = 6
_READ = str.maketrans("OIL", "011")


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code that was just made.

    Args:
        text: to be shown once, such as `K7QF2M-9X3B1T-ZZ81AC`.
        slot: finds the row.
        secret: what to hash and to keep the hash of.
    """

    text: str = field(repr=False)
    slot: str
    secret: Secret


class RecoveryCode:
    """A set of codes is one factor and one channel, whichever of them is used.

    Args:
        gate: hashes and compares.
    """

    name = "recovery_code"
    about = About(
        Path(__file__).parent,
        title=N_("A recovery code"),
        note=N_("From the sheet or file you saved"),
        noun=N_("a recovery code"),
        by=N_("by recovery code"),
    )
    kind: ProofClass = "saved"
    carrier: Carrier = ""
    life_ms = SHORT_LIFE

    def __init__(self, gate: PasswordHasher) -> None:
        self._gate = gate

    @classmethod
    def make(cls, given: Given) -> RecoveryCode:
        return cls(given.gate)

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        sets = question.factors(holder, "recovery_codes")
        return [Target(f.id, f"saved:{f.id}", f.label) for f in sets if _good(holder.codes, f.id)]

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        return {"digits": SLOT + SECRET}

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        """`spent` for a code that was used before, which only its owner can find out.

        Raises:
            Busy: of the gate.
        """
        typed = read(answer)
        if typed is None:
            return Verdict(code="not_a_code")
        slot, secret = typed
        rows = [(a, c) for a in self._answerable(asked, now) for c in a.holder.codes if _is(c, a.target.id, slot)]
        verdict = Verdict()
        if not rows:
            await self._gate.verify(None, secret)
        for a, code in rows:
            if (await self._gate.verify(code.phc, secret)).ok and verdict.right is None:
                verdict = Verdict(code="spent") if code.used_at is not None else Verdict(a, "ok", spent=code.id)
        return verdict

    def _answerable(self, asked: Sequence[PendingChallenge], now: int) -> list[PendingChallenge]:
        out = []
        for a in question.live(self.name, asked, now):
            factor = question.meant(a, a.holder.factors, now)
            if factor is not None and factor.kind == "recovery_codes":
                out.append(a)
        return out

    # ── enrolling ───────────────────────────────────────────────────────────

    def new_codes(
        self, random: Callable[[int], bytes], count: int = CODES, taken: Collection[str] = ()
    ) -> Sequence[NewCode]:
        """Fresh codes with different slots.

        Args:
            random: so many random bytes, from the system's generator.
            taken: slots of the set that are in use, for a code that replaces a used one.
        """
        slots, out = set(taken), list[NewCode]()
        while len(out) < count:
            text = "".join(ALPHABET[b % 32] for b in random(SLOT + SECRET))  # 256 is a multiple of 32: no bias
            slot, secret = text[:SLOT], text[SLOT:]
            if slot not in slots:
                slots.add(slot)
                groups = [text[i : i + GROUP] for i in range(0, len(text), GROUP)]
                out.append(NewCode("-".join(groups), slot, Secret(secret)))
        return out

    async def hashed(self, secret: Secret) -> str:
        """What to keep of a new code.

        Raises:
            Busy: of the gate.
        """
        return await self._gate.hash(secret)


def read(typed: str) -> tuple[str, Secret] | None:
    """Slot and secret of a typed code; None when it cannot be one."""
    if len(typed) > MAX_TYPED:
        return None
    plain = bare(typed).upper().translate(_READ)
    if len(plain) != SLOT + SECRET or any(c not in ALPHABET for c in plain):
        return None
    return plain[:SLOT], Secret(plain[SLOT:])


def _is(code: SavedCode, factor_id: str, slot: str) -> bool:
    return code.factor_id == factor_id and code.slot == slot


def _good(codes: Sequence[SavedCode], factor_id: str) -> bool:
    return any(c.factor_id == factor_id and c.used_at is None for c in codes)
