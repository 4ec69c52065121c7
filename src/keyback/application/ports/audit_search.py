"""What use cases ask of storage about the audit log when somebody looks for something in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from keyback.application.ports.enrolment_storage import Happened


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Rows from `first` up to, but not with, `before`; the rest is empty for all.

    Args:
        streams: ids of cases and persons, or words.
        operator: who did it.
    """

    first: int
    before: int
    streams: tuple[str, ...] = ()
    operator: str = ""
    event: str = ""
    limit: int = 100


class AuditSearch(Protocol):
    def head(self) -> tuple[int, bytes]:
        """The last row's number and hash."""
        ...

    def first_at(self, at: int) -> int:
        """The number of the first row since an instant (ms); one behind the last where there is none."""
        ...

    def streams_of(self, person_id: str) -> Sequence[str]:
        """A person's own stream and those of their cases."""
        ...

    def search(self, query: AuditQuery) -> Sequence[Happened]:
        """The newest first."""
        ...
