"""The time that everything is stored by: the database's, never before the newest audit row, carried by a steady clock.

A clock that is set back changes nothing for a running process: time goes on from where it was, so that what has
expired stays so and what lives goes on to age. One that jumps ahead is not believed at once: nothing is written
while it is in doubt, and a jump of more than a day is never believed by a running process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Connection, select

from keyback.application.ports.storage import StorageDown
from keyback.storage.sql.schema import events

log = structlog.get_logger("keyback.clock")
JUMP_MS = 5 * 60_000  # ahead of the steady clock, at once
DOUBT_MS = 60_000  # a jump is believed when it still stands after so long
BELIEVABLE_MS = 24 * 3_600_000
BACK_MS = 2_000  # what NTP may put right without a word


def steady_ms() -> float:
    """Milliseconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) * 1000


class DatabaseClock:
    """Milliseconds since 1970 for transactions.

    Args:
        raw: the clock to go by, asked within a transaction.
        steady: ms of a clock that only goes forward; None for clocks of tests, which stand still and leap at will.

    Attributes:
        behind_ms: how far `raw` is behind the time that counts.
        jumps: how often it leapt ahead.
        floored: whether the newest audit row counts; off while a wrong one is being repaired.
    """

    def __init__(self, raw: Callable[[Connection], int], steady: Callable[[], float] | None = None) -> None:
        self._raw, self._steady = raw, steady
        self._lock = threading.Lock()
        self._last: tuple[int, float] | None = None
        self._doubted: float | None = None
        self._told = False
        self.behind_ms = 0
        self.jumps = 0
        self.floored = True

    @property
    def doubtful(self) -> bool:
        """Whether nothing is written just now, because the clock leapt ahead."""
        return self._doubted is not None

    def now(self, conn: Connection, *, writes: bool) -> int:
        """The time of a transaction.

        Raises:
            StorageDown: it would write, and the clock leapt ahead a moment ago.
        """
        if not self.floored:
            return self._raw(conn)
        floor = newest(conn) if self._last is None else 0
        raw = self._raw(conn)
        with self._lock:
            steady = self._steady() if self._steady is not None else 0.0
            if self._last is None:
                self._last = (max(raw, floor), steady)
            carried = self._last[0] + int(steady - self._last[1])
            if self._steady is not None and self._leapt(raw - carried, steady):
                if writes:
                    raise StorageDown("clock")
                return carried
            self._note_behind(carried - raw)
            now = max(raw, carried)
            if raw >= carried or self._steady is None:
                self._last = (now, steady)
            return now

    def _leapt(self, ahead: int, steady: float) -> bool:
        """Whether a leap is in doubt. It is told before anything is stored by it."""
        if ahead <= JUMP_MS:
            self._doubted = None
            return False
        if self._doubted is None:
            self._doubted = steady
            self.jumps += 1
            log.error("clock_jumped", seconds=ahead // 1000, next="set the clock right; until then nothing is written")
        if ahead <= BELIEVABLE_MS and steady - self._doubted >= DOUBT_MS:
            self._doubted = None
            log.warning("clock_believed", seconds=ahead // 1000)
            return False
        return True

    def _note_behind(self, behind: int) -> None:
        self.behind_ms = max(0, behind)
        if behind > BACK_MS and not self._told:
            log.error("clock_behind", seconds=behind // 1000, next="set the clock right, or: keyback clock repair")
        self._told = behind > BACK_MS


def newest(conn: Connection) -> int:
    """When the newest row of the audit log was written; 0 where there is none."""
    return int(conn.execute(select(events.c.at).order_by(events.c.seq.desc()).limit(1)).scalar() or 0)
