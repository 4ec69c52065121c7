"""Six digits of an authenticator app: RFC 6238 with SHA-1 and steps of 30 seconds, as every app does it.

The current and the previous step are taken, none from the future (CVE-2024-7318), and each once: an accepted step rules
out itself and all before it (CVE-2015-7225; RFC 6238 section 5.2; decision D10).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import pyotp
import segno

from keyback.application.ports.proofs import N_, About, Enrolments, Given, PendingChallenge, Target, Verdict
from keyback.domain.challenges.challenge import SHORT_LIFE
from keyback.domain.challenges.typed import digits
from keyback.domain.people.factor import Factor
from keyback.domain.policy.rules import ProofClass
from keyback.proofs import question
from keyback.proofs.question import Carrier

STEP_MS = 30_000
DIGITS = 6
SEED_BYTES = 20  # 160 bits (RFC 4226 section 4)
_NOBODY = base64.b32encode(bytes(SEED_BYTES)).decode()


class Totp:
    """One question per app that is enrolled. A factor's data is `{"seed": base32}`, its counter the last step taken."""

    name = "totp"
    about = About(
        Path(__file__).parent,
        title=N_("Your authenticator app"),
        note=N_("The six-digit code it shows now"),
        noun=N_("a code from the authenticator app"),
        by=N_("by authenticator app"),
    )
    kind: ProofClass = "bound"
    carrier: Carrier = ""
    life_ms = SHORT_LIFE

    @classmethod
    def make(cls, given: Given) -> Totp:
        return cls()

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        return [Target(f.id, f"totp:{f.id}", f.label) for f in question.factors(holder, "totp")]

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        return {"digits": DIGITS}

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        """`replayed` for a right code whose step, or a later one, was taken already; `counter` is the step."""
        typed = digits(answer, DIGITS)
        if typed is None:
            return Verdict(code="not_a_code")
        verdict = Verdict()
        for a in question.live(self.name, asked, now):
            factor = question.meant(a, a.holder.factors, now)
            step = _step(factor, typed, now)
            if step is not None and factor is not None and verdict.right is None:
                verdict = Verdict(a, "ok", counter=step) if step > factor.counter else Verdict(code="replayed")
        if not asked:
            _step(None, typed, now)
        return verdict

    # ── enrolling ───────────────────────────────────────────────────────────

    def new_seed(self, random: bytes) -> str:
        """A seed in base32 out of 20 random bytes.

        Raises:
            ValueError: another number of bytes.
        """
        if len(random) != SEED_BYTES:
            raise ValueError("a seed has 20 bytes")
        return base64.b32encode(random).decode()

    def uri(self, seed: str, name: str, issuer: str) -> str:
        """What an app scans: `otpauth://totp/…`. Holds the seed; show it once, write it nowhere.

        Args:
            name: the user name, as the app will list it.
            issuer: the company.
        """
        return pyotp.TOTP(seed, name=name, issuer=issuer.replace(":", " ")).provisioning_uri()

    def qr_svg(self, uri: str) -> str:
        """The QR code as `<svg>` without script or style; black on white in dark mode too, or phones cannot read it."""
        out = BytesIO()
        segno.make(uri, error="m", micro=False).save(
            out, "svg", xmldecl=False, svgns=False, nl=False, border=4, scale=4, light="#fff", omitsize=False
        )
        return out.getvalue().decode()

    def first_step(self, seed: str, typed: str, now: int) -> int | None:
        """The step of a code that shows that the app has the seed; None for a wrong one. Store it as the factor's
        counter, so that the same code does not sign in as well (M5)."""
        code = digits(typed, DIGITS)
        return None if code is None else _match(seed, code, now)


def _step(factor: Factor | None, typed: str, now: int) -> int | None:
    seed = factor.data.get("seed") if factor is not None and factor.kind == "totp" else None
    found = _match(str(seed or _NOBODY), typed, now)
    return found if seed else None


def _match(seed: str, typed: str, now: int) -> int | None:
    """The step, current or previous, that this is the code of. Both are computed, whatever fits."""
    totp, current = pyotp.TOTP(seed), now // STEP_MS
    fits = [s for s in (current, current - 1) if hmac.compare_digest(totp.generate_otp(s), typed)]
    return fits[0] if fits else None
