"""Spans of what Keyback does, for whoever follows a request through several systems. Off, they cost a call and are
nothing else: no library is imported, nothing is measured (`telemetry` switches them on).

A span never says of whom it is: attributes are those of `ATTRIBUTES`, with words of closed sets, numbers, or names from
the settings.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, Self

Value = str | int
ATTRIBUTES = frozenset(
    {
        "keyback.journey",
        "keyback.count",
        "keyback.channel",
        "keyback.system",
        "keyback.outcome",
        "keyback.attempt",
        "http.request.method",
        "http.response.status_code",
        "server.address",
    }
)
MAX_VALUE = 80


class Span(Protocol):
    """Something that is under way."""

    def set(self, name: str, value: Value) -> None:
        """Raises KeyError: not in `ATTRIBUTES`."""
        ...


class _Off:
    """The span of whoever traces nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def set(self, name: str, value: Value) -> None:
        return None


OFF = _Off()
Start = Callable[[str], AbstractContextManager[Span]]
_start: Start | None = None


def use(start: Start | None) -> None:
    """Has spans begun by `start`; by None, none."""
    global _start
    _start = start


def span(name: str) -> AbstractContextManager[Span]:
    """A span until the block ends. One that ends by an exception names its class, never its text."""
    return OFF if _start is None else _start(name)
