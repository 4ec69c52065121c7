"""A way to a real server that can break: between a connector and the server, whatever they speak."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_plus

Fault = Literal[
    "", "refuse", "hang", "drop_reply", "flood", "garbage", "cut", "redirect", "broken", "web_page", "throttle", "echo"
]
ANY_PROTOCOL: tuple[Fault, ...] = ("garbage", "cut", "flood")
OF_HTTP: tuple[Fault, ...] = ("redirect", "broken", "web_page", "throttle")
RETRY_AFTER_S = 77
LARGEST = 32 << 20  # bytes of a flood that a caller may have taken in, what waits in buffers included
_GARBAGE = bytes(range(256)) * 4
_PAGE = b"<!doctype html><title>Sign in</title><h1>Sign in</h1><p>Your session has ended.</p>"
_ANSWERS = {*ANY_PROTOCOL, *OF_HTTP, "echo"}
_IN_HEADERS = re.compile(rb"(?im)^(?:authorization: *(?:\w+ +)?|x-api-key: *)([^\r\n]{8,})\r$")
_IN_FORMS = re.compile(rb"(?:client_secret|refresh_token|assertion)=([^&\s]{8,})")


@dataclass(slots=True)
class FaultyProxy:
    """A TCP relay on 127.0.0.1 that can break: between a connector and a real server, whatever they speak.

    Args:
        target: host and port of the server.
        marker: bytes of the request whose reply `drop_reply` loses; requests with it are counted in `marked`.
        http: the server speaks HTTP, so that the proxy can answer in its place.
        greets: the server speaks first, so that an answer doesn't wait for a request.

    `flood` answers without end, `garbage` with bytes that mean nothing, `cut` with half an answer; by HTTP `redirect`
    leads to another port of this machine and counts in `strayed` who went there, `broken` is a 500, `web_page` a 200
    in HTML, `throttle` a 429 with `RETRY_AFTER_S`, and `echo` refuses with everything that was sent in its text.
    `secrets` are credentials that went past in headers and forms, `flooded` the bytes of the last flood.
    """

    target: tuple[str, int]
    marker: bytes
    http: bool = True
    greets: bool = False
    how: Fault = ""
    marked: int = 0
    strayed: int = 0
    flooded: int = 0
    secrets: set[str] = field(default_factory=set)
    _elsewhere: str = ""
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _relays: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Gives the address as `http://127.0.0.1:PORT`."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        private = await asyncio.start_server(self._stray, "127.0.0.1", 0)
        self._elsewhere = f"http://127.0.0.1:{private.sockets[0].getsockname()[1]}/latest/meta-data/"
        try:
            yield f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        finally:
            for server in (self._server, private):
                server.close()
            await self._hang_up()
            for server in (self._server, private):
                await server.wait_closed()

    async def set(self, how: Fault) -> None:
        """Switch, and cut the connections that are open, so that the next call meets the new state."""
        self.how = how
        await self._hang_up()

    async def _hang_up(self) -> None:
        """Until everything that was open is closed, at both ends."""
        for writer in list(self._open):
            writer.transport.abort()
        if self._relays:
            await asyncio.wait(self._relays, timeout=2)
        for _ in range(2):  # a transport closes its socket one turn of the loop after it was told to
            await asyncio.sleep(0)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.how == "refuse":
            writer.transport.abort()
            return
        self._open.add(writer)
        if task := asyncio.current_task():
            self._relays.add(task)
            task.add_done_callback(self._relays.discard)
        up_writer: asyncio.StreamWriter | None = None
        back: asyncio.Task[None] | None = None
        lose = asyncio.Event()
        try:
            if self.how not in {"hang", *_ANSWERS}:  # at once, since some servers speak first
                up_reader, up_writer = await asyncio.open_connection(*self.target)
                back = asyncio.create_task(self._back(up_reader, writer, lose))
            elif self.greets and self.how in _ANSWERS:
                await self._answer(b"", reader, writer)
                return
            while data := await reader.read(65536):
                if self.how == "hang":
                    continue
                if self.how in _ANSWERS:
                    await self._answer(data, reader, writer)
                    break
                if up_writer is None:
                    break
                self._note(data)
                if self.marker in data:
                    self.marked += 1
                    if self.how == "drop_reply":
                        lose.set()
                up_writer.write(data)
                await up_writer.drain()
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            for w in (writer, up_writer):
                if w:
                    w.transport.abort()
            if back:
                back.cancel()

    def _note(self, data: bytes) -> None:
        self.secrets |= {unquote_plus(m.decode()) for m in (*_IN_HEADERS.findall(data), *_IN_FORMS.findall(data))}

    async def _stray(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.strayed += 1
        writer.transport.abort()

    async def _answer(self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In place of the server. Then waits for the caller to hang up: bytes left unread would cut the answer."""
        if self.http:
            data = await _whole(data, reader)
            self._note(data)
        if self.how == "flood":
            await self._flood(writer)
            return
        writer.write(self._words(data))
        await writer.drain()
        writer.write_eof()
        while await reader.read(65536):
            pass

    def _words(self, request: bytes) -> bytes:
        match self.how:
            case "garbage":
                return _http(200, _GARBAGE) if self.http else _GARBAGE
            case "cut":
                return _http(200, b'{"value": [{"id": "0')[:-4] if self.http else b"\x30\x50\x02\x01"
            case "redirect":
                return _http(302, b"", Location=self._elsewhere)
            case "web_page":
                return _http(200, _PAGE, kind="text/html")
            case "throttle":
                return _http(429, b'{"error": "slow down"}', Retry_After=str(RETRY_AFTER_S))
            case "echo":
                said = unquote_plus(request.decode("utf-8", "replace"))
                names = ("error", "error_description", "message", "detail", "errorMessage", "code", "title", "status")
                return _http(400, json.dumps(dict.fromkeys(names, said)).encode())
            case _:
                return _http(500, _PAGE, kind="text/html")

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        chunk = b"x" * 65536
        start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + b'{"padding": "'
        writer.write(start if self.http else b"\x30\x84\x7f\xff\xff\xff")
        self.flooded = 0
        while not writer.transport.is_closing() and self.flooded < 8 * LARGEST:
            writer.write(chunk)
            await writer.drain()
            self.flooded += len(chunk)

    async def _back(self, up_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lose: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await up_reader.read(65536):
                if lose.is_set():
                    break
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


async def _whole(data: bytes, reader: asyncio.StreamReader) -> bytes:
    """The request with its body."""
    while b"\r\n\r\n" not in data and (more := await reader.read(65536)):
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]) and (more := await reader.read(65536)):
        body += more
    return head + b"\r\n\r\n" + body


def _http(status: int, body: bytes, kind: str = "application/json", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"Content-Length: {len(body)}", *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
