"""Units of time, in ms."""

from __future__ import annotations

MINUTE = 60_000
HOUR = 60 * MINUTE
