"""What use cases ask of storage about the outbox when somebody looks at what waits in it, or was given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Heap = Literal["dead", "failing", "waiting"]
HEAPS: tuple[Heap, ...] = ("dead", "failing", "waiting")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A job as it lies in the outbox. `code`: of the last attempt that failed."""

    id: str
    kind: str
    state: str
    body: Mapping[str, Any]
    created_at: int
    due_at: int
    expires_at: int
    attempts: int
    code: str


class OutboxSearch(Protocol):
    def rows(self, heap: Heap, after: tuple[int, str], limit: int) -> Sequence[OutboxRow]:
        """Given up (`dead`), to be tried again after a failure (`failing`), or due within the hour and not tried yet
        (`waiting`); the oldest first, behind an instant and an id."""
        ...

    def row(self, job_id: str) -> OutboxRow | None: ...
    def revive(self, job_id: str, expires_at: int) -> bool:
        """Has a job that was given up done once more, as if never tried; whether it still was given up."""
        ...
