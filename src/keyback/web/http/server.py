"""Serving: uvicorn with uvloop and httptools, with limits on the time that a client can draw out (O2)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from keyback.application.origin import networks_of, plain_address

log = structlog.get_logger("keyback.server")
GRACE_S = 20
TELL_S = 60.0
BACKLOG = 2048
MAX_HEADER = 32 * 1024
MAX_UNREAD = 128 * 1024  # what the kernel holds for a client that does not read; answers are smaller
MAX_AHEAD = 16  # requests on one connection that wait for the answer before theirs
LOOP = "keyback.loop"  # in the scope: asking asyncio for it takes a call of the system each time
SPECIAL = frozenset({b"connection", b"transfer-encoding"})
TELLING = frozenset({b"location", b"set-cookie", b"x-request-id"})
FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """Seconds that a connection may take, and how many there may be.

    Args:
        header: from connecting, or from a request's first byte, to the end of its headers.
        body: for the body after that; the front answers 408 before this cuts the connection.
        write: without the client taking anything of what we have for it.
        idle: between requests.
        connections: over so many at once the answer is 503.
    """

    header: float = 10.0
    body: float = 20.0
    write: float = 20.0
    idle: float = 30.0
    connections: int = 4000


def _line(name: bytes, value: bytes) -> bytes:
    """A header as it goes out. Raises RuntimeError where it would end early."""
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        raise RuntimeError("invalid header")
    return name + b": " + value + b"\r\n"


# Most headers are the same on every answer and need to be looked through once. Those that may tell on somebody are
# not kept.
_kept = lru_cache(maxsize=512)(_line)


class Answer(RequestResponseCycle):
    """uvicorn's answer, with the head put together out of lines that are ready, and sent together with the body: one
    call of the system is a tenth of what a request costs."""

    _ready = b""  # a head that waits for its body

    async def send(self, message: Any) -> None:
        if self._ready:
            ready, self._ready = self._ready, b""
            if self._ends_with(message):
                self.transport.write(ready + message.get("body", b""))
                self.expected_content_length, self.response_complete = 0, True
                self.message_event.set()
                self.on_response()
                return
            self.transport.write(ready)
        elif message["type"] == "http.response.start" and not (self.response_started or self.disconnected):
            head = self._head(message["status"], [*self.default_headers, *message.get("headers", ())])
            if head is not None and not self.flow.write_paused:
                self.response_started, self.waiting_for_100_continue, self.chunked_encoding = True, False, False
                self._ready = head
                return
        await super().send(message)

    def _ends_with(self, message: Any) -> bool:
        """Whether this is the whole body, of the length that was said, and can be written now."""
        return (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and len(message.get("body", b"")) == self.expected_content_length
            and not (self.disconnected or self.flow.write_paused)
            and self.scope["method"] != "HEAD"
        )

    def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes | None:
        """None for an answer of unknown length, the last one of a connection, and other special ones."""
        lines = [STATUS_LINE[status]]
        length = b""
        for raw, value in headers:
            name = raw.lower()
            if name == b"content-length":
                length = value
            elif name in SPECIAL:
                return None
            lines.append(_line(name, value) if name in TELLING else _kept(name, value))
        if not length.isdigit() or not self.keep_alive:
            return None
        self.expected_content_length = int(length)
        lines.append(b"\r\n")
        return b"".join(lines)


class Doorkeeper:
    """Counts the connections of each address, so that nobody holds them all (O2). Says so in the log, once a minute.

    Args:
        most: so many of one IPv4 address or IPv6 /64; twice as many of the /56 around it, four times of the /48.
        exempt: whether an address is a proxy's, which speaks for many.
        clock: seconds.
    """

    OF_56, OF_48 = 2, 4  # times as many
    TIMES = MappingProxyType({56: OF_56, 48: OF_48})

    def __init__(
        self, most: int, exempt: Callable[[str], bool] = lambda _: False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._exempt = exempt
        self._clock = clock
        self._held: Counter[str] = Counter()
        self._refused, self._told_at = 0, -TELL_S

    def enter(self, address: str) -> str | None:
        """The name to leave by, empty for whoever is not counted; None when there are too many of this address."""
        if not address or self._exempt(address):
            return ""
        plain = plain_address(address)
        around = networks_of(plain)
        if any(self._held[name] >= self._most * self.TIMES.get(length, 1) for length, name in around):
            self._refused += 1
            if self._clock() - self._told_at >= TELL_S:
                log.warning("address_full", connections=self._refused)
                self._refused, self._told_at = 0, self._clock()
            return None
        self._held.update(name for _, name in around)
        return plain or address

    def leave(self, address: str) -> None:
        for _, name in networks_of(plain_address(address)):
            self._held[name] -= 1
            if self._held[name] <= 0:
                del self._held[name]


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, but a client that stalls in headers, body or reading is cut off, headers are bounded, and so
    are the connections of one address."""

    patience = ClientTimeouts()
    door: Doorkeeper | None = None
    _entered: str | None = ""
    _due: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _in_header = True
    _in_trailer = False  # or at the head of a chunk, which is as short
    _header_bytes = 0
    _chunk = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._entered = self.door.enter(self.client[0]) if self.door and self.client else ""
        if self._entered is None:
            transport.write(FULL)
            transport.close()
            return
        self._expect(self.patience.header)

    def data_received(self, data: bytes) -> None:
        if self._entered is None:
            return
        self._chunk, in_trailer = len(data), self._in_trailer
        super().data_received(data)
        if not self._in_header and not (in_trailer and self._in_trailer):
            self._header_bytes = 0
            return
        self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_header:  # a first request has its time from connecting on
            self._in_header = True
            self._expect(self.patience.header)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_header:  # fields behind a body are read by nobody, and would be kept with the request
            super().on_header(name, value)

    def on_chunk_header(self) -> None:
        self._in_trailer = True

    def on_body(self, body: bytes) -> None:
        self._in_trailer = False
        super().on_body(body)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_AHEAD:
            raise ValueError("too many requests ahead")
        self._in_header = False
        self._expect(self.patience.body)
        # Only what came in large pieces can hold large headers, so that others need not be added up.
        if self._chunk + self._header_bytes > MAX_HEADER:
            size = len(self.url) + sum(len(k) + len(v) + 4 for k, v in self.headers)
            if size > MAX_HEADER:
                raise ValueError("headers too large")  # the parser's caller answers 400
        self.scope[LOOP] = self.loop  # type: ignore[literal-required]
        super().on_headers_complete()
        self.cycle.__class__ = Answer  # uvicorn has no setting for it; nothing of the cycle has run yet

    def on_message_complete(self) -> None:
        self._in_trailer = False
        self._rest()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.patience.write, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        if self._entered and self.door:
            self.door.leave(self._entered)
            self._entered = ""
        self.resume_writing()
        super().connection_lost(exc)

    def _expect(self, seconds: float) -> None:
        self._rest()
        self._due = self.loop.call_later(seconds, self.transport.abort)

    def _rest(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: who runs it decides when it stops, by `should_exit`.

    `when_ready` is called once it listens.
    """

    when_ready: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.when_ready is not None:
            self.when_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(
    app: ASGIApp, patience: ClientTimeouts | None = None, *, lifespan: bool = True, door: Doorkeeper | None = None
) -> Server:
    """A server for `app`; run it with `await server.serve([bind(…)])`. Without a `door` nobody counts by address."""
    patience = patience or ClientTimeouts()
    config = uvicorn.Config(
        app,
        http=type("Protocol", (PatientProtocol,), {"patience": patience, "door": door}),
        ws="none",
        lifespan="on" if lifespan else "off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(patience.idle),
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=patience.connections,
        backlog=BACKLOG,
    )
    return Server(config)


def bind(listen: str) -> socket.socket:
    """A listening socket for `address:port`; port Port; 0 picks a free one.

    Raises:
        OSError: the address is taken or not ours. `ValueError`: it is not `address:port`.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted ones inherit both. Without the second, loops other than uvloop answer 40 ms later.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_UNREAD)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((host, int(port)))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
