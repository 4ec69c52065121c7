"""One code path for SQLite and PostgreSQL: a writer thread with group commit, snapshot reads, DB time (ADR 2)."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from keyback.application.ports.storage import Intake, StorageDown, StorageFull, StorageUnsure, Tx, Watch
from keyback.application.throttling.fairness import Turns
from keyback.outbound.watchdog import Watchdog
from keyback.storage import faults
from keyback.storage.clock import DatabaseClock, steady_ms
from keyback.storage.engine import make_engine as make_engine
from keyback.storage.engine import stale
from keyback.storage.keys.keyring import Keyring
from keyback.storage.notify import Announcing, Listener
from keyback.storage.reading import Readers
from keyback.storage.sql.direct import run as say
from keyback.storage.tx import SqlTx
from keyback.storage.wakes import CASE, CHANNEL, INTAKES, Wakes
from keyback.storage.writes import Solitary, Stage, Write, fail, give_up, resolve, run

T = TypeVar("T")
Clock = Callable[[], int]
log = structlog.get_logger("keyback.storage")
# Under load a commit waits this long for company: a fifth less CPU a request; one that comes alone waits for nobody.
GATHER_S = 0.004
MAX_IN_ONE_COMMIT = 128
MOST_WAITING = 1000  # intakes, which is what one commit takes
PATIENCE_S = 10.0  # for the database, where somebody waits for an answer
RARELY_S, OFTEN_S = 2.0, 0.4  # between looks at what an event tells of, and at what none may
STALLED = 1.2  # times that, until a connection that does not answer is given up


class SqlDatabase:
    """Transactions as plain functions.

    Args:
        url: `sqlite:///file` or `postgresql://…`.
        keyring: opens and seals what must not lie in clear.
        clock: ms since 1970; None takes the database's own time, so that nodes with skewed clocks agree (Q14).
        patience_s: seconds after which a caller is told that the database does not answer, whatever it waits for;
            None for commands, which may take as long as their work does.

    Attributes:
        clock: the time of transactions.
        full: whether a write found no room, and none as large as `storage.health.probe` writes has since.
    """

    def __init__(
        self, url: str, keyring: Keyring, *, clock: Clock | None = None, patience_s: float | None = None
    ) -> None:
        self.url = url
        self._patience = patience_s
        self._watchdog = Watchdog(patience_s * STALLED) if patience_s is not None else None
        self.engine = make_engine(url, watchdog=self._watchdog)
        self.sqlite = self.engine.dialect.name == "sqlite"
        self.keyring = keyring
        self._clock = clock
        self._turns = Turns()
        self._solitary = Solitary()
        self.clock = DatabaseClock(self._raw, steady_ms if clock is None else None)
        self._offset, self._offset_at = 0.0, float("-inf")
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._swift: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._readers = Readers(self.engine, self._resumed)
        self._threads: list[threading.Thread] = []
        self._counting = threading.Lock()
        self._closed = False
        self._pending: list[tuple[Intake, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._wakes = Wakes()
        self.announcing = Announcing(self.engine)
        self._listener: Listener | None = None
        self._hears = False  # a worker waits in this process, so what it commits is heard
        self.commits = 0
        self.writes = 0
        self.errors = 0
        self.full = False

    # ── public ──────────────────────────────────────────────────────────────

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Runs `fn` in the next commit; its exception undoes its own changes only.

        Raises:
            StorageDown: the commit failed or the database cannot be reached; nothing was changed.
            StorageUnsure: it was on its way when the connection broke or time ran out.
        """
        w = self._put(fn)
        if self._patience is None:
            return await w.future  # type: ignore[no-any-return]
        late = w.loop.call_later(self._patience, give_up, w)
        try:
            return await w.future  # type: ignore[no-any-return]
        finally:
            late.cancel()

    def _put(self, fn: Callable[[Tx], Any], *, at_once: bool = False) -> Write:
        if self._closed:
            raise StorageDown("closed")
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._run, name="keyback-writer", daemon=True),
                threading.Thread(target=self._run_swift, name="keyback-swift", daemon=True),
            ]
            for thread in self._threads:
                thread.start()
        loop = asyncio.get_running_loop()
        w = Write(fn, loop.create_future(), loop)
        (self._swift if at_once else self._queue).put(w)
        return w

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Runs `fn` on a snapshot. Raises StorageDown when the database cannot be reached."""
        if self._closed:
            raise StorageDown("closed")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience):
                return await loop.run_in_executor(self._readers.threads, self._read, fn)
        except TimeoutError:
            raise StorageDown("timeout") from None

    async def write_down(self, intake: Intake) -> None:
        """Makes one intake durable. All that arrive while a commit is under way share the next one; what no longer fits
        into it is sent away, so that those who are let in do not wait for long (StorageDown)."""
        if len(self._pending) >= MOST_WAITING:
            raise StorageDown("crowded")
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        loop = self._flushing.get_loop()  # asking asyncio takes a call of the system each time
        done: asyncio.Future[None] = loop.create_future()
        self._pending.append((intake, done))
        late = loop.call_later(self._patience, fail, done, StorageUnsure("timeout")) if self._patience else None
        try:
            await done
        finally:
            if late is not None:
                late.cancel()

    def waker(self, *topics: str) -> asyncio.Event:
        """An event that is set after commits of these topics, or of any; on PostgreSQL of other processes too."""
        self.listen()
        self._hears = True
        return self._wakes.waker(*topics)

    @contextmanager
    def watching(self, case_id: str) -> Iterator[Watch]:
        """Waits for what becomes of a case; where others' commits are not heard, by looking now and then."""
        self.listen()
        with self._wakes.watching(CASE + case_id) as event:
            yield Watch(event, RARELY_S if self._hears or self.announcing.known is not False else OFTEN_S)

    def listen(self) -> None:
        """Passes on wake-ups of other processes from now on; SQLite has none, its workers look every half second."""
        if self._listener is None and not self.sqlite and not self._closed:
            self._listener = Listener(self.engine, self._wakes.hear)
            self._listener.start()

    async def close(self) -> None:
        """Finishes what was begun, then lets go of every connection."""
        if self._flushing is not None and not self._flushing.done():
            await asyncio.wait([self._flushing])
        self._closed = True
        if self._listener is not None:
            await asyncio.to_thread(self._listener.stop)
        for q, thread in zip((self._queue, self._swift), self._threads, strict=False):
            q.put(None)
            await asyncio.to_thread(thread.join)
        self._readers.close()
        if self._watchdog is not None:
            self._watchdog.close()
        self.engine.dispose()

    def _raw(self, conn: Connection) -> int:
        """The clock to go by, ms. PostgreSQL's is asked once a second, in between carried on by the monotonic clock."""
        if self._clock is not None:
            return self._clock()
        if self.sqlite:
            return time.time_ns() // 1_000_000
        mono = time.monotonic()
        if mono - self._offset_at > 1.0:
            db = conn.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
            mono = time.monotonic()
            self._offset, self._offset_at = float(db) - mono, mono
        return int((mono + self._offset) * 1000)

    # ── threads ─────────────────────────────────────────────────────────────

    async def _flush(self) -> None:
        while self._pending:
            if len(self._pending) > 1:
                await asyncio.sleep(GATHER_S)
            batch, self._pending = self._pending, []
            batch = [(intake, done) for intake, done in batch if not done.done()]  # the others waited too long
            if not batch:
                continue
            intakes = [i for i, _ in batch]
            try:
                if self.sqlite:
                    await self._put(lambda tx, intakes=intakes: tx.intakes.add(intakes)).future  # type: ignore[misc]
                else:
                    add = lambda tx, intakes=intakes: tx.intakes.add(intakes, notify=self._announced({INTAKES}))  # noqa: E731
                    await self._put(add, at_once=True).future
            except Exception as e:
                if len(batch) > 1 and not isinstance(e, StorageDown):
                    await self._one_by_one(batch)  # one that cannot be stored must not take the others along
                    continue
                for _, done in batch:
                    if not done.done():
                        done.set_exception(e)
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    async def _one_by_one(self, batch: list[tuple[Intake, asyncio.Future[None]]]) -> None:
        for intake, done in batch:
            try:
                await self.write(lambda tx, intake=intake: tx.intakes.add([intake]))  # type: ignore[misc]
            except Exception as e:
                if not done.done():
                    done.set_exception(e)
            else:
                if not done.done():
                    done.set_result(None)

    def _read(self, fn: Callable[[Tx], T]) -> T:
        with self._bounded():
            return self._readers.run(
                lambda conn: fn(SqlTx(conn, self.clock.now(conn, writes=False), self.keyring, writes=False))
            )

    def _bounded(self) -> AbstractContextManager[None]:
        return self._watchdog.holding() if self._watchdog is not None else nullcontext()

    def _resumed(self, conn: Connection) -> Connection | None:
        """A connection that was kept, watched from here on; None when it was ended meanwhile."""
        if self.sqlite:
            return conn
        dbapi: Any = conn.connection.dbapi_connection
        if dbapi is None or stale(dbapi):
            faults.drop(conn)
            return None
        if self._watchdog is not None:
            self._watchdog.attach(dbapi.fileno())
        return conn

    def _run(self) -> None:
        conn: Connection | None = None
        while True:
            first = self._queue.get()
            if first is None:
                break
            batch, stop = [first], False
            while len(batch) < MAX_IN_ONE_COMMIT:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                    break
                batch.append(more)
            batch = [w for w in batch if w.take()]
            for part in self._solitary.parts(batch):
                with self._bounded():
                    conn, wakes = self._carry_out(conn and self._resumed(conn), part)
                self._answer(part, wakes)
            if stop:
                break
        faults.drop(conn)

    def _run_swift(self) -> None:
        """Writes intakes down over a connection of their own, so that they never wait behind the worker (A4)."""
        conn: Connection | None = None
        while (w := self._swift.get()) is not None:
            with self._bounded():
                conn = self._at_once(conn and self._resumed(conn), w)
            self._answer([w], {INTAKES} if w.error is None else set())
        faults.drop(conn)

    def _at_once(self, conn: Connection | None, w: Write) -> Connection | None:
        """Runs one statement that is a transaction by itself; repeated, it leaves what is there as it is."""
        kept = conn is not None
        try:
            conn = conn or self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            w.result = w.fn(SqlTx(conn, self.clock.now(conn, writes=True), self.keyring, turns=self._turns))
            conn.commit()  # the engine's own bookkeeping; the database has committed already
        except BaseException as e:
            faults.drop(conn)
            if kept and faults.lost(e):
                return self._at_once(None, w)
            failed = self._failed(e, 1)
            # What cannot be stored keeps its error: those who share the statement are then tried one by one.
            w.error = e if faults.refused(e) else StorageUnsure("commit") if faults.lost(e) else failed
            return None
        self._count(1)
        return conn

    def _failed(self, e: BaseException, writes: int) -> BaseException:
        """Takes note of a commit that failed; what its callers hear."""
        self.errors += 1
        log.warning("commit_failed", error=type(e).__name__, writes=writes)
        if isinstance(e, PoolTimeout):
            return StorageDown("pool")
        return self._told(e) if isinstance(e, DBAPIError) else e

    def _told(self, e: DBAPIError) -> StorageDown:
        found = faults.down(e)
        self.full = self.full or isinstance(found, StorageFull)
        return found

    def _count(self, writes: int) -> None:
        with self._counting:
            self.commits += 1
            self.writes += writes

    def _carry_out(
        self, conn: Connection | None, batch: list[Write], *, again: int = 0
    ) -> tuple[Connection | None, set[str]]:
        """Commits a batch; after a deadlock, which undid all of it, each on its own, up to three times. A connection
        that was kept and turns out to be dead is replaced once, unless the commit may have got through.

        Returns:
            The connection if it can still be used, and the topics of those who wait for what was committed.
        """
        kept, stage = conn is not None, Stage()
        try:
            conn = conn or self.engine.connect().execution_options(writes=True)
            wakes, rest = self._commit(conn, batch, stage)
        except BaseException as e:
            faults.drop(conn)
            conn, wakes, lost = None, set(), faults.lost(e)
            if lost and kept and not stage.committing:
                return self._carry_out(None, batch, again=again)
            if faults.undone(e) and again < 3:
                for w in batch:
                    w.error = None
                    conn, one = self._carry_out(conn, [w], again=again + 1)
                    wakes |= one
                return conn, wakes
            failure = self._failed(e, len(batch))
            if lost and stage.committing:
                failure = StorageUnsure("commit")
            for w in batch:
                w.error = w.error or failure
            return None, set()
        for part in (rest[:1], rest[1:]):
            if part:
                conn, one = self._carry_out(conn, part)
                wakes |= one
        return conn, wakes

    def _commit(self, conn: Connection, batch: list[Write], stage: Stage) -> tuple[set[str], list[Write]]:
        """Who waits for it, and what is left: the first of it has to be run by itself."""
        alone = len(batch) == 1
        for w in batch:
            w.error = None
        with conn.begin() as transaction:
            tx = SqlTx(conn, self.clock.now(conn, writes=True), self.keyring, turns=self._turns, shared=not alone)
            rest = run(tx, batch, self._told, self._solitary)
            if alone and batch[0].error is not None:
                transaction.rollback()
                return set(), []
            tx.flush()
            if tx.wakes and (told := self._announced(tx.wakes)):
                say(conn, "SELECT pg_notify(%s, %s)", (CHANNEL, told))
            stage.committing = True
        self._count(len(batch) - len(rest))
        return tx.wakes, rest

    def _announced(self, topics: set[str]) -> str:
        """What other processes are told in the same transaction; nothing where the database passes nothing on."""
        return self._wakes.payload(topics) if self.announcing.works() else ""

    def _answer(self, batch: list[Write], wakes: set[str]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[Write]] = {}
        for w in batch:
            loops.setdefault(w.loop, []).append(w)
        for loop, writes in loops.items():
            try:
                loop.call_soon_threadsafe(resolve, writes)
            except RuntimeError:
                continue  # its loop was closed meanwhile
        self._wakes.tell(wakes)
