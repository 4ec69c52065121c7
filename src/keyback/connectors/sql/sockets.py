"""A second hold on a connection, by which another thread can end it."""

from __future__ import annotations

import contextlib
import os
import socket


class Hold:
    """On a connected socket's file descriptor, which may since belong to a TLS layer."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()
