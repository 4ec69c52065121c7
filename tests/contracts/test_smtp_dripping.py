"""A relay that answers byte by byte: each byte in time, the reply never."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.relay import letter, made

GREETING = b"220 relay.example.com ESMTP\r\n"


@contextlib.contextmanager
def dripping(after: bytes) -> Iterator[int]:
    """Says `after`, then a continuation line without an end, a byte at a time; its port."""
    listening, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def drip(near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            near.sendall(after)
            while not over.wait(0.02):
                near.sendall(b"250-x\r\n")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()


@pytest.mark.covers("Q20", "INV-I11")
@pytest.mark.parametrize("after", [b"", GREETING, GREETING + b"250 relay.example.com\r\n"])
def test_a_relay_that_drips_is_given_up_in_time(after: bytes) -> None:
    async def go(port: int) -> str:
        channel = made(port, timeout_s=0.3)
        try:
            receipts = await asyncio.wait_for(channel.send([letter()]), 30)
            return receipts[0].status
        finally:
            await channel.close()

    with dripping(after) as port:
        assert asyncio.run(go(port)) == "temporary"
