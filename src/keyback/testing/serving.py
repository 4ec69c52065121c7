"""Stand-ins on the loopback address: how they are served, and how they break."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

Trouble = Literal["", "busy", "broken", "hang", "cut", "stranger", "balance", "recipient", "token"]
KEEP = 500


class _Server(uvicorn.Server):
    """Ends at once and cuts what is open: uvicorn's own looks ten times a second, and then waits for a tenth more."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._up, self._over = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self._loop = asyncio.get_running_loop()
        self._up.set()
        while not self._over.is_set():  # what it sends as `Date` is of its last tick, and callers compare clocks
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), 1)
            await self.on_tick(0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for one in self.servers:
            one.close()
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        for _ in range(3):  # what was just accepted gets its transport, and each closes its socket
            await asyncio.sleep(0)

    def wait_until_up(self) -> None:
        """Until it takes connections: a socket that is only bound refuses them."""
        self._up.wait(10)

    def stop(self) -> None:
        """From another thread."""
        if self._up.wait(10) and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._over.set)


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """An ASGI app on a free port of 127.0.0.1, in a thread of its own; gives its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = _Server(config)
    sock = config.bind_socket()
    sock.listen(100)  # whoever calls before the thread is up waits and is not refused
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else every answer takes 40 ms more
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    server.wait_until_up()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.stop()
        thread.join(10)
        sock.close()


class Cut(Response):
    """Begins an answer and never ends it; the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def until_gone(request: Request, seconds: float = 120) -> None:
    """Wait until the caller hangs up."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return


class Service(ABC):
    """A message service that keeps what it takes and breaks on demand; an ASGI app.

    `trouble` may be set at any time: `busy` (flow control), `broken` (5xx), `hang` (no answer), `cut` (takes the
    message, then the connection breaks), `stranger` (our credentials are not known), `balance` (nothing left to spend),
    `recipient` (every address is refused), `token` (each access token has ended the moment it was given). `calls`
    counts requests by path.
    """

    def __init__(self) -> None:
        self.trouble: Trouble = ""
        self.messages: list[dict[str, Any]] = []
        self.calls: dict[str, int] = {}
        self._app = Starlette(
            routes=[Route(p, self._guarded(act), methods=[method]) for method, p, act in self.routes()]
        )

    @abstractmethod
    def routes(self) -> Sequence[tuple[str, str, Callable[[Request, bytes], Awaitable[Response]]]]:
        """Method, path and what answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def keep(self, id: str, to: str, text: str, **more: Any) -> None:
        """Takes a message; the oldest of more than 500 goes."""
        at = time.time_ns() // 1_000_000
        self.messages.append({"id": id, "at": at, "to": to, "text": text, **more})
        del self.messages[:-KEEP]

    def taken(self, answer: Any) -> Response:
        """The answer to a message that was taken, unless the connection breaks."""
        return Cut() if self.trouble == "cut" else JSONResponse(answer)

    def _guarded(self, act: Callable[[Request, bytes], Awaitable[Response]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            self.calls[request.url.path] = self.calls.get(request.url.path, 0) + 1
            body = await request.body()
            if self.trouble == "broken":
                return Response("<h1>502 Bad Gateway</h1>", 502, media_type="text/html")
            if self.trouble == "hang":
                await until_gone(request)
                return Response(status_code=504)
            return await act(request, body)

        return endpoint
