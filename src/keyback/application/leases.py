"""Leases of work: whoever was stopped or slow past the end of one sends nothing more (Q24), and nobody waits one out
because the database was away for a moment.

A lease is counted by a clock of this machine that goes on while the process or the machine is stopped, from before the
database gave it; so it never lasts longer here than there, whatever the wall clocks say. While messages are on their
way, it is renewed in the database, which gives nothing to whoever lost it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from keyback.application.ports.outages import StorageDown
from keyback.application.ports.storage import Database, Job, Tx

MARGIN_S = 30.0  # before its end nothing new is handed over, so that what was has been answered by then
RENEWALS = 4  # in the time of one lease
LOOK_AGAIN_S = 0.5  # whether the database is back
T = TypeVar("T")
Stopping = Callable[[], bool]


def steady_clock() -> float:
    """Seconds by a clock that nobody sets, and that goes on in sleep where the system has one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class BatchLease:
    """The lease of one batch.

    Args:
        begun: when it was asked for, by `clock`.
        length_ms: for how long it was given.
        clock: seconds.
    """

    def __init__(self, begun: float, length_ms: int, clock: Callable[[], float] = steady_clock) -> None:
        self._clock, self._seconds = clock, length_ms / 1000
        self.until = begun + self._seconds - MARGIN_S
        self.lost = False

    def old(self) -> bool:
        """Whether a part of it has gone by, so that it is worth renewing before anything is sent."""
        return self._clock() >= self.until + MARGIN_S - self._seconds * (1 - 1 / RENEWALS)

    def over(self) -> bool:
        return self.lost or self._clock() >= self.until

    async def renew(self, db: Database, jobs: Sequence[Job], length_ms: int) -> bool:
        """Asks the database for as long again; False, and over at once, when it has been given to somebody else."""
        begun = self._clock()
        kept = await db.write(lambda tx: tx.outbox.renew(jobs, length_ms))
        if not kept:
            self.lost = True
        elif not self.over():
            self.until = begun + self._seconds - MARGIN_S
        return kept

    @contextlib.asynccontextmanager
    async def kept(self, db: Database, jobs: Sequence[Job], length_ms: int) -> AsyncIterator[None]:
        """Renews it again and again in this block."""
        task = asyncio.create_task(self._keep(db, jobs, length_ms))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _keep(self, db: Database, jobs: Sequence[Job], length_ms: int) -> None:
        while not self.lost:
            await asyncio.sleep(self._seconds / RENEWALS)
            with contextlib.suppress(StorageDown):  # then it ends by itself
                await self.renew(db, jobs, length_ms)


async def write_when_up(db: Database, fn: Callable[[Tx], T], stopping: Stopping = lambda: False) -> T:
    """Writes what only this process knows, such as the end of a piece of work, as soon as the database answers again.

    Args:
        fn: looks by itself whether the work is still ours: others may have taken it up meanwhile.
        stopping: whether the process ends; nothing is waited for then.

    Raises:
        StorageDown: the database is away and the process ends.
    """
    while True:
        try:
            return await db.write(fn)
        except StorageDown:
            if stopping():
                raise
        await asyncio.sleep(LOOK_AGAIN_S)
