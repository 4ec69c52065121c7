"""Limits by network: comfort only. Budgets that protect people are rows in the database (design, section 12).

With Valkey the limits are shared by all nodes. While it is away nothing that checks a secret is done: the answer is
503. All else goes on without limits (D13).
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import Any, Literal

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

from keyback.application.identity import network_of
from keyback.application.store import StorageDown
from keyback.settings import Limits, Unsafe

log = structlog.get_logger("keyback.limits")
What = Literal["recoveries", "proofs", "sign_ins", "checks"]
CHECKS_A_SECRET = frozenset({"proofs", "sign_ins"})
WAIT_S = 60
SWEEP_S = 60.0
PATIENCE_S = 0.5  # with Valkey, for an answer that usually takes less than a millisecond


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
    valkey_url: `valkey://…` (`redis://…` is the same); empty counts in this process.

    Raises:
        Unsafe: the address is none.
    """

    def __init__(self, limits: Limits, valkey_url: str = "") -> None:
        storage: Storage = _valkey(valkey_url) if valkey_url else OneProcess()
        self.shared = bool(valkey_url)
        # What FixedWindowRateLimiter does; it would put the key together anew for every hit.
        self._storage = storage
        self._key = lru_cache(maxsize=4096)(self._name)
        self._items = {what: RateLimitItemPerMinute(getattr(limits, what)) for what in Limits.model_fields}

    async def allows(self, what: What, source: str) -> bool:
        """Counts one; False when this network has to wait up to a minute.

        Raises:
            StorageDown: Valkey is away and a secret would be checked.
        """
        item, key = self._items[what], self._key(what, source)
        try:
            if not self.shared:
                return await self._storage.incr(key, item.get_expiry()) <= item.amount
            async with asyncio.timeout(PATIENCE_S):
                return await self._storage.incr(key, item.get_expiry()) <= item.amount
        except Exception as e:
            log.error("limits_down", error=type(e).__name__)
            if what in CHECKS_A_SECRET:
                raise StorageDown("limits") from None
            return True

    async def up(self) -> bool:
        """Whether hits are counted just now."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._storage.check()
        except Exception:
            return False

    async def close(self) -> None:
        """Lets go of the connections to Valkey."""
        if self.shared:
            client: Any = self._storage.bridge.storage  # type: ignore[attr-defined]
            await client.aclose()

    def _name(self, what: What, source: str) -> str:
        return self._items[what].key_for(what, network_of(source))


def _valkey(url: str) -> Storage:
    scheme, _, rest = url.partition("://")
    known = {"valkey": "valkey", "redis": "valkey", "valkeys": "valkeys", "rediss": "valkeys"}.get(scheme)
    if known is None or not rest:
        raise Unsafe("valkey_url must be like valkey://valkey.example.com:6379/0")
    try:
        return storage_from_string(
            f"async+{known}://{rest}", socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S
        )  # type: ignore[return-value]
    except (ConfigurationError, ValueError) as e:  # its text may quote the address with its password
        raise Unsafe(f"valkey_url cannot be used ({type(e).__name__}); is the package valkey installed?") from None
