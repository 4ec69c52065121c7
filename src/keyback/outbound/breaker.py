"""Leaves a system alone for a while after it could not be reached several times in a row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

BREAK_AFTER = 5  # connection failures in a row
BREAK_SECONDS = 30.0


class Breaker:
    """Counts failures to connect. Not for several threads at once.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self.failures = 0
        self._reached = self._missed = 0.0  # when last, and since when not; 0: never

    @property
    def state(self) -> Literal["closed", "open"]:
        return "open" if self.failures >= BREAK_AFTER else "closed"

    def reached_ago_ms(self) -> int | None:
        """How long ago the system was reached last; None for never."""
        return int((self._clock() - self._reached) * 1000) if self._reached else None

    def missing_for_ms(self) -> int | None:
        """For how long it could not be reached; None where it could at last."""
        return int((self._clock() - self._missed) * 1000) if self._missed else None

    def wait_ms(self) -> int:
        """How long nothing may be called any more; 0 to go on. After a wait one call is the trial, and others wait for
        its result."""
        if self.failures < BREAK_AFTER:
            return 0
        left = self._until - self._clock()
        if left > 0:
            return max(int(left * 1000), 1)
        self._until = self._clock() + BREAK_SECONDS
        return 0

    def reached(self) -> None:
        self.failures = 0
        self._reached, self._missed = self._clock(), 0.0

    def missed(self) -> None:
        self.failures += 1
        self._missed = self._missed or self._clock()
        if self.failures >= BREAK_AFTER:
            self._until = self._clock() + BREAK_SECONDS
