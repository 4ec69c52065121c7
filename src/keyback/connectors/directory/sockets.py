"""What ldap3's own sockets lack: an end in time and in size, and the checks of a certificate that OpenSSL makes."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from ldap3 import Tls

MAX_ANSWER = 8 << 20  # bytes that one call may receive


class BoundedSocket:
    """A socket whose reads end after so many seconds altogether, and after `MAX_ANSWER` bytes."""

    def __init__(self, inner: socket.socket, seconds: float) -> None:
        self._inner = inner
        self.renew(seconds)

    def renew(self, seconds: float) -> None:
        """A new allowance, for the next page over the same connection."""
        self._until, self._left = time.monotonic() + seconds, MAX_ANSWER

    def recv(self, size: int) -> bytes:
        self._wait()
        data = self._inner.recv(size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("the answer is too long")
        return data

    def sendall(self, data: bytes) -> None:
        self._wait()
        self._inner.sendall(data)

    def _wait(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._inner.settimeout(left)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class StrictTls(Tls):  # type: ignore[misc]
    """TLS as the standard library does it by default: from 1.2 on, the chain and the host's name checked by OpenSSL.

    Args:
        name: what the certificate has to be for.
        seconds: for each read of the handshake.
    """

    def __init__(self, context: ssl.SSLContext, name: str, seconds: float) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._strict, self._name, self._seconds = context, name, seconds

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        raw = getattr(connection.socket, "_inner", connection.socket)
        raw.settimeout(self._seconds)
        connection.socket = self._strict.wrap_socket(raw, server_hostname=self._name)
