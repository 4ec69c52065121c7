"""A way to PostgreSQL that can go quiet: it takes bytes and passes none on, without closing anything."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit


class Mute:
    """A TCP proxy before a PostgreSQL.

    Attributes:
        muted: swallows whatever either side says.
        mute_on, cut_on: bytes of a client at which it falls silent, or breaks the connection; empty for never.
        pass_on: whether those bytes still reach the server.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        folder = parse_qs(parts.query).get("host", [""])[0]
        if folder.startswith("/"):
            self._far: tuple[int, object] = (socket.AF_UNIX, f"{folder}/.s.PGSQL.{parts.port or 5432}")
        else:
            self._far = (socket.AF_INET, (parts.hostname or "127.0.0.1", parts.port or 5432))
        self._listening = socket.create_server(("127.0.0.1", 0))
        user = parts.netloc.rpartition("@")[0]
        port = self._listening.getsockname()[1]
        self.url = f"postgresql://{user + '@' if user else ''}127.0.0.1:{port}{parts.path}"
        self.muted = False
        self.mute_on = self.cut_on = b""
        self.pass_on = True
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closing = True
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        family, where = self._far
        far = socket.socket(family, socket.SOCK_STREAM)
        with near, far, contextlib.suppress(OSError):
            far.connect(where)  # type: ignore[arg-type]
            while not self._closing:
                ready, _, _ = select.select([near, far], [], [], 0.1)
                for side in ready:
                    data = side.recv(65536)
                    if not data:
                        return
                    if side is near and self.mute_on and self.mute_on in data:
                        self.muted, self.mute_on = True, b""
                        if self.pass_on:
                            far.sendall(data)
                        continue
                    if side is near and self.cut_on and self.cut_on in data:
                        self.cut_on = b""
                        if self.pass_on:
                            far.sendall(data)
                            far.recv(65536)  # it is done there, and only the answer gets lost
                        return
                    if not self.muted:
                        (far if side is near else near).sendall(data)


@contextlib.contextmanager
def muting(url: str) -> Iterator[Mute]:
    proxy = Mute(url)
    try:
        yield proxy
    finally:
        proxy.close()
