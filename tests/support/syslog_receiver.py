"""A SIEM that takes syslog over TLS, splits it as RFC 5425 says, and misbehaves as told."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.support.certificates import Certificate

LINE = re.compile(
    rb'<(?P<pri>\d{1,3})>1 (?P<at>\S+) (?P<host>\S+) keyback - (?P<kind>\S{1,32}) \[meta sequenceId="(?P<seq>\d+)"\] '
    rb"(?P<text>\{.*\})",
    re.DOTALL,
)


@dataclass(frozen=True)
class Logged:
    """A line as it came."""

    severity: int
    facility: int
    host: str
    kind: str
    sequence: int
    content: dict[str, Any]


@dataclass
class SyslogReceiver:
    """Listens on 127.0.0.1.

    Attributes:
        mode: `takes`; `mute`: reads nothing; `cuts`: breaks every connection after its first bytes; `refuses`: breaks
            it at once.
    """

    certificate: Certificate | None = None
    mode: str = "takes"
    lines: list[Logged] = field(default_factory=list)
    raw: bytes = b""
    connections: int = 0

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: list[socket.socket] = []
        self._over = threading.Event()
        self._tls: ssl.SSLContext | None = None
        if self.certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(self.certificate.certificate, self.certificate.key)
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._over.set()
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """Breaks every connection there is."""
        for s in self._open:
            # The thread that reads closes it: closed here, its number could become that of a connection to the
            # database, and the thread would read from that.
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def kinds(self) -> list[str]:
        return [line.kind for line in self.lines]

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                far = self._listening.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(far,), daemon=True).start()

    def _serve(self, far: socket.socket) -> None:
        if self.mode == "refuses":
            return far.close()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096 if self.mode == "mute" else 65536)
        talk = far
        try:
            talk = self._tls.wrap_socket(far, server_side=True) if self._tls else far
            self._open.append(talk)
            while self.mode == "mute" and not self._over.is_set():
                time.sleep(0.05)
            rest = b""
            while data := talk.recv(65536):
                if self.mode == "cuts":
                    break
                self.raw += data
                rest = self._split(rest + data)
        except OSError:
            pass
        finally:
            talk.close()
            far.close()

    def _split(self, data: bytes) -> bytes:
        """Takes whole frames off the front; what is left."""
        while b" " in data[:8]:
            size, _, after = data.partition(b" ")
            if len(after) < int(size):
                break
            self._keep(after[: int(size)])
            data = after[int(size) :]
        return data

    def _keep(self, line: bytes) -> None:
        found = LINE.fullmatch(line)
        assert found, line
        facility, severity = divmod(int(found["pri"]), 8)
        self.lines.append(
            Logged(
                severity, facility, found["host"].decode(), found["kind"].decode(), int(found["seq"]),
                json.loads(found["text"]),
            )
        )  # fmt: skip
