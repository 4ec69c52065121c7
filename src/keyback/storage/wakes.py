"""Who waits for which commits: topics, within this process and, on PostgreSQL, from one process to another.

A topic is a kind of job that is due, `intakes`, `wants`, or `case/` and the id of a case that every system has answered
for. A notification's payload is the node's own mark, a colon and the topics. Nodes of the version before send none and
read none: whatever is not understood wakes everybody, and nothing is lost by that.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

from keyback.application.ports.storage import JobKind

CHANNEL = "keyback"
MOST = 7000  # characters of a payload; PostgreSQL takes fewer than 8,000 bytes
ALL = "*"
INTAKES, WANTS, CASE = "intakes", "wants", "case/"
KNOWN = frozenset({INTAKES, WANTS, *get_args(JobKind)})


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    event: asyncio.Event
    topics: frozenset[str]


class Wakes:
    """Sets the events of those who wait for what a commit touched. Safe from any thread."""

    def __init__(self) -> None:
        self._node = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._waiters: list[_Waiter] = []

    def waker(self, *topics: str) -> asyncio.Event:
        """An event of the running loop that is set after commits of these topics; without any, after all."""
        return self._add(topics).event

    @contextmanager
    def watching(self, topic: str) -> Iterator[asyncio.Event]:
        """The same for as long as the block runs."""
        waiter = self._add((topic,))
        try:
            yield waiter.event
        finally:
            with self._lock:
                self._waiters.remove(waiter)

    def _add(self, topics: Collection[str]) -> _Waiter:
        waiter = _Waiter(asyncio.get_running_loop(), asyncio.Event(), frozenset(topics))
        with self._lock:
            self._waiters.append(waiter)
        return waiter

    def tell(self, topics: Collection[str]) -> None:
        """Wakes whoever waits for any of these; `ALL` among them wakes everybody."""
        if not topics:
            return
        with self._lock:
            meant = [w for w in self._waiters if ALL in topics or not w.topics or not w.topics.isdisjoint(topics)]
        for waiter in meant:
            try:
                waiter.loop.call_soon_threadsafe(waiter.event.set)
            except RuntimeError:
                continue  # its loop was closed meanwhile

    def payload(self, topics: Collection[str]) -> str:
        """What other processes are told of a commit; safe between quotes in SQL."""
        names = ",".join(sorted(topics))
        return f"{self._node}:{names if len(names) <= MOST else ALL}"

    def hear(self, payload: str) -> None:
        """Passes on what another process announced. Of our own commits we know already."""
        node, _, names = payload.partition(":")
        if node == self._node:
            return
        topics = names.split(",")
        understood = all(t in KNOWN or t.startswith(CASE) for t in topics)
        self.tell(topics if understood else {ALL})
