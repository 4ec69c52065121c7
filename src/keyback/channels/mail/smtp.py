"""Mail by SMTP: warm connections, pipelined where the relay offers it (RFC 5321, RFC 2920, RFC 3207, RFC 4954).

What a reply means for a message stands in `smtp_replies`.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import structlog

from keyback.application.ports.channels import LEASE_OVER, Message, Receipt
from keyback.application.ports.messages import BadMessage
from keyback.channels.composer import LOOPBACK
from keyback.channels.mail.composer import ComposedMail, MailComposer
from keyback.channels.mail.smtp_connect import connect
from keyback.channels.mail.smtp_replies import Down, after_content, clean, fault_of, refused, why
from keyback.channels.mail.smtp_session import greet, host_name, own_name, sign_in
from keyback.domain.secret import Secret
from keyback.outbound.watchdog import Watchdog

log = structlog.get_logger("keyback.channels")
OURS = frozenset({"tls_failed", "no_starttls", "relay_refuses_us"})  # no message's fault: none goes out until mended
OUTSIDE = "postmaster@example.com"  # nobody's (RFC 2606); shows whether a relay carries mail out, never written to
IDLE_S = 30.0  # relays drop idle clients after minutes; well before that we do
CHUNK = 32  # messages for which a second connection is worth its start
LOSSES = 3  # connections lost one after another before a batch is given up


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The company's relay.

    Args:
        security: `starttls` (required, never falls back), `tls` from the first byte, `plain` on loopback only.
        timeout_s: seconds for connecting and for each reply.
        pool: connections at most.
        local_hostname: name for EHLO; the machine's own when empty.
        ca_file: PEM file of the authorities to trust instead of the system's.
    """

    host: str
    port: int = 587
    security: Literal["starttls", "tls", "plain"] = "starttls"
    username: str = ""
    password: Secret | None = None
    timeout_s: float = 20.0
    pool: int = 2
    local_hostname: str = ""
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if self.security not in ("starttls", "tls", "plain"):
            raise ValueError("security must be starttls, tls or plain")
        if self.security == "plain" and self.host not in LOOPBACK:
            raise ValueError("unencrypted SMTP is for loopback only")
        if bool(self.username) != (self.password is not None):
            raise ValueError("SMTP user name and password go together")
        if self.pool < 1 or self.timeout_s <= 0:
            raise ValueError("pool and timeout_s must be positive")


class _Lost(Exception):
    """The connection ended. `slow`: by a time-out, so another try would only wait again. `told`: the server said so."""

    def __init__(self, *, slow: bool = False, told: bool = False) -> None:
        super().__init__("connection lost")
        self.slow = slow
        self.told = told


@dataclass(slots=True)
class _Batch:
    """One batch on its way; what its connections tell each other."""

    messages: Sequence[Message]
    receipts: list[Receipt | None]
    down: Receipt | None = None
    losses: int = 0


@dataclass(slots=True)
class _Line:
    """One open connection. `proved`: it has answered since it was taken, so it was not dead in the pool."""

    smtp: smtplib.SMTP
    pipelined: bool
    utf8: bool
    watchdog: Watchdog
    used: float = 0.0
    proved: bool = True

    def write(self, data: bytes) -> None:
        try:
            with self._bounded():
                self.smtp.send(data)
        except smtplib.SMTPServerDisconnected as e:
            raise _Lost(slow=isinstance(e.__context__, TimeoutError)) from None

    def reply(self) -> tuple[int, str]:
        """Code and words of the next reply, without anything that could tell on a person."""
        try:
            with self._bounded():
                code, text = self.smtp.getreply()
        except smtplib.SMTPException as e:
            raise _Lost(slow=isinstance(e.__context__, TimeoutError)) from None
        self.proved = True
        if code == 421 or not 200 <= code <= 599:
            raise _Lost(told=code == 421)
        return code, clean(text)

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        """The socket's own time-out begins anew with every byte; this one does not."""
        with self.watchdog.holding():
            if self.smtp.sock is not None:
                self.watchdog.attach(self.smtp.sock.fileno())
            yield

    def rset(self) -> None:
        self.write(b"RSET\r\n")
        if self.reply()[0] != 250:
            raise _Lost

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.smtp.close()


