"""Limits by network: comfort only. Budgets that protect people are rows in the database (design, section 12).

With Valkey the limits are shared by all nodes. Losing it fails closed where a secret is checked, open elsewhere (D13).
"""

from __future__ import annotations

from typing import Literal

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.storage import storage_from_string

from keyback.application.identity import network_of
from keyback.settings import Limits

log = structlog.get_logger("keyback.limits")
What = Literal["recoveries", "proofs", "sign_ins", "checks"]
CHECKS_A_SECRET = frozenset({"proofs", "sign_ins"})
WAIT_S = 60


class Limiter:
    """Args:
    limits: how many of each in a minute from one network.
    valkey_url: `valkey://…`; empty counts in this process.
    """

    def __init__(self, limits: Limits, valkey_url: str = "") -> None:
        storage: Storage = storage_from_string(f"async+{valkey_url}") if valkey_url else MemoryStorage()  # type: ignore[assignment]
        self._window = FixedWindowRateLimiter(storage)
        self._items = {what: RateLimitItemPerMinute(getattr(limits, what)) for what in Limits.model_fields}

    async def allows(self, what: What, source: str) -> bool:
        """Counts one; False when this network has to wait up to a minute."""
        try:
            return await self._window.hit(self._items[what], what, network_of(source))
        except Exception as e:
            log.error("limits_down", error=type(e).__name__)
            return what not in CHECKS_A_SECRET
