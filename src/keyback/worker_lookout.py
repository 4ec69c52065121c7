"""Wakes the worker's loops: at once where a commit says what it left to do, else within half a second by looking.

Looking is one statement for all loops. What a commit tells nobody of is what falls due by its time, a lease that ran
out, and, on SQLite, what other processes wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from keyback.application.ports.storage import Database

LOOK_S = 0.5


class Lookout:
    """For the loops of one worker, until `stopping` is set."""

    def __init__(self, db: Database, stopping: asyncio.Event) -> None:
        self._db = db
        self._stopping = stopping
        self._loops: list[tuple[frozenset[str], asyncio.Event]] = []

    def waker(self, *topics: str) -> asyncio.Event:
        """An event that is set when there may be something to do for these topics (`storage.wakes`)."""
        event = self._db.waker(*topics)
        self._loops.append((frozenset(topics), event))
        return event

    async def look(self) -> None:
        """Wakes the loops that something is due for.

        Raises:
            StorageDown: the database cannot be reached.
        """
        due = await self._db.read(lambda tx: tx.due())
        for topics, event in self._loops:
            if not topics.isdisjoint(due):
                event.set()

    async def rest(self, woken: asyncio.Event, seconds: float) -> None:
        """Waits until woken or told to stop, no longer than so many seconds."""
        waits = {asyncio.ensure_future(woken.wait()), asyncio.ensure_future(self._stopping.wait())}
        _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for p in pending:
            p.cancel()

    async def every(
        self, seconds: float, step: Callable[[], Awaitable[None]], broke: Callable[[BaseException], None]
    ) -> None:
        """Takes a step again and again; what it raises goes to `broke`."""
        while not self._stopping.is_set():
            try:
                await step()
            except Exception as e:
                broke(e)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
