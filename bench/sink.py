"""A small SMTP server that takes every mail, a process of its own: `python -m bench.sink PORT FILE`.

Appends one byte to FILE for each mail, so that FILE's size is the count. SIGUSR1 stalls it (it reads and answers
nothing), SIGUSR2 lets it go on. Loopback only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

STATE = {"stalled": False, "count": 0}
WAITING: list[Mail] = []


class Mail(asyncio.Protocol):
    """One SMTP conversation, with PIPELINING."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._buffer, self._in_data = transport, bytearray(), False
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self.go_on()

    def go_on(self) -> None:
        """Answers whatever is complete in the buffer."""
        if STATE["stalled"]:
            WAITING.append(self)
            return
        answers = []
        while True:
            end = b"\r\n.\r\n" if self._in_data else b"\r\n"
            i = self._buffer.find(end)
            if i < 0:
                break
            line = bytes(self._buffer[: min(i, 4)]).upper()
            del self._buffer[: i + len(end)]
            if self._in_data:
                self._in_data = False
                STATE["count"] += 1
                answers.append(b"250 taken\r\n")
            elif line == b"EHLO":
                answers.append(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            elif line == b"DATA":
                self._in_data = True
                answers.append(b"354 go on\r\n")
            else:
                answers.append(b"221 bye\r\n" if line == b"QUIT" else b"250 ok\r\n")
        if answers:
            self._transport.write(b"".join(answers))


def _let_go() -> None:
    STATE["stalled"] = False
    waiting, WAITING[:] = list(dict.fromkeys(WAITING)), []
    for mail in waiting:
        mail.go_on()


async def serve(port: int, path: Path) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(Mail, "127.0.0.1", port, backlog=100)
    loop.add_signal_handler(signal.SIGTERM, done.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: STATE.update(stalled=True))
    loop.add_signal_handler(signal.SIGUSR2, _let_go)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    while not done.is_set():
        os.ftruncate(fd, STATE["count"])
        try:
            await asyncio.wait_for(done.wait(), 0.05)
        except TimeoutError:
            continue
    os.ftruncate(fd, STATE["count"])
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
