"""Syslog over TLS (RFC 5425): one connection, on which lines count only once the other machine acknowledged them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keyback.application.ports.siem import Away
from keyback.outbound.http import is_loopback

REFUSED_S = 0.5
LOOK_S = 0.01  # whether everything was acknowledged
KEEPALIVE = ((60, "TCP_KEEPIDLE"), (20, "TCP_KEEPINTVL"), (3, "TCP_KEEPCNT"))

UNUSABLE = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "PEM_LIB", "KEY_VALUES_MISMATCH", "NO_START_LINE"})


@dataclass(frozen=True, slots=True)
class SyslogServer:
    """Where the SIEM listens.

    Args:
        encrypted: by TLS, with a certificate that is checked; anything else is for loopback only.
        ca_file: PEM of the authorities to trust instead of the system's.
        certificate_file, key_file: PEM of our own, where the SIEM asks for one.
        timeout_s: to connect, and to have everything acknowledged.
    """

    host: str
    port: int = 6514
    encrypted: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.encrypted and not is_loopback(self.host):
            raise ValueError("unencrypted is for loopback only")

    def context(self) -> ssl.SSLContext | None:
        """Raises OSError: a file cannot be read, or is no certificate or key."""
        if not self.encrypted:
            return None
        made = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate_file:
            made.load_cert_chain(self.certificate_file, self.key_file)
        return made


class SyslogLink:
    """A connection that is made when there is something to send."""

    def __init__(self, server: SyslogServer) -> None:
        self._server = server
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        return self._writer is not None and not self._closed_there()

    async def send(self, lines: Sequence[bytes]) -> None:
        try:
            async with asyncio.timeout(self._server.timeout_s):
                await self._send(b"".join(lines))
        except BaseException as e:
            await self.close()
            code = _code(e)
            if code is None:
                raise
            raise Away(code) from None

    async def check(self) -> None:
        if self._writer is not None and self._closed_there():
            await self.close()
            raise Away("closed")

    async def try_out(self, lines: Sequence[bytes] = ()) -> None:
        """Connects, sends what is given, and waits a moment for what the other side says to it: with TLS 1.3 a
        certificate of ours is refused only then.

        Raises:
            Away: it takes nothing.
        """
        await self.send(lines)
        await asyncio.sleep(REFUSED_S)
        try:
            await self.check()
        finally:
            await self.close()

    async def close(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is None:
            return
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 2.0)
        writer.transport.abort()

    async def _send(self, data: bytes) -> None:
        writer = self._writer or await self._connect()
        writer.write(data)
        await writer.drain()
        while not self._closed_there() and (writer.transport.get_write_buffer_size() or _unacknowledged(writer)):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
        if self._closed_there():
            raise ConnectionResetError

    async def _connect(self) -> asyncio.StreamWriter:
        s = self._server
        context = await asyncio.to_thread(s.context)
        self._reader, self._writer = await asyncio.open_connection(
            s.host, s.port, ssl=context, server_hostname=s.host if context else None, limit=1024
        )
        made = self._writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for value, name in KEEPALIVE:
            if hasattr(socket, name):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return self._writer

    def _closed_there(self) -> bool:
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            return True
        return reader.at_eof() or reader.exception() is not None or writer.is_closing()


def _unacknowledged(writer: asyncio.StreamWriter) -> int:
    """Bytes that the other machine has not acknowledged. Only Linux can tell; elsewhere what the kernel has counts."""
    if sys.platform != "linux":
        return 0
    import fcntl
    import termios

    found = fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int(struct.unpack("i", found)[0])


def _code(error: BaseException) -> str | None:
    """Why nothing went, in our codes; None for what is no fault of the SIEM's."""
    if isinstance(error, TimeoutError):
        return "stalled"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate"
    if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError)):
        return "unusable"
    if isinstance(error, ssl.SSLError):
        return "unusable" if error.reason in UNUSABLE else "no_tls"
    if isinstance(error, (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError)):
        return "closed"
    if isinstance(error, (OSError, UnicodeError, ValueError)):
        return "unreachable"
    return None
