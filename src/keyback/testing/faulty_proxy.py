"""A way to a real server that can break: between a connector and the server, whatever they speak."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

Fault = Literal["", "refuse", "hang", "drop_reply"]


@dataclass(slots=True)
class FaultyProxy:
    """A TCP relay on 127.0.0.1 that can break: between a connector and a real server, whatever they speak.

    Args:
        target: host and port of the server.
        marker: bytes of the request whose reply `drop_reply` loses; requests with it are counted in `marked`.
    """

    target: tuple[str, int]
    marker: bytes
    how: Fault = ""
    marked: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Gives the address as `http://127.0.0.1:PORT`."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        finally:
            self._server.close()
            self._hang_up()
            await self._server.wait_closed()

    async def set(self, how: Fault) -> None:
        """Switch, and cut the connections that are open, so that the next call meets the new state."""
        self.how = how
        self._hang_up()
        await asyncio.sleep(0.05)

    def _hang_up(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.how == "refuse":
            writer.transport.abort()
            return
        self._open.add(writer)
        up_writer: asyncio.StreamWriter | None = None
        back: asyncio.Task[None] | None = None
        lose = asyncio.Event()
        try:
            while data := await reader.read(65536):
                if self.how == "hang":
                    continue
                if up_writer is None:
                    up_reader, up_writer = await asyncio.open_connection(*self.target)
                    back = asyncio.create_task(self._back(up_reader, writer, lose))
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

    async def _back(self, up_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lose: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await up_reader.read(65536):
                if lose.is_set():
                    break
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
