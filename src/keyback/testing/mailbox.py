"""A mail server that keeps what it gets and fails on demand; loopback only. For tests and for `keyback demo`."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import email
import email.policy
import ipaddress
import logging
import re
import ssl
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keyback.testing.kept import Kept

KEEP = 500
_URL = re.compile(r"https?://[^\s<>\"'）】」]+")
_CODE = re.compile(r"(?m)^\s*(\d{4} ?\d{4}|\d{3} ?\d{3})\s*$")  # of a recovery; of an address that is confirmed
# Our messages are quoted-printable, so size stays small; the limit only bounds a broken client.
_LIMIT = 4 << 20

Message = dict[str, Any]


class Mailbox:
    """Takes every message and keeps the last 500.

    Args:
        port: 0 for a free one; `port` tells which after the start.
        tls: `none`, `starttls` (offered), or `tls` from the first byte, with a certificate made at the start for
            `localhost` and 127.0.0.1; `ca_file` names it.
        login: user name and password that AUTH must give.
        pipelining: whether EHLO offers PIPELINING.
        utf8: whether EHLO offers SMTPUTF8.
        clock: ms since 1970; for those who move it.
        keep: file that holds the messages, so that the next mailbox there begins with them.

    `connections` and `stalled` count what there was of each so far.
    Failures: `refuse`, `greylist`, `stall`, `cut_after_data`, `reject_sender`, `drop`.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        port: int = 0,
        *,
        tls: str = "none",
        login: tuple[str, str] | None = None,
        pipelining: bool = True,
        utf8: bool = False,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        keep: Path | None = None,
    ) -> None:
        self.port, self._clock = port, clock
        self.ca_file: str | None = None
        self.connections = self.stalled = 0
        self._tls, self._login, self._pipelining, self._utf8 = tls, login, pipelining, utf8
        self._kept = Kept(keep, KEEP)
        self._messages: deque[Message] = deque(self._kept.load(), maxlen=KEEP)
        self._count = max((int(m.get("id", 0)) for m in self._messages), default=0)
        self._lock = threading.Condition()
        self._refused: dict[str, str] = {}
        self._greylist = self._cuts = self._drops = 0
        self._sender_reply = self._content_reply = ""
        self._stall = 0.0
        self._server: asyncio.Server | None = None
        self._open: set[SMTP] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        # Its log quotes every command, addresses and all.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)

    # ── life ────────────────────────────────────────────────────────────────

    def start(self) -> Mailbox:
        """Serve from a thread of its own. Raises `OSError` when the port is taken."""
        ready = threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            loop = self._loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(self.astart())
                ready.set()
                loop.run_forever()
                loop.run_until_complete(self.astop())
            except BaseException as e:
                failed.append(e)
                ready.set()
            finally:
                loop.close()

        self._thread = threading.Thread(target=run, name="mailbox", daemon=True)
        self._thread.start()
        ready.wait()
        if failed:
            raise failed[0]
        return self

    def stop(self) -> None:
        """End the thread and close all connections."""
        if self._thread and self._loop:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None

    async def astart(self) -> Mailbox:
        """Serve inside the running loop."""
        loop = asyncio.get_running_loop()
        context = self._certificate() if self._tls != "none" else None
        offered = context if self._tls == "starttls" else None
        self._server = await loop.create_server(
            lambda: self._protocol(loop, offered),
            self.host,
            self.port,
            ssl=context if self._tls == "tls" else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def astop(self) -> None:
        """The counterpart of `astart`."""
        if self._server:
            self._server.close()
            for one in list(self._open):
                task = one._handler_coroutine
                _abort(one)
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
            await self._server.wait_closed()
            self._server = None
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Mailbox:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # ── what came ───────────────────────────────────────────────────────────

    def messages(self, to: str | None = None) -> list[Message]:
        """Messages, oldest first: `id at to subject text links codes`, besides `message_id` and `html`; JSON-able."""
        with self._lock:
            return [m for m in self._messages if to is None or m["to"] == to]

    def wait_for(self, to: str, n: int = 1, timeout: float = 30.0) -> list[Message]:
        """Block until `n` messages to `to` are here, at most `timeout` seconds. Raises `TimeoutError`."""
        with self._lock:
            if not self._lock.wait_for(lambda: sum(m["to"] == to for m in self._messages) >= n, timeout):
                raise TimeoutError(f"fewer than {n} messages to {to}")
        return self.messages(to)

    def clear(self) -> None:
        with self._lock:
            self._messages.clear()
            self._kept.clear()

    # ── failures ────────────────────────────────────────────────────────────

    def refuse(self, to: str, reply: str = "550 5.1.1 No such user here") -> None:
        """Answer RCPT for this address so."""
        self._refused[to] = reply

    def greylist(self, times: int) -> None:
        """Answer the next `times` RCPT with 451."""
        self._greylist = times

    def stall(self, seconds: float) -> None:
        """Take that long before each answer to RCPT; 0 ends it."""
        self._stall = seconds

    def cut_after_data(self, times: int = 1) -> None:
        """Keep the next `times` messages, but cut the connection instead of saying 250."""
        self._cuts = times

    def drop(self, times: int = 1) -> None:
        """Cut the connection at the next `times` MAIL commands."""
        self._drops = times

    def reject_sender(self, reply: str = "553 5.7.1 Sender not yours") -> None:
        """Answer every MAIL so; empty ends it."""
        self._sender_reply = reply

    def reject_content(self, reply: str = "554 5.7.1 Looks like spam") -> None:
        """Answer every message so; empty ends it."""
        self._content_reply = reply

    def hang_up(self) -> None:
        """Cut all open connections."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._cut_all)
        else:
            self._cut_all()

    def _cut_all(self) -> None:
        for one in self._open:
            _abort(one)

    # ── aiosmtpd's hooks ────────────────────────────────────────────────────

    def _protocol(self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext | None) -> SMTP:
        auth: dict[str, Any] = {}
        if self._login:
            auth = {"authenticator": self._authenticate, "auth_required": True}
        one = _Smtp(
            self,
            hostname="localhost",
            ident="Keyback mailbox",
            loop=loop,
            tls_context=context,
            data_size_limit=_LIMIT,
            enable_SMTPUTF8=self._utf8,
            timeout=60,
            **auth,
        )
        # aiosmtpd sees only TLS that it began itself; set here, because its constructor would warn.
        one._auth_require_tls = self._tls == "starttls"
        one.opened, one.closed = self._opened, self._open.discard
        return one

    def _opened(self, one: SMTP) -> None:
        self.connections += 1
        self._open.add(one)

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self._login, handled=False)

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # aiosmtpd reads commands from a buffered stream one by one, so a pipelining client is safe with it.
        return [*responses[:-1], *(["250-PIPELINING"] if self._pipelining else []), responses[-1]]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._drops > 0:
            self._drops -= 1
            _abort(server)
            return "421 bye"
        if self._sender_reply:
            return self._sender_reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._stall:
            self.stalled += 1
            await asyncio.sleep(self._stall)
        if address in self._refused:
            return self._refused[address]
        if self._greylist > 0:
            self._greylist -= 1
            return "451 4.7.1 Greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._content_reply:
            return self._content_reply
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        with self._lock:
            for to in envelope.rcpt_tos:
                self._count += 1
                kept = _message(self._count, self._clock(), to, content, envelope.mail_from or "")
                self._messages.append(kept)
                self._kept.add(self._messages[-1])
            self._lock.notify_all()
        if self._cuts > 0:
            self._cuts -= 1
            _abort(server)
        return "250 OK"

    def _certificate(self) -> ssl.SSLContext:
        self._folder = tempfile.TemporaryDirectory(prefix="mailbox-")
        path = Path(self._folder.name) / "localhost.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(self.host))]
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
        trusted = path.with_name("ca.pem")
        trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.ca_file = str(trusted)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context


class _Smtp(SMTP):
    """Tells the mailbox of connections that open and close."""

    opened: Any = None
    closed: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._tls_protocol:  # STARTTLS makes the connection a second time
            self.opened(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed(self)
        super().connection_lost(error)


def _abort(one: SMTP) -> None:
    if isinstance(one.transport, asyncio.Transport):
        one.transport.abort()


def _message(number: int, at: int, to: str, content: bytes, returns_to: str = "") -> Message:
    found = email.message_from_bytes(content, policy=email.policy.default)
    plain, rich = found.get_body(("plain",)), found.get_body(("html",))
    text = plain.get_content().replace("\r\n", "\n") if plain else ""
    return {
        "id": str(number),
        "at": at,
        "to": to,
        "returns_to": returns_to,
        "subject": str(found["subject"] or ""),
        "text": text,
        "links": list(dict.fromkeys(_URL.findall(text))),
        "codes": [c.replace(" ", "") for c in _CODE.findall(text)],
        "message_id": str(found["message-id"] or ""),
        "html": rich.get_content() if rich else "",
    }
