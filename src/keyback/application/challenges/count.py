"""Answers are counted, and the count is committed, before anything is compared (D1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyback.application.ports.proofs import PendingChallenge
from keyback.application.ports.storage import Tx
from keyback.domain.throttling.limits import WINDOW_TRIES


@dataclass(frozen=True, slots=True)
class Counted:
    """An answer that was counted, and may be compared.

    Args:
        live: what it may answer, each with what it is judged by.
        now: when it came (ms).
        left: tries that are left.
        people: who may be meant.
        over: those of them with whom it is not compared.
        shown: how often the page had shown this method before.
    """

    live: Sequence[PendingChallenge]
    now: int
    left: int = 0
    people: frozenset[str] = frozenset()
    over: frozenset[str] = frozenset()
    shown: int = 0


def allowed(tx: Tx, *keys: str, total: int = 0, hour: int = WINDOW_TRIES) -> bool:
    """Counts an answer under these names; False for one too many, which is not compared and so counts for nothing.

    Args:
        total: how many in a row the first name allows; 0 for any number.
        hour: how many in an hour the last name allows.
    """
    counts = tx.counters.add(keys)
    if (not total or counts[keys[0]].total <= total) and counts[keys[-1]].hour <= hour:
        return True
    tx.counters.take_back(keys)
    return False
