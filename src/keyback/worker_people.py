"""The worker's loops over people: syncs from systems when it is time, and mail that came back from their addresses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import structlog

from keyback.application.notifications import returned_mail
from keyback.application.people.scheduled_sync import sync_next
from keyback.application.ports.returned_mail import MailboxAway, ReturnMailbox
from keyback.application.ports.storage import StorageDown
from keyback.application.services import Services
from keyback.worker_tally import Tally

log = structlog.get_logger("keyback.worker")
SYNC_LOOK_S = 30.0  # whether a sync of people is due


class PeopleLoops:
    """Those of them that the settings ask for.

    Args:
        services: from `bootstrap.build`.
        tally: of the worker whose loops they are.
        stopping: set when they have to end.
        tell_down: called with a name of what met a database that is away.
    """

    def __init__(
        self, services: Services, tally: Tally, stopping: asyncio.Event, tell_down: Callable[[str], None]
    ) -> None:
        self.services = services
        self.tally = tally
        self._stopping = stopping
        self._tell_down = tell_down

    def loops(self) -> Iterator[Coroutine[Any, Any, None]]:
        if self.services.returns.mailbox is not None:
            yield self._hear_of_returns(self.services.returns.mailbox)
        if self.services.people_sync.systems:
            yield self._sync_people()

    async def _sync_people(self) -> None:
        """Syncs people from systems when it is time. One that is under way when the worker stops is gone on with."""
        while not self._stopping.is_set():
            task = asyncio.create_task(self._sync_next())
            ends = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({task, ends}, return_when=asyncio.FIRST_COMPLETED)
            task.cancel()  # without effect on what is done
            ends.cancel()
            more = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(more, Exception):
                self.tally.failures += 1
                log.error("people_sync_failed", error=type(more).__name__)
            if more is not True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), SYNC_LOOK_S)

    async def _sync_next(self) -> bool:
        s = self.services
        try:
            ended = await sync_next(s.db, s.connectors, s.people_sync)
        except StorageDown:
            self._tell_down("people_sync")
            return False
        if ended is None:
            return False
        if ended.report is None:
            log.warning("people_sync_broken", system=ended.system, code=ended.code)
        elif ended.report.held:
            log.warning("people_sync_held", system=ended.system, **ended.report.counts())
        else:
            log.info("people_synced", system=ended.system, **ended.report.counts())
        return True

    async def _hear_of_returns(self, mailbox: ReturnMailbox) -> None:
        """Looks now and then for mail that came back."""
        db = self.services.db
        while not self._stopping.is_set():
            try:
                await mailbox.read(lambda news: db.write(lambda tx: returned_mail.take(tx, news)))
            except StorageDown:
                self._tell_down("returned_mail")
            except MailboxAway as e:
                log.warning("return_mailbox_away", why=str(e))
            except Exception as e:
                self.tally.failures += 1
                log.error("round_failed", step="returned_mail", error=type(e).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self.services.returns.every_ms / 1000)
