"""The worker: resolves intakes, sends messages, applies passwords, ends what is overdue. Any number may run."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from keyback.application import delivery
from keyback.application.campaigns import run as campaigns
from keyback.application.desk import digest, documents
from keyback.application.enrolment import reminders
from keyback.application.passwords import expiry, system_ages
from keyback.application.people import address_changes, logins
from keyback.application.people.scheduled_sync import sync_next
from keyback.application.policy.coverage import Offer
from keyback.application.ports.storage import StorageDown
from keyback.application.recovery import apply, evidence, issue_requested, resolve
from keyback.application.recovery.apply import LEASE
from keyback.application.reports import make as reports
from keyback.application.retention import purge
from keyback.application.services import Services
from keyback.application.signin import alerts
from keyback.application.tasks import stop, watch
from keyback.application.throttling import spraying
from keyback.application.throttling.mail_quota import Reason
from keyback.domain.units import HOUR, MINUTE
from keyback.observability import Seldom

log = structlog.get_logger("keyback.worker")
PARALLEL_APPLIES = 8
GATHER_S = 0.05  # between rounds: what comes close together shares statements, and nobody's mail is felt to be later
GATHER_MORE_S = 0.25  # after a round with much to do: large batches halve what a request costs
MUCH = 8
MESSAGES = 100  # in one batch: what a slow relay takes within a lease
LOOK_AGAIN_S = 0.1  # for further passwords while some are under way
IDLE_S = 0.5  # how long work of another process may lie when no wake-up reaches us
MAX_REST_S = 2.0  # while the database is away: what waits goes on as soon as it answers
UPKEEP_S = 15.0
SYNC_LOOK_S = 30.0  # whether a sync of people is due
PACED_S = 2.0  # what nobody waits for is looked at this seldom while there is none
LATE = MINUTE  # a request that nobody has looked up after so long is told of
WATCH_AGAIN = MINUTE  # what was being written down during the last look
WATCH_BACK = HOUR  # after a start


@dataclass
class Tally:
    """What this worker did, for metrics."""

    intakes: int = 0
    ghosts: int = 0
    mails_withheld: dict[str, int] = field(default_factory=lambda: {"person": 0, "address": 0, "installation": 0})
    messages: dict[str, int] = field(default_factory=lambda: {"sent": 0, "again": 0, "dropped": 0})
    texts_withheld: dict[str, int] = field(default_factory=dict)
    applies: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    names: dict[str, int] = field(default_factory=lambda: {"failing": 0, "locked": 0})

    @property
    def withheld(self) -> int:
        return sum(self.mails_withheld.values())

    def withhold(self, counts: Mapping[Reason, int]) -> None:
        for why, n in counts.items():
            self.mails_withheld[why] += n
        if counts.get("installation"):
            log.warning("mail_quota_spent", withheld=counts["installation"])


class Worker:
    """Runs until `stop`; then finishes what is in its hands.

    Args:
        services: from `bootstrap.build`.
        batch: intakes resolved in one transaction.
    """

    def __init__(self, services: Services, *, batch: int = 500) -> None:
        self.services = services
        self.tally = Tally()
        self.beat = 0.0  # loop time of the last completed round, for readiness
        self._batch = batch
        self._watched = 0
        self._seldom = Seldom()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._applying: set[asyncio.Task[str]] = set()

    def start(self) -> None:
        """Starts the loops in the running event loop."""
        loops = [
            (self._resolve, self._batch),
            (self._send, MESSAGES),
            (self._send, MESSAGES),
            (self._send_campaigns, MESSAGES),
            (self._apply, 1),
            (self._ask, 1),
            (self._stop, 1),
        ]
        self._tasks = [asyncio.create_task(self._forever(step, full)) for step, full in loops]
        self._tasks.append(asyncio.create_task(self._keep_up()))
        self._tasks += [asyncio.create_task(self._paced(step)) for step in (self._campaigns, self._fold)]
        if self.services.people_sync.systems:
            self._tasks.append(asyncio.create_task(self._sync_people()))

    async def stop(self) -> None:
        """Lets every loop finish its round, then returns (Q18)."""
        self._stopping.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*self._applying, return_exceptions=True)

    async def run(self) -> None:
        """Starts and waits until somebody calls `stop`."""
        self.start()
        await self._stopping.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*self._applying, return_exceptions=True)

    async def drain(self) -> None:
        """Does everything that is due now, then returns; for commands and tests."""
        while True:
            done = [await self._resolve(), await self._ask(), await self._send(), await self._apply()]
            done += [await self._stop(), await self._campaigns(), await self._send_campaigns()]
            if not any(done):
                return

    # ── one round each: how much it did ─────────────────────────────────────

    async def _resolve(self) -> int:
        s = self.services
        done = await s.db.write(lambda tx: resolve.resolve(tx, self._batch, s.mail_quota))
        self.tally.intakes += done.intakes
        self.tally.ghosts += done.ghosts
        self.tally.withhold(done.withheld)
        if not s.proofs:
            return done.intakes
        put = await s.db.write(lambda tx: issue_requested.issue_requested(tx, s.proofs, s.policy, whole=s.mail_quota))
        self.tally.withhold(put.withheld)
        return done.intakes + put.wants

    async def _ask(self) -> int:
        """Completes messages with what the systems say."""
        return await logins.complete(self.services.db, self.services.connectors)

    async def _campaigns(self) -> int:
        return await campaigns.step(self.services.db, self.services.zone)

    async def _fold(self) -> int:
        return await reports.step(self.services.db, self.services.zone)

    async def _send_campaigns(self) -> int:
        return await self._send(campaigns.BULK)

    async def _send(self, kind: str = "mail") -> int:
        s = self.services
        done = await delivery.send_batch(
            s.db, s.channel, s.titles, s.public_url, random.random, MESSAGES, s.spend,
            stopping=self._stopping.is_set, urls=s.sign_in_urls, kind=kind, zone=s.zone,
        )  # fmt: skip
        for why, n in done.withheld.items():
            self.tally.texts_withheld[why] = self.tally.texts_withheld.get(why, 0) + n
            log.warning("sms_withheld", reason=why, count=n)
        for why, n in done.lost.items():
            log.warning("message_dropped", reason=why, count=n)
        for kind in ("sent", "again", "dropped"):
            self.tally.messages[kind] += getattr(done, kind)
        return done.sent + done.again + done.dropped

    async def _apply(self) -> int:
        """Keeps up to `PARALLEL_APPLIES` passwords under way; a slow system holds up only its own."""
        s, free = self.services, PARALLEL_APPLIES - len(self._applying)
        jobs = await s.db.write(lambda tx: tx.outbox.claim("apply", free, LEASE)) if free else []
        self._applying |= {
            asyncio.create_task(apply.apply_one(s.db, s.connectors, j, self._stopping.is_set, s.tasks)) for j in jobs
        }
        if not self._applying:
            return 0
        done, self._applying = await asyncio.wait(
            self._applying, timeout=LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            error = task.exception()
            if error is not None:
                # The lease runs out and the job is tried again; one bad row never holds up the others (Q10).
                self.tally.failures += 1
                log.error("apply_failed", error=type(error).__name__)
            else:
                self.tally.applies[task.result()] = self.tally.applies.get(task.result(), 0) + 1
        return 1

    async def _stop(self) -> int:
        """Stops accounts whose owners say that somebody else is in them."""
        s = self.services
        jobs = await s.db.write(lambda tx: tx.outbox.claim("stop", PARALLEL_APPLIES, stop.LEASE))
        await asyncio.gather(*(stop.stop_one(s.db, s.connectors, s.tasks, j, self._stopping.is_set) for j in jobs))
        return len(jobs)

    # ── loops ───────────────────────────────────────────────────────────────

    async def _forever(self, step: Callable[[], Awaitable[int]], full: int) -> None:
        """Round after round. One that did `full` has more before it and goes on at once."""
        woken = self.services.db.waker()
        failures = 0
        time = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            begun = time()
            woken.clear()
            try:
                done = await step()
                failures = 0
            except StorageDown:
                failures += 1
                done = 0
                self._tell_down(step.__name__)
            except Exception as e:
                failures += 1
                self.tally.failures += 1
                done = 0
                log.error("round_failed", step=step.__name__, error=type(e).__name__)
            self.beat = time()
            if not done:
                await self._rest(woken, IDLE_S if not failures else min(MAX_REST_S, IDLE_S * 2**failures))
            if done < full:
                await asyncio.sleep(begun + (GATHER_S if done < MUCH else GATHER_MORE_S) - time())

    async def _paced(self, step: Callable[[], Awaitable[int]]) -> None:
        """Piece after piece of what nobody waits for: four a second at most, and seldom while there is nothing."""
        while not self._stopping.is_set():
            done = 0
            try:
                done = await step()
            except StorageDown:
                self._tell_down(step.__name__)
            except Exception as e:
                self.tally.failures += 1
                log.error("round_failed", step=step.__name__, error=type(e).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), GATHER_MORE_S if done else PACED_S)

    def _tell_down(self, step: str) -> None:
        more = self._seldom.due(step)
        if more is not None:
            log.warning("storage_down", step=step, more=more)

    async def _rest(self, woken: asyncio.Event, seconds: float) -> None:
        waits = {asyncio.ensure_future(woken.wait()), asyncio.ensure_future(self._stopping.wait())}
        _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for p in pending:
            p.cancel()

    async def _remind(self) -> int:
        rules, db = self.services.rules, self.services.db
        told = await db.write(reminders.remind)
        told += await db.write(digest.tell)
        ages = self.services.policy.ages
        told += await db.write(lambda tx: reminders.ask_about_contacts(tx, ages))
        told += await self._watch()
        if rules.max_age_days:
            told += await db.write(lambda tx: expiry.remind(tx, rules))
            told += await system_ages.remind(self.services)
        return told

    async def _watch(self) -> int:
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

    async def _look_at_queue(self) -> None:
        """Alarms when requests wait to be looked up for long: a flood, or too little of something."""
        oldest, waiting, now = await self.services.db.read(
            lambda tx: (tx.intakes.oldest(), tx.intakes.waiting(), tx.now)
        )
        if oldest is not None and now - oldest > LATE:
            log.warning("intakes_late", oldest_seconds=(now - oldest) // 1000, waiting=waiting)

    async def _report(self) -> None:
        s = self.services
        await s.db.write(lambda tx: reports.look_at_queue(tx, s.zone))
        await reports.look_at_everybody(s.db, Offer(s.policy, s.proofs), s.zone)

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

    async def _keep_up(self) -> None:
        while not self._stopping.is_set():
            try:
                released = await self.services.db.write(evidence.release)
                ended = await self.services.db.write(apply.give_up)
                moved = await self.services.db.write(address_changes.take_places)
                gone = await self.services.db.write(purge)
                gone += await self.services.db.write(documents.destroy_due)
                await watch.look(self.services.db, self.services.connectors, self.services.tasks)
                told = await self._remind()
                await campaigns.look(self.services.db)
                await self._report()
                await self._look_at_queue()
                if released or ended or moved or gone or told:
                    log.info("upkeep", released=released, ended=ended, moved=moved, purged=gone, reminded=told)
            except StorageDown:
                self._tell_down("upkeep")
            except Exception as e:
                self.tally.failures += 1
                log.error("upkeep_failed", error=type(e).__name__)
            try:
                await asyncio.wait_for(self._stopping.wait(), UPKEEP_S)
            except TimeoutError:
                continue
