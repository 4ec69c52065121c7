"""Answers to questions: off at first, weight 0. They add friction after another proof and never decide (D1 of the
standards; O-Q1). The question stays the same until it was answered rightly, whatever is reloaded or asked anew (O-Q3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keyback.application.ports.hashing import PasswordHasher
from keyback.application.ports.proofs import N_, About, Enrolments, Given, PendingChallenge, Target, Verdict
from keyback.domain import digests
from keyback.domain.challenges.challenge import SHORT_LIFE
from keyback.domain.people.factor import Factor
from keyback.domain.policy.rules import ProofClass
from keyback.domain.secret import Secret
from keyback.locale import gettext
from keyback.proofs import question
from keyback.proofs.question import Carrier
from keyback.proofs.security_questions.questions import (
    LONGEST,
    QUESTIONS,
    SHORTEST,
    VERSION,
    Fault,
    faults,
    normal,
)


class SecurityQuestions:
    """A factor's data is `{"version": 1, "answers": [{"question": key, "phc": hash}, …]}`.

    Args:
        gate: hashes and compares.
    """

    name = "security_questions"
    about = About(
        Path(__file__).parent,
        title=N_("Your security questions"),
        note=N_("They help, but aren’t enough on their own"),
        noun=N_("answers to security questions"),
        by=N_("by security questions"),
    )
    kind: ProofClass = "knowledge"
    carrier: Carrier = ""
    life_ms = SHORT_LIFE
    questions = QUESTIONS

    def __init__(self, gate: PasswordHasher) -> None:
        self._gate = gate

    @classmethod
    def make(cls, given: Given) -> SecurityQuestions:
        return cls(given.gate)

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        mine = question.factors(holder, "security_questions")
        return [Target(f.id, f"knowledge:{f.id}", f.label) for f in mine if _pinned(f)]

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        """The text of the question; only for a page that has proven something (O-Q1)."""
        enrolled = [f for a in asked for f in question.factors(a.holder, self.name) if f.id == a.target.id]
        key = next((str(p["question"]) for p in map(_pinned, enrolled) if p), next(iter(QUESTIONS)))
        return {"question": gettext(locale, QUESTIONS.get(key, next(iter(QUESTIONS.values()))))}

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        """One hash for each question that is asked, and one where none is.

        Raises:
            Busy: of the gate.
        """
        text = normal(answer) if len(answer) <= LONGEST else ""
        if not SHORTEST <= len(text) <= LONGEST:
            return Verdict(code="not_a_code")
        right: PendingChallenge | None = None
        hashed = 0
        for a in question.live(self.name, asked, now):
            factor = question.meant(a, a.holder.factors, now)
            pinned = _pinned(factor) if factor is not None else None
            if pinned is not None:
                hashed += 1
                if (await self._gate.verify(str(pinned["phc"]), Secret(text))).ok and right is None:
                    right = a
        if not hashed:
            await self._gate.verify(None, Secret(text))
        return Verdict(right, "ok") if right else Verdict()

    # ── enrolling ───────────────────────────────────────────────────────────

    def faults(self, chosen: Sequence[tuple[str, str]], about: Iterable[str] = ()) -> Sequence[tuple[int, Fault]]:
        """What is wrong with a choice, see `questions.faults`."""
        return faults(chosen, about)

    async def hashed(self, chosen: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
        """The factor's data for a choice without faults.

        Raises:
            Busy: of the gate.
        """
        answers = [{"question": key, "phc": await self._gate.hash(Secret(normal(a)))} for key, a in chosen]
        return {"version": VERSION, "answers": answers}


def _pinned(factor: Factor) -> Mapping[str, Any] | None:
    """The question that this person is asked now: another one after each right answer, never by reloading (G3)."""
    answers = factor.data.get("answers") if factor.kind == "security_questions" else None
    if not answers or factor.data.get("version") != VERSION:
        return None
    turn = digests.digest(f"{factor.id}/{factor.used_at}".encode())
    found: Mapping[str, Any] = answers[int.from_bytes(turn[:8], "big") % len(answers)]
    return found
