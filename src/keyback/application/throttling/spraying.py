"""Alarms about guessing that no single account shows: many names failing a little (D6), many locked at once (J2).

Names that nobody has count like all others. Each alarm is raised once an hour, whichever node sees it first.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyback.application.ports.storage import Tx
from keyback.domain.units import HOUR

NAMES = "pw/"
LOCKED = "alarm/locked"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many names in an hour are still no alarm."""

    failing: int = 100
    locked: int = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """Names with wrong passwords, and names that were locked or switched off, in the last hour; and whether that is
    an alarm that was not raised yet."""

    failing: int
    locked: int
    many_failing: bool
    many_locked: bool


def note_lock(tx: Tx) -> None:
    """A name was locked, or its password switched off for strangers."""
    tx.counters.add([LOCKED])


def look(tx: Tx, most: Thresholds) -> Seen:
    """Counts, for upkeep; costs by what failed in the last hour."""
    failing = tx.failures.names(NAMES, tx.now - HOUR)
    locked = tx.counters.get(LOCKED).hour
    return Seen(
        failing, locked, failing > most.failing and _first(tx, "failing"), locked > most.locked and _first(tx, "many")
    )


def _first(tx: Tx, what: str) -> bool:
    """Whether this alarm was not raised in the last hour."""
    key = f"alarm/{what}"
    return not tx.counters.get(key).hour and tx.counters.add([key])[key].hour == 1
