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

    @property
    def state(self) -> Literal["closed", "open"]:
        return "open" if self.failures >= BREAK_AFTER else "closed"

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

    def missed(self) -> None:
        self.failures += 1
        if self.failures >= BREAK_AFTER:
            self._until = self._clock() + BREAK_SECONDS
