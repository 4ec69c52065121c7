"""Limits by network: comfort only. Budgets that protect people are rows in the database (design, section 12).

With Valkey the limits are shared by all nodes. While it is away nothing that checks a secret is done: the answer is
503. All else goes on without limits (D13).
"""

from __future__ import annotations

import asyncio
import time
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

import structlog
from limits.aio.storage import Storage
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

from keyback.application.origin import networks_of
from keyback.application.ports.outages import LimitsDown
from keyback.observability import Seldom
from keyback.settings import Unsafe
from keyback.settings_sections import Limits

log = structlog.get_logger("keyback.limits")
What = Literal["recoveries", "proofs", "sign_ins", "checks", "admin"]
Keys = Sequence[tuple[str, int]]  # what counts, and its most in a minute
CHECKS_A_SECRET = frozenset({"proofs", "sign_ins", "admin"})
WAIT_S = 60
PATIENCE_S = 0.5  # with Valkey, for an answer that usually takes less than a millisecond


class OneProcess:
    """Counts in this process the hits of the last minute, by the time of each, which a clock gives that nobody sets: as
    many as are answered in a minute, in eight bytes each."""

    def __init__(self) -> None:
        self.hits: dict[str, array[float]] = {}
        self._swept = 0.0

    async def take(self, keys: Keys) -> bool:
        """Counts one for each of these keys; False, and nothing counted, when one had its most in the last minute."""
        now = time.monotonic()
        if now - self._swept > WAIT_S:
            self._swept = now
            self.hits = {k: v for k, v in self.hits.items() if v and v[-1] > now - WAIT_S}
        for key, most in keys:
            hits = self.hits.get(key)
            if not hits:
                continue
            if hits[0] <= now - WAIT_S:
                del hits[: bisect_right(hits, now - WAIT_S)]
            if len(hits) >= most:
                return False
        for key, _ in keys:
            self.hits.setdefault(key, array("d")).append(now)
        return True

    async def check(self) -> bool:
        return True


class Shared:
    """Counts in Valkey, for all nodes.

    Args:
        storage: of the library, which keeps the time of each hit as `OneProcess` does.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage: Any = storage

    async def take(self, keys: Keys) -> bool:
        for key, most in keys:
            async with asyncio.timeout(PATIENCE_S):
                if not await self.storage.acquire_entry(key, most, WAIT_S, 1):
                    return False
        return True

    async def check(self) -> bool:
        return bool(await self.storage.check())


class Limiter:
    """Args:
    limits: how many of each in a minute from one network, from those around it, and from a known browser.
    valkey_url: `valkey://…` (`redis://…` is the same); empty counts in this process.

    Raises:
        Unsafe: the address is none.
    """

    def __init__(self, limits: Limits, valkey_url: str = "") -> None:
        self.shared = bool(valkey_url)
        self._storage = Shared(_valkey(valkey_url)) if valkey_url else OneProcess()
        self._limits = limits
        self._seldom = Seldom()
        self._keys = lru_cache(maxsize=4096)(self._names)

    async def allows(self, what: What, source: str) -> bool:
        """Counts one; False when this network, or one of the wider ones around it, has to wait up to a minute.

        Raises:
            LimitsDown: Valkey is away and a secret would be checked.
        """
        return await self._take(what, self._keys(what, source))

    async def allows_browser(self, what: What, name: str) -> bool:
        """The share that a browser has of its own once its network's is used up; the caller knows that it is known.

        Raises:
            LimitsDown: as `allows`.
        """
        return await self._take(what, ((f"LIMITS/{what}/b/{name}", self._limits.own_browser),))

    async def allows_key(self, prefix: str) -> bool:
        """What a key of the admin API may ask in a minute, wherever it is used.

        Raises:
            LimitsDown: as `allows`.
        """
        return await self._take("admin", ((f"LIMITS/admin/k/{prefix}", self._limits.admin),))

    async def _take(self, what: What, keys: Keys) -> bool:
        try:
            return await self._storage.take(keys)
        except Exception as e:
            more = self._seldom.due("limits_down")
            if more is not None:
                log.error("limits_down", error=type(e).__name__, more=more)
            if what in CHECKS_A_SECRET:
                raise LimitsDown("limits") from None
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
            client: Any = self._storage.storage.bridge.storage  # type: ignore[union-attr]
            await client.aclose()

    def _names(self, what: What, source: str) -> tuple[tuple[str, int], ...]:
        most, times = getattr(self._limits, what), {56: self._limits.times_56, 48: self._limits.times_48}
        return tuple((f"LIMITS/{what}/{name}", most * times.get(n, 1)) for n, name in networks_of(source))


def _valkey(url: str) -> Storage:
    scheme, _, rest = url.partition("://")
    known = {"valkey": "valkey", "redis": "valkey", "valkeys": "valkeys", "rediss": "valkeys"}.get(scheme)
    if known is None or not rest:
        raise Unsafe("valkey_url must be like valkey://valkey.example.com:6379/0")
    try:
        return storage_from_string(
            f"async+{known}://{rest}", socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S
        )  # type: ignore[return-value]
    except ConfigurationError as e:  # it has no type of its own for a package that is missing
        if find_spec("valkey") is None:
            raise Unsafe("valkey_url needs a package that is not installed: pip install 'keyback[valkey]'") from None
        raise Unsafe(f"valkey_url cannot be used ({type(e).__name__})") from None
    except ValueError as e:  # its text may quote the address with its password
        raise Unsafe(f"valkey_url cannot be used ({type(e).__name__})") from None
