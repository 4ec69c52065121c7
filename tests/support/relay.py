"""Letters, and the mail channel against a server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

from keyback.application.ports.channels import Message, Receipt
from keyback.application.ports.messages import RecoveryMessage
from keyback.channels.mail.composer import MailComposer
from keyback.channels.mail.smtp import SmtpChannel, SmtpSettings
from keyback.domain.secret import Secret
from keyback.testing.mailbox import Mailbox

BASE = "https://id.qingyu.example.com"
NOW = 1_795_500_120_000
COMPOSER = MailComposer(
    {"en": "Qingyu Instruments", "zh_CN": "青屿仪器"},
    "keyback@qingyu.example.com",
    {"en": "extension 8100", "zh_CN": "分机8100"},
    "Asia/Shanghai",
    BASE,
)


def letter(number: int = 1, **over: Any) -> Message:
    content = RecoveryMessage(
        username="maya.okafor",
        challenge="c",
        case="k",
        asker="stranger",
        asked_at=NOW,
        source="203.0.113.7",
        device="Chrome",
        link=Secret(f"{BASE}/l/link{number}"),
        stop_link=Secret(f"{BASE}/l/stop{number}"),
        code=Secret("48271905"),
        link_expires_at=NOW + 3_600_000,
        code_expires_at=NOW + 600_000,
    )
    one = Message(f"letter-{number}", to(number), "Maya", "zh_CN", NOW, NOW + 3_600_000, content)
    return replace(one, **over)


def to(number: int) -> str:
    return f"p{number}@example.com"


def made(box: Mailbox | int, *, clock: int = NOW, **over: Any) -> SmtpChannel:
    port = box if isinstance(box, int) else box.port
    settings: dict[str, Any] = {"host": "127.0.0.1", "port": port, "security": "plain", "timeout_s": 30.0}
    return SmtpChannel(COMPOSER, SmtpSettings(**settings | over), clock=lambda: clock)


@contextlib.asynccontextmanager
async def opened(box: Mailbox | int, **over: Any) -> AsyncIterator[SmtpChannel]:
    channel = made(box, **over)
    try:
        yield channel
    finally:
        await channel.close()


def sent(box: Mailbox | int, letters: list[Message], **over: Any) -> list[Receipt]:
    """Receipts of one batch over a channel of its own."""

    async def go() -> list[Receipt]:
        async with opened(box, **over) as channel:
            return list(await channel.send(letters))

    return asyncio.run(go())


def codes(receipts: list[Receipt]) -> list[tuple[str, str]]:
    return [(r.status, r.code) for r in receipts]


@contextlib.contextmanager
def script(*replies: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says these replies, one at the start and one for each line, and keeps what it hears."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection, connection.makefile("rb") as lines:
                    for reply in replies:
                        connection.sendall(reply)
                        line = lines.readline()
                        if not line:
                            return
                        heard.append(line)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], heard
    thread.join()


HELLO = b"250-relay\r\n250 PIPELINING\r\n"


def checked(box: Mailbox | int, **over: Any) -> Receipt:
    async def go() -> Receipt:
        async with opened(box, **over) as channel:
            return await channel.check()

    return asyncio.run(go())
