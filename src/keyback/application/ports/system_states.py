"""What storage keeps of every connected system: how calls to it went, what the last check said, what waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

AUDIT_LOG = "/audit"  # no system: what `keyback audit verify` said last; no name of a system begins so
CheckStatus = Literal["", "ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """How calls to a system went. All instants in ms; 0: never, or not now.

    Args:
        good_at: when it was reached last.
        failing_since: since when it can't be reached.
        checked_at: when `keyback check` looked at it last, with `check_status`.
        check_words, check_next: what it said and what to do, in English and without secrets.
    """

    system: str
    good_at: int = 0
    failing_since: int = 0
    checked_at: int = 0
    check_status: CheckStatus = ""
    check_words: str = ""
    check_next: str = ""


@dataclass(frozen=True, slots=True)
class SystemWork:
    """Changes in the outbox for one system.

    Args:
        waiting, failing, dead: in line, to be tried again, given up.
        code: of the newest one that failed.
        oldest: since when (ms) the oldest waits or fails; 0 for none.
    """

    waiting: int = 0
    failing: int = 0
    dead: int = 0
    code: str = ""
    oldest: int = 0


class SystemStates(Protocol):
    def all(self) -> Mapping[str, SystemHealth]:
        """By the names of the systems."""
        ...

    def reached(self, system: str, good_at: int, failing_since: int) -> None:
        """How calls went lately."""
        ...

    def checked(self, system: str, status: CheckStatus, words: str, step: str) -> None:
        """What a check said just now."""
        ...

    def work(self, limit: int) -> tuple[Mapping[str, SystemWork], bool]:
        """What lies in the outbox for each system, of `limit` changes at most, and whether there are more."""
        ...

    def open_tasks(self, limit: int) -> tuple[Sequence[tuple[str, str, int]], bool]:
        """System, kind and instant (ms) of `limit` open tasks of administrators, the oldest first; whether there are
        more."""
        ...
