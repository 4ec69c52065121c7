"""Running a Keyback: checks, parts, worker, pages and metrics put together, until a signal ends it.

On SIGTERM or SIGINT nothing that was answered is lost (Q18): no new connections, open requests are finished, the worker
finishes its round, then the database lets go.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, cast
from urllib.parse import urlsplit

import structlog
import uvloop
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from keyback import telemetry
from keyback.application.ports.storage import StorageDown
from keyback.application.services import Services
from keyback.bootstrap import build, close
from keyback.bootstrap_keys import peppers_of
from keyback.observability import configure
from keyback.settings import Settings, Unsafe
from keyback.storage.clock import JUMP_MS
from keyback.storage.database import SqlDatabase
from keyback.storage.health import Backlog, backlog, probe, schema_of
from keyback.storage.maintenance import key_check, restore, strays
from keyback.storage.maintenance.restore import MarkFile
from keyback.storage.migrate import head
from keyback.storage.tx import SqlTx
from keyback.web.app import make_app, make_context
from keyback.web.health import READINESS, Readiness, is_ready, parts_of
from keyback.web.http.access_log import AccessLog
from keyback.web.http.metrics import Metrics, metrics_app
from keyback.web.http.server import ClientTimeouts, Doorkeeper, Server, bind, make_server
from keyback.web.intake import API_PATH
from keyback.web.ui.context import AppContext
from keyback.worker import Worker

log = structlog.get_logger("keyback.server")
HOT = (API_PATH, "/forgot", "/find")
MARK_S = 15.0
WENT_BACK = (
    "the database is older than what this node has seen: row {} of the audit log is not in it. "
    "After putting back a backup, run: keyback restore"
)
PR_SET_DUMPABLE = 4
M_ARENA_MAX, ARENAS = -8, 2  # of the C library, which otherwise makes one for each thread and gives little back
CLOCK_BEHIND = (
    "the database's clock is {} seconds behind the newest row of the audit log. Set it right. "
    "If it is right, it was wrong when that row was written: run keyback clock repair"
)
YOUNG = 5000  # new objects between two looks for garbage; a batch of requests keeps about as many alive


class Refused(Exception):
    """It cannot start; the text is one line that names the cause and the way out."""


def serve(settings: Settings, worker: bool = True) -> int:
    """Answers pages and API until a signal; 0, or 1 when it could not start (the cause is one line on stderr).

    Args:
        worker: whether to run the worker in this process too.
    """
    prepare(settings)
    return run(lambda: _serve(settings, worker))


def work(settings: Settings) -> int:
    """Runs only the worker, and metrics if they are switched on; returns as `serve`."""
    prepare(settings)
    return run(lambda: _work(settings))


def prepare(settings: Settings) -> None:
    """Logs, spans where the settings want them, and memory that nobody else looks into."""
    if settings.telemetry.traces:
        telemetry.switch_on()
    configure(settings.log_level, more=[telemetry.add_ids] if settings.telemetry.traces else ())
    keep_memory_private()
    keep_memory_small()


def keep_memory_small() -> None:
    """Threads share two heaps: they allocate under the interpreter's lock, so they hardly wait for each other."""
    with suppress(Exception):  # where the C library is another one
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def keep_memory_private() -> None:
    """Keys are in this process's memory: no core dump, and no other process of the same user may look into it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(Exception):  # where there is no prctl
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Runs to the end in a fresh uvloop: 0, or 1 with the cause as one line on stderr."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except (Unsafe, Refused) as e:
        sys.stderr.write(f"keyback: {' '.join(str(e).split())}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def settle_memory() -> None:
    """What is there once everything is loaded stays: collecting garbage need not walk over it again, nor that often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)


async def _serve(settings: Settings, worker: bool) -> None:
    async with parts(settings) as services:
        await hold(settings, services, worker=worker)


