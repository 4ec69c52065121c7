"""The worker's upkeep: what is due by the clock and not by somebody who asked."""

from __future__ import annotations

from functools import partial

import structlog

from keyback.application.campaigns import run as campaigns
from keyback.application.desk import digest, documents, systems
from keyback.application.desk.keys import free_lapsed
from keyback.application.enrolment import reminders
from keyback.application.passwords import expiry, system_ages
from keyback.application.people import address_changes
from keyback.application.policy.coverage import Offer
from keyback.application.recovery import apply, evidence
from keyback.application.reports import make as reports
from keyback.application.retention import purge
from keyback.application.services import Services
from keyback.application.signin import alerts
from keyback.application.tasks import watch
from keyback.application.throttling import spraying
from keyback.domain.units import HOUR, MINUTE
from keyback.worker_tally import Tally

log = structlog.get_logger("keyback.worker")
LATE = MINUTE  # a request that nobody has looked up after so long is told of
WATCH_AGAIN = MINUTE  # what was being written down during the last look
WATCH_BACK = HOUR  # after a start


class Upkeep:
    """A step of it does everything that is due.

    Args:
        services: from `bootstrap.build`.
        tally: of the worker whose upkeep it is.
    """

    def __init__(self, services: Services, tally: Tally) -> None:
        self.services = services
        self.tally = tally
        self._watched = 0

    async def step(self) -> None:
        released = await self.services.db.write(evidence.release)
        ended = await self.services.db.write(apply.give_up)
        moved = await self.services.db.write(address_changes.take_places)
        gone = await self.services.db.write(purge)
        gone += await self.services.db.write(documents.destroy_due)
        await self.services.db.write(free_lapsed)
        await watch.look(self.services.db, self.services.connectors, self.services.tasks)
        told = await self.remind()
        await systems.note(self.services.db, self.services.connectors)
        await campaigns.look(self.services.db)
        await self.report()
        await self.look_at_queue()
        if released or ended or moved or gone or told:
            log.info("upkeep", released=released, ended=ended, moved=moved, purged=gone, reminded=told)

    async def remind(self) -> int:
        rules, db = self.services.rules, self.services.db
        told = await db.write(reminders.remind)
        told += await db.write(digest.tell)
        ages = self.services.policy.ages
        told += await db.write(lambda tx: reminders.ask_about_contacts(tx, ages))
        told += await self.watch()
        if rules.max_age_days:
            told += await db.write(lambda tx: expiry.remind(tx, rules))
            told += await system_ages.remind(self.services)
        return told

    async def watch(self) -> int:
        """Looks for wrong passwords that pile up, at what was tried since the last look."""
        db, told, name = self.services.db, 0, ""
        now = await db.read(lambda tx: tx.now)
        since = max(self._watched - WATCH_AGAIN, now - WATCH_BACK)
        more = True
        while more:
            letters, name = await db.write(partial(alerts.look, since=since, after=name))
            told, more = told + letters, bool(name)
        self._watched = now
        seen = await db.write(lambda tx: spraying.look(tx, self.services.alarms))
        self.tally.names = {"failing": seen.failing, "locked": seen.locked}
        if seen.many_failing:
            log.warning("many_failing", names=seen.failing)
        if seen.many_locked:
            log.warning("many_locked", names=seen.locked)
        return told

    async def look_at_queue(self) -> None:
        """Alarms when requests wait to be looked up for long: a flood, or too little of something."""
        oldest, waiting, now = await self.services.db.read(
            lambda tx: (tx.intakes.oldest(), tx.intakes.waiting(), tx.now)
        )
        if oldest is not None and now - oldest > LATE:
            log.warning("intakes_late", oldest_seconds=(now - oldest) // 1000, waiting=waiting)

    async def report(self) -> None:
        s = self.services
        await s.db.write(lambda tx: reports.look_at_queue(tx, s.zone))
        await reports.look_at_everybody(s.db, Offer(s.policy, s.proofs), s.zone)