class SmtpChannel:
    """The mail channel (see `Channel`).

    Args:
        composer: makes the messages.
        settings: the relay.
        clock: now in ms; messages whose time is over are not sent (attack case K7).
    """

    name = "mail"

    def __init__(
        self,
        composer: MailComposer,
        settings: SmtpSettings,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._composer = composer
        self._settings = settings
        self._clock = clock
        self._host, self._hostname = host_name(settings.host), own_name(settings.local_hostname)
        self._tls = None if settings.security == "plain" else ssl.create_default_context(cafile=settings.ca_file)
        self._idle: list[_Line] = []
        self._lock = threading.Lock()
        self._watchdog = Watchdog(settings.timeout_s)
        self._threads = ThreadPoolExecutor(settings.pool, thread_name_prefix="smtp")

    async def send(self, messages: Sequence[Message]) -> Sequence[Receipt]:
        """One receipt per message, in order. Runs in threads; large batches use several connections, but campaigns one:
        others stay free for everybody's own messages."""
        if not messages:
            return []
        loop = asyncio.get_running_loop()
        parts = 1 if messages[0].bulk else min(self._settings.pool, -(-len(messages) // CHUNK))
        batch = _Batch(messages, [None] * len(messages))
        await asyncio.gather(
            *(
                loop.run_in_executor(self._threads, self._deliver, batch, deque(range(i, len(messages), parts)))
                for i in range(parts)
            )
        )
        missing = batch.down or Receipt("temporary", "unreachable")
        receipts = [r or missing for r in batch.receipts]
        for code in sorted({r.code for r in receipts} & OURS):
            log.warning("relay_refuses", code=code)  # without its words, which may name who was written to
        return receipts

    async def check(self) -> Receipt:
        """Connect, encrypt, sign in, name the sender and two recipients, and take it all back. `sent` means that the
        relay would take mail from us; its detail says for which addresses it would not."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._check)

    async def close(self) -> None:
        """Say goodbye on idle connections and end the threads."""
        await asyncio.get_running_loop().run_in_executor(None, self._shutdown)

    # ── in a thread ─────────────────────────────────────────────────────────

    def _deliver(self, batch: _Batch, todo: deque[int]) -> None:
        """Send the messages of `todo`; a lost connection is replaced, and the message on turn tried once more."""
        line: _Line | None = None
        again = -1
        while todo and not batch.down:
            try:
                line = line or self._line()
                self._run(line, batch, todo)
            except Down as e:
                batch.down = e.receipt
                if line is not None:
                    line.close()
                return
            except _Lost as e:
                fresh = line is None or line.proved
                if line is not None:
                    line.close()
                line = None
                if not fresh:  # it had died in the pool: nobody's fault
                    continue
                batch.losses += 1
                if e.slow or batch.losses >= LOSSES:
                    batch.down = Receipt("temporary", "timeout" if e.slow else "unreachable")
                elif todo and todo[0] == again:
                    batch.receipts[todo.popleft()] = Receipt("temporary", "unreachable")
                elif todo:
                    again = todo[0]
            except BaseException:
                if line is not None:
                    line.close()
                raise
        if line is not None:
            self._park(line)

    def _run(self, line: _Line, batch: _Batch, todo: deque[int]) -> None:
        """Send over one connection. With PIPELINING one write carries the content of a message and the envelope of the
        next (RFC 2920 section 3.1), so a message costs one round trip."""
        content: tuple[int, bytes] | None = None
        while True:
            mail = self._next(line, batch, todo)
            envelope = _envelope(mail) if mail else ()
            ahead = b"".join(envelope) if line.pipelined else b""
            if content:
                index, data = content
                content = None
                if not batch.messages[index].ours:  # without its last dot the relay drops it
                    raise Down(LEASE_OVER)
                try:
                    line.write(data + ahead)
                    batch.receipts[index] = after_content(*line.reply())
                    batch.losses = 0
                except _Lost as e:
                    # The relay may have the message: never again on our own, the outbox decides (attack case K9).
                    batch.receipts[index] = Receipt("temporary", "busy" if e.told else "reply_lost")
                    raise
            elif ahead:
                line.write(ahead)
            if mail is None:
                return
            receipt = self._offer(line, envelope)
            index = todo.popleft()
            if receipt is None:
                data = mail.data.replace(b"\r\n.", b"\r\n..")  # RFC 5321 section 4.5.2
                content = index, data + b".\r\n"
            else:
                batch.receipts[index] = receipt
                batch.losses = 0

    def _next(self, line: _Line, batch: _Batch, todo: deque[int]) -> ComposedMail | None:
        """The next message that can go; messages that never can get their receipt here."""
        while todo and not batch.down:
            message = batch.messages[todo[0]]
            if not message.ours:
                batch.down = LEASE_OVER  # all of a batch have one
                return None
            if message.expires_at <= self._clock():
                receipt = Receipt("permanent", "expired")
            else:
                try:
                    mail = self._composer.compose(message)
                except BadMessage as e:
                    receipt = Receipt("permanent", "bad_letter", str(e))
                else:
                    if line.utf8 or not mail.utf8:
                        return mail
                    receipt = Receipt("permanent", "bad_letter", "the address needs SMTPUTF8, the relay has none")
            batch.receipts[todo.popleft()] = receipt
        return None

    def _offer(self, line: _Line, envelope: tuple[bytes, ...]) -> Receipt | None:
        """The replies to MAIL, RCPT and DATA; None when the content may follow."""
        receipt: Receipt | None = None
        for i, command in enumerate(envelope):
            if not line.pipelined:
                if receipt:
                    break
                line.write(command)
            code, text = line.reply()
            if receipt is None and (code != 354 if i == 2 else code >= 300):
                receipt = refused(i, code, text)
            elif receipt and code == 354:  # it wants content for nobody (RFC 2920 section 3.1)
                line.write(b".\r\n")
                line.reply()
        if receipt is None:
            return None
        line.rset()
        return receipt

    # ── connections ─────────────────────────────────────────────────────────

    def _line(self) -> _Line:
        """The connection used last, if it is young enough, else a new one."""
        with self._lock:
            line = self._idle.pop() if self._idle else None
        if line and time.monotonic() - line.used < IDLE_S:
            line.proved = False
            return line
        if line:
            line.close()
        return self._open()

    def _park(self, line: _Line) -> None:
        line.used = time.monotonic()
        with self._lock:
            self._idle.append(line)

    def _open(self) -> _Line:
        """Connect, encrypt and sign in. Raises `Down`; never goes on in clear where encryption is asked for."""
        with self._watchdog.holding():
            return self._opened()

    def _opened(self) -> _Line:
        s = self._settings
        smtp: smtplib.SMTP | None = None
        try:
            tls = self._tls if s.security == "tls" else None
            smtp = connect(self._watchdog, self._host, s.port, self._hostname, s.timeout_s, tls)
            greet(smtp)
            if s.security == "starttls":
                if not smtp.has_extn("starttls"):
                    raise Down(Receipt("temporary", "no_starttls", "the relay does not offer STARTTLS"))
                smtp.starttls(context=self._tls)
                greet(smtp)
            if s.password is not None:
                sign_in(smtp, s.username, s.password.reveal())
        except (OSError, ValueError, smtplib.SMTPException, Down) as e:
            if smtp is not None:
                smtp.close()
            raise e if isinstance(e, Down) else Down(why(e)) from None
        # Later replies come from a server that had its say in the hello; nothing else of it is kept.
        return _Line(smtp, smtp.has_extn("pipelining"), smtp.has_extn("smtputf8"), self._watchdog)

    def _check(self) -> Receipt:
        line: _Line | None = None
        try:
            line = self._open()
            refusal = self._rehearse(line)
        except Down as e:
            return e.receipt
        except _Lost as e:
            return Receipt("temporary", "timeout" if e.slow else "unreachable")
        finally:
            if line is not None:
                line.close()
        if refusal:
            return refusal
        lacks = "" if line.utf8 else "; it takes no addresses with letters beyond ASCII before the @ (SMTPUTF8)"
        return Receipt("sent", "ok", f"{self._settings.security}{', pipelining' if line.pipelined else ''}{lacks}")

    def _rehearse(self, line: _Line) -> Receipt | None:
        """MAIL and RCPT as for a message, inside and outside, without content: many relays refuse us only there. What
        it says of the recipients themselves is no matter."""
        sender = self._composer.sender
        for recipient in dict.fromkeys((sender, OUTSIDE)):
            for stage, command in enumerate((f"MAIL FROM:<{sender}>\r\n", f"RCPT TO:<{recipient}>\r\n")):
                line.write(command.encode())
                code, text = line.reply()
                if code >= 500 and fault_of(stage, code, text) == "ours":
                    return Receipt("temporary", "relay_refuses_us", f"{command.split()[0]}: {code} {text}")
                if code >= 400:
                    break
            line.rset()
        return None

    def _shutdown(self) -> None:
        self._threads.shutdown(wait=True)
        self._watchdog.close()
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                line.smtp.quit()
            line.close()


def _envelope(mail: ComposedMail) -> tuple[bytes, ...]:
    option = " SMTPUTF8" if mail.utf8 else ""
    return (
        f"MAIL FROM:<{mail.envelope_from}>{option}\r\n".encode(),
        f"RCPT TO:<{mail.envelope_to}>\r\n".encode(),
        b"DATA\r\n",
    )
