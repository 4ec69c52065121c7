"""What becomes of an answer: counted in one commit, judged by its method, taken in another.

Pages differ in what they count by and in what a right answer brings about; the steps, and their order, are these.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from keyback.application.challenges.count import Counted
from keyback.application.ports.proofs import Enrolments, MakesCodes, PendingChallenge, Proof, Target, Verdict
from keyback.application.ports.storage import Database, Tx
from keyback.application.throttling import duplicate_answers
from keyback.domain.challenges.challenge import Challenge, key_purpose
from keyback.domain.people.factor import SavedCode
from keyback.domain.secret import Secret

MAX_ANSWER = 8192  # characters; a passkey's is the longest
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FreshCode:
    """A saved code in place of the one that was used: its text, to be shown once, and what is kept of it."""

    text: Secret = field(repr=False)
    kept: SavedCode


class Page(Protocol[T]):
    """Where a challenge is answered."""

    @property
    def names(self) -> tuple[str, ...]:
        """By these and by its text, an answer that comes twice at once is told to be the same."""
        ...

    def count(self, tx: Tx) -> Counted | T:
        """Counts an answer, or says what comes of it without a look at it."""
        ...

    def take(self, tx: Tx, counted: Counted, verdict: Verdict, fresh: FreshCode | None) -> T:
        """Uses up what was answered, once, with all that it brings about."""
        ...

    def is_right(self, found: T) -> bool: ...


async def answer(db: Database, proof: Proof, page: Page[T], typed: str) -> tuple[T, bool]:
    """Takes an answer.

    Returns:
        What came of it; and whether that is what came of the same answer, which was under way already.

    Raises:
        Busy: the hashing gate is full; nothing was compared.
        StorageDown: nothing was compared, or nothing came of it: what was to be used up is still good (D13).
    """
    key = duplicate_answers.key_of(db, *page.names, answer=typed)
    return await duplicate_answers.first(key, lambda: _answer(db, proof, page, typed), page.is_right)


async def _answer(db: Database, proof: Proof, page: Page[T], typed: str) -> T:
    counted = await db.write(page.count)
    if not isinstance(counted, Counted):
        return counted
    verdict = await proof.verify(counted.live, typed[:MAX_ANSWER], counted.now)
    fresh = await _instead(proof, verdict)
    return await db.write(lambda tx: page.take(tx, counted, verdict, fresh))


async def _instead(proof: Proof, verdict: Verdict) -> FreshCode | None:
    if not (verdict.spent and verdict.right and isinstance(proof, MakesCodes)):
        return None
    new = proof.new_codes(os.urandom, 1, {c.slot for c in verdict.right.holder.codes})[0]
    kept = SavedCode("", verdict.right.target.id, new.slot, await proof.hashed(new.secret))
    return FreshCode(Secret(new.text), kept)


def pending(
    tx: Tx,
    issued: Iterable[Challenge],
    targets: Callable[[Enrolments], Sequence[Target]],
    held_by: Callable[[Tx, Sequence[str]], Mapping[str, Enrolments]],
) -> list[PendingChallenge]:
    """What of this can be answered now, each with what its answer is judged by.

    Args:
        held_by: what these people have enrolled; for all of them in as many statements as for nobody (A3).
    """
    live = [c for c in issued if c.waits(tx.now)]
    held = held_by(tx, list(dict.fromkeys(c.person_id for c in live)) or [""])
    out: list[PendingChallenge] = []
    for c in live:
        holder = held.get(c.person_id)
        if holder is None or holder.person.state != "active" or c.key_id not in tx.seals.ids:
            continue
        target = next((t for t in targets(holder) if t.id == c.target), None)
        if target is not None and holder.person.security_version == c.security_version:
            out.append(PendingChallenge(c, holder, target, tx.seals.derive(key_purpose(c.method), c.key_id)))
    return out
