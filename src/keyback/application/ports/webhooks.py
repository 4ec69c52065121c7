"""What use cases ask of storage and of the network about receivers of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from keyback.application.ports.enrolment_storage import Happened
from keyback.domain.secret import Secret


@dataclass(frozen=True, slots=True)
class Receiver:
    """One address that events are posted to. Instants are ms, 0 where there is none.

    Args:
        types: of the events that it wants; empty: all.
        secrets: what its events are signed with, the newest first, and until when (0: no end).
        read_to: up to which audit row its deliveries were made.
        failures: calls in a row that it did not take.
        rest_until: before which it is not called.
        fence: number of the lease under which a worker calls it.
    """

    id: str
    url: str
    types: tuple[str, ...]
    secrets: tuple[tuple[Secret, int], ...] = field(repr=False)
    read_to: int
    created_at: int
    state: Literal["on", "off"] = "on"
    failures: int = 0
    failing_since: int = 0
    rest_until: int = 0
    lease_until: int = 0
    fence: int = 0
    taken_at: int = 0
    last_code: str = ""

    def signing(self, now: int) -> tuple[Secret, ...]:
        """The secrets that count now."""
        return tuple(secret for secret, until in self.secrets if not until or until > now)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one receiver. `case_id` and `person_id`: whose stream it is in, empty where it is in neither."""

    event: Happened
    attempts: int = 0
    case_id: str = ""
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """What a receiver still has to get."""

    ready: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class EventMessage:
    """An event as it is posted: the same bytes under the same id whenever it is tried again."""

    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver made of a message. `code`: `taken`, `gone`, or why not; `wait_ms`: what it asks for."""

    code: str
    wait_ms: int = 0


class Webhooks(Protocol):
    def add(self, receiver: Receiver) -> None: ...
    def get(self, receiver_id: str, *, lock: bool = False) -> Receiver | None: ...
    def listed(self) -> Sequence[Receiver]:
        """All, the oldest first."""
        ...

    def save(self, receiver: Receiver) -> None: ...
    def remove(self, receiver_id: str) -> None: ...
    def due(self, head: int) -> Sequence[str]:
        """Ids of those that have something to get now and that no worker is at.

        Args:
            head: the newest audit row.
        """
        ...

    def lease(self, receiver_id: str, lease_ms: int, fence: int = 0) -> Receiver | None:
        """Takes a receiver for a while, or goes on with the lease of this number; None where that can't be."""
        ...

    def release(self, receiver_id: str) -> None: ...
    def put(self, receiver_id: str, rows: Sequence[tuple[int, str]]) -> None:
        """Makes deliveries of audit rows (number, stream); those that are there already are left as they are."""
        ...

    def claim(self, receiver_id: str, limit: int) -> Sequence[Delivery]:
        """What is due, of each stream the oldest only: what came after it waits for it."""
        ...

    def done(self, receiver_id: str, seqs: Sequence[int]) -> None: ...
    def again(self, receiver_id: str, seq: int, due_at: int, code: str) -> None: ...
    def give_up(self, receiver_id: str, seq: int, code: str) -> None: ...
    def dead(self, receiver_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """`seq`, `type`, `at`, `attempts` and `last_code` of what was given up, the oldest first."""
        ...

    def revive(self, receiver_id: str) -> int:
        """Makes what was given up due again; how many."""
        ...

    def undelivered(self) -> Mapping[str, Undelivered]:
        """By id of the receiver; those with nothing are left out."""
        ...

    def purge(self, before: int) -> int: ...


class Posts(Protocol):
    """What carries messages to receivers."""

    async def post(self, url: str, message: EventMessage, secrets: Sequence[Secret], now_ms: int) -> Answer:
        """Never raises: whatever a receiver does is an answer."""
        ...

    async def close(self) -> None: ...
