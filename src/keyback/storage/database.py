"""One code path for SQLite and PostgreSQL: a writer thread with group commit, snapshot reads, DB time (ADR 2)."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from keyback.application.store import Intake, StorageDown, StorageFull, Tx
from keyback.storage.sealing import Keyring
from keyback.storage.sql import plan_by_index
from keyback.storage.tx import SqlTx
from keyback.storage.wake import Listener

T = TypeVar("T")
Clock = Callable[[], int]
log = structlog.get_logger("keyback.storage")
# Under load a commit waits this long for company: a fifth less CPU a request; one that comes alone waits for nobody.
GATHER_S = 0.004
MOST_IN_ONE_COMMIT = 128
READERS = 4


@dataclass(slots=True)
class _Write:
    fn: Callable[[Tx], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


def make_engine(url: str, *, readers: int = READERS) -> Engine:
    """An engine with explicit transactions, for `sqlite:///path` or `postgresql://…`."""
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+psycopg://" + url.split("://", 1)[1]
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=readers + 2,
            connect_args={"check_same_thread": False, "timeout": 10},
            hide_parameters=True,
        )

        @event.listens_for(engine, "connect")
        def _pragmas(dbapi: Any, _record: Any) -> None:
            dbapi.isolation_level = None  # we say BEGIN ourselves
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
                dbapi.execute(f"PRAGMA {pragma}").close()

        @event.listens_for(engine, "begin")
        def _begin(conn: Connection) -> None:
            conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("writes") else "BEGIN")

        return engine
    # Errors must not quote what was to be stored (INV-I4), hence hide_parameters.
    engine = create_engine(
        url, pool_size=readers + 2, pool_pre_ping=True, connect_args={"connect_timeout": 5}, hide_parameters=True
    )
    event.listen(engine, "connect", plan_by_index)
    return engine


class SqlDatabase:
    """Transactions as plain functions.

    Args:
        url: `sqlite:///file` or `postgresql://…`.
        keyring: opens and seals what must not lie in clear.
        clock: ms since 1970; None takes the database's own time, so that nodes with skewed clocks agree (Q14).
    """

    def __init__(self, url: str, keyring: Keyring, *, clock: Clock | None = None) -> None:
        self.url = url
        self.engine = make_engine(url)
        self.sqlite = self.engine.dialect.name == "sqlite"
        self.keyring = keyring
        self._clock = clock
        self._offset = 0.0
        self._offset_at = float("-inf")
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._swift: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="keyback-read")
        self._threads: list[threading.Thread] = []
        self._counting = threading.Lock()
        self._closed = False
        self._pending: list[tuple[Intake, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._wakers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._listener: Listener | None = None
        self.commits = 0
        self.writes = 0
        self.errors = 0

    # ── public ──────────────────────────────────────────────────────────────

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Runs `fn` in the next commit; its exception undoes its own changes only.

        Raises:
            StorageDown: the commit failed or the database cannot be reached.
        """
        return await self._put(fn)  # type: ignore[no-any-return]

    def _put(self, fn: Callable[[Tx], Any], *, at_once: bool = False) -> asyncio.Future[Any]:
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
        w = _Write(fn, loop.create_future(), loop)
        (self._swift if at_once else self._queue).put(w)
        return w.future

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Runs `fn` on a snapshot. Raises StorageDown when the database cannot be reached."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, fn)

    async def write_down(self, intake: Intake) -> None:
        """Makes one intake durable. All that arrive while a commit is under way share the next one."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((intake, done))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        await done

    def waker(self) -> asyncio.Event:
        """An event that is set after every commit that left work for the worker: of this process, and on PostgreSQL of
        every other."""
        ev = asyncio.Event()
        self._wakers.append((asyncio.get_running_loop(), ev))
        self.listen()
        return ev

    def listen(self) -> None:
        """Passes on wake-ups of other processes from now on; SQLite has none, its workers look every half second."""
        if self._listener is None and not self.sqlite and not self._closed:
            self._listener = Listener(self.engine, self._wake)
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
        self._readers.shutdown(wait=True)
        self.engine.dispose()

    def now(self, conn: Connection) -> int:
        """Database time in ms; asked again once a second, in between carried on by the monotonic clock."""
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
            batch, self._pending = self._pending[:1000], self._pending[1000:]
            intakes = [i for i, _ in batch]
            try:
                if self.sqlite:
                    await self._put(lambda tx, intakes=intakes: tx.intakes.add(intakes))  # type: ignore[misc]
                else:
                    add = lambda tx, intakes=intakes: tx.intakes.add(intakes, notify=True)  # noqa: E731
                    await self._put(add, at_once=True)
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
        try:
            with self.engine.connect() as raw:
                conn = raw if self.sqlite else raw.execution_options(isolation_level="REPEATABLE READ")
                with conn.begin():
                    return fn(SqlTx(conn, self.now(conn), self.keyring, writes=False))
        except DBAPIError as e:
            raise _down(e) from None

    def _run(self) -> None:
        conn: Connection | None = None
        while True:
            first = self._queue.get()
            if first is None:
                break
            batch, stop = [first], False
            while len(batch) < MOST_IN_ONE_COMMIT:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                    break
                batch.append(more)
            conn, woke = self._carry_out(conn, batch)
            self._answer(batch, woke)
            if stop:
                break
        _drop(conn)

    def _run_swift(self) -> None:
        """Writes intakes down over a connection of their own, so that they never wait behind the worker (A4)."""
        conn: Connection | None = None
        while (w := self._swift.get()) is not None:
            conn = self._at_once(conn, w)
            self._answer([w], w.error is None)
        _drop(conn)

    def _at_once(self, conn: Connection | None, w: _Write) -> Connection | None:
        """Runs one statement that is a transaction by itself: one way to the database and back instead of four."""
        try:
            conn = conn or self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            w.result = w.fn(SqlTx(conn, self.now(conn), self.keyring))
            conn.commit()  # the engine's own bookkeeping; the database has committed already
        except BaseException as e:
            _drop(conn)
            lost = isinstance(e, DBAPIError) and (e.connection_invalidated or isinstance(e, OperationalError))
            w.error = _down(e) if lost else e
            self.errors += 1
            log.warning("commit_failed", error=type(e).__name__, writes=1)
            return None
        self._count(1)
        return conn

    def _count(self, writes: int) -> None:
        with self._counting:
            self.commits += 1
            self.writes += writes

    def _carry_out(
        self, conn: Connection | None, batch: list[_Write], *, again: int = 0
    ) -> tuple[Connection | None, bool]:
        """Commits a batch; after a deadlock, which undid all of it, each on its own, up to three times.

        Returns:
            The connection if it can still be used, and whether there is work for the worker.
        """
        try:
            conn = conn or self.engine.connect().execution_options(writes=True)
            return conn, self._commit(conn, batch)
        except BaseException as e:
            _drop(conn)
            conn, woke = None, False
            if _undone(e) and again < 3:
                for w in batch:
                    w.error = None
                    conn, one = self._carry_out(conn, [w], again=again + 1)
                    woke = woke or one
                return conn, woke
            failure = _down(e) if isinstance(e, DBAPIError) else e
            for w in batch:
                w.error = w.error or failure
            self.errors += 1
            log.warning("commit_failed", error=type(e).__name__, writes=len(batch))
            return None, False

    def _commit(self, conn: Connection, batch: list[_Write]) -> bool:
        alone = len(batch) == 1
        with conn.begin() as transaction:
            tx = SqlTx(conn, self.now(conn), self.keyring)
            for w in batch:
                if not alone:
                    conn.exec_driver_sql("SAVEPOINT w")
                try:
                    w.result = w.fn(tx)
                except Exception as e:
                    if isinstance(e, DBAPIError) and (e.connection_invalidated or isinstance(e, OperationalError)):
                        raise
                    # A driver's own error quotes rows (ASVS 5.0 16.2.5): only its kind leaves this package.
                    w.error = _down(e) if isinstance(e, DBAPIError) else e
                    tx.forget()
                    if alone:
                        transaction.rollback()
                        return False
                    conn.exec_driver_sql("ROLLBACK TO SAVEPOINT w")
                else:
                    tx.keep()
                if not alone:
                    conn.exec_driver_sql("RELEASE SAVEPOINT w")
            tx.flush()
            if tx.wakes and not self.sqlite:
                conn.exec_driver_sql("NOTIFY keyback")
        self._count(len(batch))
        return tx.wakes

    def _answer(self, batch: list[_Write], woke: bool) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
        for w in batch:
            loops.setdefault(w.loop, []).append(w)
        for loop, writes in loops.items():
            try:
                loop.call_soon_threadsafe(_resolve, writes)
            except RuntimeError:
                continue  # its loop was closed meanwhile
        if woke:
            self._wake()

    def _wake(self) -> None:
        for loop, ev in self._wakers:
            try:
                loop.call_soon_threadsafe(ev.set)
            except RuntimeError:
                continue


def _resolve(writes: list[_Write]) -> None:
    for w in writes:
        if w.future.done():
            continue
        if w.error is not None:
            w.future.set_exception(w.error)
        else:
            w.future.set_result(w.result)


def _undone(e: BaseException) -> bool:
    """Whether the database itself undid the transaction so that somebody else could go on."""
    return getattr(getattr(e, "orig", None), "sqlstate", None) in ("40P01", "40001")


def _down(e: BaseException) -> StorageDown:
    words = str(getattr(e, "orig", e)).lower()
    if (
        "disk is full" in words
        or "no space left" in words
        or "diskfull" in type(getattr(e, "orig", e)).__name__.lower()
    ):
        return StorageFull("no room left")
    return StorageDown(type(e).__name__)


def _drop(conn: Connection | None) -> None:
    if conn is not None:
        try:
            conn.invalidate()
            conn.close()
        except Exception:
            log.debug("connection_lost")
