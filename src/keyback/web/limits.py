"""Limits by network: comfort only. Budgets that protect people are rows in the database (design, section 12).

With Valkey the limits are shared by all nodes. Losing it fails closed where a secret is checked, open elsewhere (D13).
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Literal

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.storage import storage_from_string

from keyback.application.identity import network_of
from keyback.settings import Limits

log = structlog.get_logger("keyback.limits")
What = Literal["recoveries", "proofs", "sign_ins", "checks"]
CHECKS_A_SECRET = frozenset({"proofs", "sign_ins"})
WAIT_S = 60
SWEEP_S = 60.0


class OneProcess(MemoryStorage):
    """The library's memory, but for its cleaning: that starts a task with every hit which walks over all networks. Here
    the window of a key begins anew when it is over, and others are swept out once in a while."""

    _swept = 0.0

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        if now - self._swept > SWEEP_S:
            self._swept = now
            for old in [k for k, until in self.expirations.items() if until <= now]:
                del self.expirations[old], self.storage[old]
        if self.expirations.get(key, 0) <= now:
            self.expirations[key], self.storage[key] = now + expiry, 0
        self.storage[key] += amount
        return self.storage[key]


class Limiter:
    """Args:
    limits: how many of each in a minute from one network.
    valkey_url: `valkey://…`; empty counts in this process.
    """

    def __init__(self, limits: Limits, valkey_url: str = "") -> None:
        storage: Storage = storage_from_string(f"async+{valkey_url}") if valkey_url else OneProcess()  # type: ignore[assignment]
        # What FixedWindowRateLimiter does; it would put the key together anew for every hit.
        self._storage = storage
        self._key = lru_cache(maxsize=4096)(self._name)
        self._items = {what: RateLimitItemPerMinute(getattr(limits, what)) for what in Limits.model_fields}

    async def allows(self, what: What, source: str) -> bool:
        """Counts one; False when this network has to wait up to a minute."""
        try:
            item = self._items[what]
            return await self._storage.incr(self._key(what, source), item.get_expiry()) <= item.amount
        except Exception as e:
            log.error("limits_down", error=type(e).__name__)
            return what not in CHECKS_A_SECRET

    def _name(self, what: What, source: str) -> str:
        return self._items[what].key_for(what, network_of(source))
