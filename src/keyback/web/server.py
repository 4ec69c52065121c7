"""Serving: one process, uvicorn with uvloop and httptools, the worker beside it unless it runs elsewhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = structlog.get_logger("keyback.server")
HEADER_TIME_S = 10.0
GRACE_S = 20
BACKLOG = 2048


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, but a connection that does not finish its request's headers in time is closed (O2)."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._waiting is None:
            self._wait()

    def on_headers_complete(self) -> None:
        self._rest()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEADER_TIME_S, self._give_up)

    def _rest(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.abort()


def make_server(app: ASGIApp, listen: str, *, connections: int = 4000) -> uvicorn.Server:
    """A uvicorn server for `listen` (`address:port`); over `connections` at once it answers 503."""
    host, _, port = listen.rpartition(":")
    config = uvicorn.Config(
        app,
        host=host.strip("[]"),
        port=int(port),
        loop="uvloop",
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=connections,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=16384,
    )
    return uvicorn.Server(config)


@asynccontextmanager
async def stopping_on_signals(stop: Callable[[], None]) -> AsyncIterator[None]:
    """Calls `stop` on SIGTERM and SIGINT while it lasts."""
    loop = asyncio.get_running_loop()
    for s in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(s, stop)
    try:
        yield
    finally:
        for s in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(s)
