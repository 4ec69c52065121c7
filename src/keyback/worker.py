"""The worker: resolves intakes, sends messages, applies passwords, ends what is overdue. Any number may run."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import structlog

from keyback.application import delivery
from keyback.application.campaigns import run as campaigns
from keyback.application.desk import unlocking
from keyback.application.people import logins
from keyback.application.ports.storage import StorageDown
from keyback.application.recovery import apply, issue_requested, resolve
from keyback.application.recovery.apply import LEASE
from keyback.application.reports import make as reports
from keyback.application.services import Services
from keyback.application.siem.stream import SiemStream
from keyback.application.tasks import account_jobs, stop
from keyback.application.tracing import span
from keyback.application.webhooks.deliver import Lanes
from keyback.observability import Seldom
from keyback.worker_lookout import LOOK_S, Lookout
from keyback.worker_people import PeopleLoops
from keyback.worker_tally import Tally
from keyback.worker_upkeep import Upkeep

log = structlog.get_logger("keyback.worker")
PARALLEL_APPLIES = 8
GATHER_S = 0.05  # between rounds: what comes close together shares statements, and nobody's mail is felt to be later
GATHER_MORE_S = 0.25  # after a round with much to do: large batches halve what a request costs
MUCH = 8
MESSAGES = 100  # in one batch: what a slow relay takes within a lease
SLOW_S = 0.25  # a round of messages that takes longer waits for the relay; others then go beside it
REST_S = 10.0  # a round comes after so long whatever anybody says
MAX_REST_S = 2.0  # while the database is away: what waits goes on as soon as it answers
UPKEEP_S = 15.0
PACED_S = 2.0  # what nobody waits for is looked at this seldom while there is none


class Worker:
    """Runs until `stop`; then finishes what is in its hands.

    Args:
        services: from `bootstrap.build`.
        batch: intakes resolved in one transaction.
    """

    def __init__(self, services: Services, *, batch: int = 500) -> None:
        self.services = services
        self.tally = Tally()
        self.upkeep = Upkeep(services, self.tally)
        self.beat = 0.0  # loop time of the last completed round, for readiness
        self._batch = batch
        self._seldom = Seldom()
        self._stopping = asyncio.Event()
        self._lookout = Lookout(services.db, self._stopping)
        self._tasks: list[asyncio.Task[None]] = []
        self._applying: set[asyncio.Task[str]] = set()
        self._more_to_apply: asyncio.Event | None = None  # once it is started
        self._sending_since = 0.0  # loop time; 0: not at the moment
        self._lanes = Lanes(services.db, services.posts, random.random, self._stopping.is_set, self._webhook_failed)
        self._siem = SiemStream(services.db, services.siem, random.random) if services.siem else None

    def start(self) -> None:
        """Starts the loops in the running event loop."""
        self._more_to_apply = self._lookout.waker("apply")
        loops: list[tuple[Callable[[], Awaitable[int]], int, tuple[str, ...]]] = [
            (self._resolve, self._batch, ("intakes", "wants")),
            (self._send_first, MESSAGES, ("mail",)),
            (self._send_beside, MESSAGES, ("mail",)),
            (self._send_campaigns, campaigns.BATCH, ("bulk",)),
            (self._apply, 1, ("apply",)),
            (self._ask, 1, (logins.KIND,)),
            (self._stop, 1, ("stop",)),
            (self._unlock, 1, (unlocking.KIND,)),
        ]
        self._tasks = [asyncio.create_task(self._forever(step, full, *topics)) for step, full, topics in loops]
        for seconds, again in ((LOOK_S, self._look), (UPKEEP_S, self._keep_up)):
            broke = self._upkeep_failed
            self._tasks.append(asyncio.create_task(self._lookout.every(seconds, again, broke)))
        self._tasks += [
            asyncio.create_task(self._paced(step)) for step in (self._campaigns, self._fold, self._lanes.step)
        ]
        if self._siem:
            self._tasks.append(asyncio.create_task(self._paced(self._siem.step)))
        people = PeopleLoops(self.services, self.tally, self._stopping, self._tell_down)
        self._tasks += [asyncio.create_task(loop) for loop in people.loops()]

    async def stop(self) -> None:
        """Lets every loop finish its round, then returns (Q18)."""
        self._stopping.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._finish()

    async def run(self) -> None:
        """Starts and waits until somebody calls `stop`."""
        self.start()
        await self._stopping.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._finish()

    async def _finish(self) -> None:
        await asyncio.gather(*self._applying, return_exceptions=True)
        await self._lanes.finish()
        if self._siem:
            with contextlib.suppress(StorageDown):  # what is not written down is sent again
                await self._siem.finish()

    async def drain(self) -> None:
        """Does everything that is due now, then returns; for commands and tests."""
        while True:
            done = [await self._resolve(), await self._ask(), await self._send(), await self._apply()]
            done += [await self._stop(), await self._unlock(), await self._campaigns(), await self._send_campaigns()]
            if not any(done):
                break
        await self._lanes.step()
        if self._siem:
            await self._siem.step()
        await self._finish()

    # ── one round each: how much it did ─────────────────────────────────────

    async def _resolve(self) -> int:
        s = self.services
        with span("keyback.resolve") as traced:
            done = await s.db.write(lambda tx: resolve.resolve(tx, self._batch, s.mail_quota))
            traced.set("keyback.count", done.intakes)
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
        rows = await reports.step(self.services.db, self.services.zone)
        return rows if rows >= reports.PIECE else 0  # a few rows at a time would be a commit for each case

    async def _send_campaigns(self) -> int:
        return await campaigns.gently(lambda: self._send(campaigns.BULK, campaigns.BATCH))

    async def _send_first(self) -> int:
        self._sending_since = asyncio.get_running_loop().time()
        try:
            return await self._send()
        finally:
            self._sending_since = 0.0

    async def _send_beside(self) -> int:
        since = self._sending_since
        return await self._send() if since and asyncio.get_running_loop().time() - since > SLOW_S else 0

    async def _send(self, kind: str = "mail", most: int = MESSAGES) -> int:
        s = self.services
        done = await delivery.send_batch(
            s.db, s.channel, s.titles, s.public_url, random.random, most, s.spend,
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
        if self._more_to_apply is not None:
            self._more_to_apply.clear()
        jobs = await s.db.write(lambda tx: tx.outbox.claim("apply", free, LEASE)) if free else []
        self._applying |= {
            asyncio.create_task(apply.apply_one(s.db, s.connectors, j, self._stopping.is_set, s.tasks)) for j in jobs
        }
        if not self._applying:
            return 0
        more = None
        if self._more_to_apply is not None and len(self._applying) < PARALLEL_APPLIES:
            more = asyncio.create_task(self._more_to_apply.wait())
        waits = {*self._applying, *([more] if more else [])}
        done, _ = await asyncio.wait(waits, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        if more:
            more.cancel()
        ended = self._applying & done
        self._applying -= ended
        for task in ended:
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
        jobs = await s.db.write(lambda tx: tx.outbox.claim(stop.KIND, PARALLEL_APPLIES, account_jobs.LEASE))
        await asyncio.gather(*(stop.stop_one(s.db, s.connectors, s.tasks, j, self._stopping.is_set) for j in jobs))
        return len(jobs)

    async def _unlock(self) -> int:
        """Unlocks accounts that an operator opened."""
        s = self.services
        jobs = await s.db.write(lambda tx: tx.outbox.claim(unlocking.KIND, PARALLEL_APPLIES, account_jobs.LEASE))
        await asyncio.gather(*(unlocking.unlock_one(s.db, s.connectors, j, self._stopping.is_set) for j in jobs))
        return len(jobs)

    # ── loops ───────────────────────────────────────────────────────────────

    async def _forever(self, step: Callable[[], Awaitable[int]], full: int, *topics: str) -> None:
        """Round after round, woken by commits of these topics. One that did `full` has more before it and goes on at
        once."""
        woken = self._lookout.waker(*topics)
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
            if done < full:
                await self._lookout.rest(woken, REST_S if not failures else min(MAX_REST_S, LOOK_S * 2**failures))
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

    async def _look(self) -> None:
        try:
            await self._lookout.look()
            self.beat = asyncio.get_running_loop().time()
        except StorageDown:
            self._tell_down("look")

    def _webhook_failed(self, error: BaseException) -> None:
        self.tally.failures += 1
        log.error("webhook_failed", error=type(error).__name__)

    def _upkeep_failed(self, error: BaseException) -> None:
        self.tally.failures += 1
        log.error("upkeep_failed", error=type(error).__name__)

    def _tell_down(self, step: str) -> None:
        more = self._seldom.due(step)
        if more is not None:
            log.warning("storage_down", step=step, more=more)

    async def _keep_up(self) -> None:
        try:
            await self.upkeep.step()
        except StorageDown:
            self._tell_down("upkeep")
