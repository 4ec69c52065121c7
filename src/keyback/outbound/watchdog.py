"""Ends waits on another machine that has gone quiet: a far end may take our bytes and never answer, nor close.

Neither keep-alives nor time-outs of TCP see that, as long as something on the way acknowledges what we send. Drivers
that block in a thread are woken by shutting their socket down; to them it looks as if the connection had broken.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

LOOK_S = 0.5  # between two looks, and so how late a wait may be ended


class _Held:
    """The work of one thread: when it is late, and a duplicate of the socket that it waits on."""

    __slots__ = ("fd", "late", "until")

    def __init__(self, until: float) -> None:
        self.until, self.fd, self.late = until, -1, False


class Watchdog:
    """Shuts a thread's socket down when its work takes too long; one thread looks after all.

    Args:
        seconds: how long one piece of work may take.
        clock: monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[int, _Held] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Bounds what this thread does in the block; sockets are named by `attach`."""
        me, held = threading.get_ident(), _Held(self._clock() + self.seconds)
        with self._lock:
            self._held[me] = held
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="keyback-watchdog", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(me, None)
                _close(held)

    def attach(self, fd: int) -> None:
        """This thread waits on this socket from here on. Outside of `holding` nothing happens."""
        held = self._held.get(threading.get_ident())
        if held is None:
            return
        with self._lock:
            _close(held)
            # A number of our own: the driver may close its socket and the system give the number to somebody else.
            held.fd = os.dup(fd)
            if held.late:
                _shut(held)

    def look(self) -> int:
        """Ends what is late by now; how many waits that were."""
        now, ended = self._clock(), 0
        with self._lock:
            for held in self._held.values():
                if held.until <= now and not held.late:
                    held.late = True
                    ended += _shut(held)
        return ended

    def close(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self.look()


def _shut(held: _Held) -> bool:
    if held.fd < 0:
        return False
    # The socket object takes the number over; `detach` gives it back.
    sock = socket.socket(fileno=held.fd)
    try:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
    finally:
        sock.detach()
    return True


def _close(held: _Held) -> None:
    if held.fd >= 0:
        os.close(held.fd)
        held.fd = -1
