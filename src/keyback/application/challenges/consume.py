"""A challenge ends for exactly one caller, and with it what its answer used up."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from keyback.application.challenges.verify import FreshCode
from keyback.application.ports.proofs import PendingChallenge, Verdict
from keyback.application.ports.storage import Tx


def consume(
    tx: Tx, right: PendingChallenge, verdict: Verdict, fresh: FreshCode | None, *, void: bool = False
) -> Literal["used", "over", "void", "replayed"]:
    """Ends a challenge that was answered rightly, and keeps the saved code that takes the place of a used one.

    Args:
        void: nothing comes of it: the person is not as they were when it was put to them (C17).

    Returns:
        `over`: somebody ended it before. `replayed`: what it was answered with had served already, or was removed.
    """
    if not tx.challenges.end(right.challenge.id, "used"):
        return "over"
    if void:
        return "void"
    if not _use_up(tx, right.challenge.target, verdict):
        return "replayed"
    if fresh is not None:
        tx.factors.put_codes([replace(fresh.kept, id=tx.new_id(), added_at=tx.now)])
    return "used"


def _use_up(tx: Tx, target: str, verdict: Verdict) -> bool:
    """A step, count or saved code serves once; what was removed meanwhile not at all (N-T1, N-L2, M13)."""
    if verdict.spent and not tx.factors.use_code(verdict.spent):
        return False
    if verdict.counter is not None:
        return tx.factors.advance(target, verdict.counter)
    if tx.factors.touch(target):
        return True
    contact = tx.contacts.many([target]).get(target)
    return contact is not None and contact.state == "confirmed"
