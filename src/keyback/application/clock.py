"""This node's clock, for what is shown and mailed. What expires is decided by the database's time."""

from __future__ import annotations

import time


def wall_clock() -> int:
    """Milliseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000_000
