"""The demo's own time: it can be set ahead, so that nobody has to sit out a wait to see how it ends."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from keyback.domain.units import HOUR

MAX_LEAP = 30 * 24 * HOUR  # at once


class DemoClock:
    """Milliseconds since 1970, ahead of the real ones by what was let pass; never goes back.

    Args:
        file: keeps how far it is ahead, so that a demo that goes on does not jump back in time.
    """

    def __init__(self, file: Path) -> None:
        self._file, self.ahead = file, 0
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.ahead = max(0, int(file.read_text(encoding="ascii")))

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead

    def pass_by(self, ms: int) -> None:
        """Lets so much time pass at once: at most thirty days, and nothing for less than none."""
        self.ahead += min(max(0, ms), MAX_LEAP)
        self._file.write_text(f"{self.ahead}\n", encoding="ascii")