async def _work(settings: Settings) -> None:
    async with parts(settings) as services, AsyncExitStack() as stack:
        worker = Worker(services)
        await stack.enter_async_context(
            _metrics_server(settings, _metrics(services, worker), _readiness(services, worker))
        )
        stop = asyncio.Event()
        with on_signals(stop.set):
            worker.start()
            settle_memory()
            log.info("ready", worker=True)
            await stop.wait()
        await worker.stop()
    log.info("stopped")


@asynccontextmanager
async def parts(settings: Settings) -> AsyncIterator[Services]:
    """The services of these settings, with a database that can be used.

    Raises:
        Unsafe: the settings would put people at risk. `Refused`: the database is away or its schema too old.
    """
    services = build(settings)
    try:
        state = await _schema(services)
        if state == "newer":
            log.warning("schema_newer")
        elif state != "current":
            raise Refused(f"the database's schema is {state}. Run: keyback migrate")
        await _fit(services)
        async with _marking(MarkFile(settings.data_dir / restore.NAME), services):
            yield services
    except StorageDown as e:
        raise Refused(f"the database cannot be reached ({e}). Check database_url and that it runs.") from None
    finally:
        await close(services)


async def _fit(services: Services) -> None:
    """Raises Refused when keyring or peppers are not those that this database was written with (Q22, L11)."""
    db, peppers = services.db, peppers_of(services.gate)
    assert isinstance(db, SqlDatabase)
    found = await db.write(lambda tx: key_check.settle(cast(SqlTx, tx), peppers))
    if found:
        raise Refused(" ".join(map(str, found)))
    if db.clock.behind_ms > JUMP_MS:
        raise Refused(CLOCK_BEHIND.format(db.clock.behind_ms // 1000))
    host = urlsplit(services.public_url).hostname or ""
    await db.write(lambda tx: strays.note_host(cast(SqlTx, tx), host))


@asynccontextmanager
async def _marking(file: MarkFile, services: Services) -> AsyncIterator[None]:
    """Keeps, outside the database, how far its log has come; refuses one that was put back behind that (C-9)."""
    db = services.db
    assert isinstance(db, SqlDatabase)
    try:
        before = file.read()
    except (OSError, ValueError) as e:
        log.warning("mark_unreadable", error=type(e).__name__)
        before = None
    if before is not None and await db.read(lambda tx: restore.went_back(cast(SqlTx, tx), before)):
        raise Refused(WENT_BACK.format(before.seq))
    stopping, last, peppers = asyncio.Event(), None, peppers_of(services.gate)

    async def keep() -> None:
        nonlocal last
        told: list[key_check.Misfit] = []
        while True:
            try:
                found = await db.read(lambda tx: key_check.find(cast(SqlTx, tx), peppers, deep=False))
                for misfit in [f for f in found if f not in told]:
                    log.error("misfit", what=misfit.words, next=misfit.next)
                told = found
                mark = await db.read(lambda tx: restore.mark_of(cast(SqlTx, tx)))
                if last is None or mark.seq != last.seq:
                    await asyncio.to_thread(file.write, mark)
                    last = mark
            except (OSError, StorageDown) as e:
                log.warning("mark_not_kept", error=type(e).__name__)
            if stopping.is_set():
                return
            try:
                await asyncio.wait_for(stopping.wait(), MARK_S)
            except TimeoutError:
                continue

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        stopping.set()
        await keeping


async def _schema(services: Services) -> str:
    db = services.db
    return await asyncio.to_thread(schema_of, db.engine) if isinstance(db, SqlDatabase) else "current"


async def hold(
    settings: Settings,
    services: Services,
    *,
    worker: bool = True,
    more: list[BaseRoute] | None = None,
    outer: Callable[[ASGIApp], ASGIApp] | None = None,
    patience: ClientTimeouts | None = None,
    sock: socket.socket | None = None,
    ready: Callable[[], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serves these services until a signal, or until `stop` is set.

    Args:
        more: further routes, such as the demo's.
        outer: wraps the application below the access log.
        patience: limits of connections.
        sock: listens already; None binds `settings.listen`.
        ready: called once it answers.
        stop: takes the place of signals, which only a process's main thread can have.

    Raises:
        Refused: an address that it should listen on is taken.
    """
    the_worker = Worker(services) if worker else None
    metrics = _metrics(services, the_worker)
    desk = make_context(settings, services)
    desk.extras[READINESS] = readiness = _readiness(services, the_worker)
    app = make_app(desk, more=more, lifespan=_beside(the_worker))
    app = AccessLog(outer(app) if outer else app, metrics, HOT, trusts=desk.proxies.trusts)
    door = Doorkeeper(settings.connections_per_address, desk.proxies.trusts)
    server = make_server(app, patience, door=door)
    sock = sock or bound(settings.listen, "listen")

    def tell() -> None:
        settle_memory()
        log.info("ready", listen=settings.listen, worker=worker)
        if ready is not None:
            ready()

    server.when_ready = tell
    async with _metrics_server(settings, metrics, readiness):
        with on_signals(lambda: _end(server)) if stop is None else _on_event(stop, lambda: _end(server)):
            await server.serve([sock])
    log.info("stopped")


def _beside(worker: Worker | None) -> Callable[[AppContext], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(desk: AppContext) -> AsyncIterator[None]:
        desk.renderer.warm()
        if worker is not None:
            worker.start()
        try:
            yield
        finally:
            if worker is not None:
                await worker.stop()
            await desk.limiter.close()

    return life


def _end(server: Server) -> None:
    """The first signal drains, a second one drops what is still open."""
    server.force_exit = server.should_exit
    server.should_exit = True


def _beat_age(worker: Worker | None) -> Callable[[], float] | None:
    """Seconds since the worker's last round; before the first one, since now."""
    if worker is None:
        return None
    loop = asyncio.get_running_loop()
    begun = loop.time()
    return lambda: loop.time() - max(begun, worker.beat)


def _readiness(services: Services, worker: Worker | None) -> Readiness:
    async def fits() -> bool:
        return await _schema(services) in ("current", "newer")

    db = services.db
    assert isinstance(db, SqlDatabase)
    return Readiness(_beat_age(worker), fits, lambda: probe(db))


def _metrics(services: Services, worker: Worker | None) -> Metrics:
    db = services.db
    assert isinstance(db, SqlDatabase)

    async def ask() -> Backlog:
        return await db.read(backlog)

    tally = worker.tally if worker is not None else None
    return Metrics(
        services.gate,
        db,
        tally=tally,
        beat_age=_beat_age(worker),
        backlog=ask,
        schema=head(),
        connectors=services.connectors,
    )


@asynccontextmanager
async def _metrics_server(settings: Settings, metrics: Metrics, readiness: Readiness) -> AsyncIterator[None]:
    async def ready() -> tuple[bool, dict[str, str]]:
        parts = await parts_of(readiness)
        return is_ready(parts), parts

    if not settings.metrics_listen:
        yield
        return
    server = make_server(metrics_app(metrics, ready), ClientTimeouts(connections=64), lifespan=False)
    serving = asyncio.create_task(server.serve([bound(settings.metrics_listen, "metrics_listen")]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def bound(listen: str, name: str) -> socket.socket:
    """A listening socket for the setting `name`. Raises Refused when the address is taken or none."""
    try:
        return bind(listen)
    except (OSError, ValueError, OverflowError) as e:
        words = getattr(e, "strerror", None) or "it must be address:port"
        raise Refused(f"cannot listen on {listen}: {words}. Change {name}.") from None


@contextmanager
def on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` on SIGTERM and SIGINT while it lasts, in the main thread's loop."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextmanager
def _on_event(event: asyncio.Event, stop: Callable[[], None]) -> Iterator[None]:
    async def wait() -> None:
        await event.wait()
        stop()

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()
