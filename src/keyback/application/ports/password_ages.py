"""What is kept of the age of passwords in other systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PasswordAge:
    """One account's, as its system said last.

    Args:
        changed_at: ms; 0 where nobody knows.
        reminded: how many of the steps before the day its person was told of.
        failures: how often in a row the system didn't answer.
        look_at: when it is asked next (ms).
    """

    account_id: str
    system: str
    changed_at: int = 0
    reminded: int = 0
    failures: int = 0
    look_at: int = 0


class PasswordAges(Protocol):
    def take_up(self, system: str, limit: int) -> int:
        """Makes rows for accounts of a system that have none; how many."""
        ...

    def claim(self, system: str, limit: int, lease_ms: int) -> Sequence[PasswordAge]:
        """Those to be asked about now, the longest due first; nobody else gets them for `lease_ms`."""
        ...

    def save(self, age: PasswordAge, before: PasswordAge) -> bool:
        """What came of it; False, and nothing stored, when it was claimed again meanwhile."""
        ...
