"""What use cases ask of storage and of the network about the stream for the SIEM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from keyback.application.ports.enrolment_storage import Happened

Format = Literal["json", "ocsf"]


@dataclass(frozen=True, slots=True)
class SiemRules:
    """What the settings say.

    Args:
        host: under which people reach Keyback; it stands in every line.
        form: of the messages.
        max_behind: rows that may wait; older ones are left out.
    """

    host: str
    form: Format
    max_behind: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far the stream is. Instants are ms, 0 where there is none.

    Args:
        read_to: up to which audit row everything was taken over.
        skipped: rows that were left out, in all.
        fence: number of the lease under which a worker sends.
        rest_until: before which nobody connects.
    """

    read_to: int
    skipped: int = 0
    failures: int = 0
    failing_since: int = 0
    rest_until: int = 0
    lease_until: int = 0
    fence: int = 0
    sent_at: int = 0
    last_code: str = ""


@dataclass(frozen=True, slots=True)
class LoggedRow:
    """A row of the audit log. `case_id` and `person_id`: whose stream it is in, empty where it is in neither;
    `hash`: its link of the chain, in hex."""

    event: Happened
    case_id: str = ""
    person_id: str = ""
    hash: str = ""


class SiemStore(Protocol):
    def position(self) -> Position | None:
        """None before the first start with a SIEM in the settings."""
        ...

    def begin(self, read_to: int) -> None:
        """Makes the position, where there is none."""
        ...

    def lease(self, lease_ms: int, fence: int = 0) -> Position | None:
        """Takes the stream for a while, or goes on with the lease of this number; None where that can't be."""
        ...

    def save(self, position: Position) -> bool:
        """Writes the position under its fence; False where another worker has the stream by now."""
        ...

    def move(self, position: Position) -> None:
        """Writes the position whoever has the lease."""
        ...

    def rows(self, after: int, limit: int) -> Sequence[LoggedRow]:
        """Rows of the audit log behind `after`, in order."""
        ...


class Away(Exception):
    """The SIEM takes nothing. `code`: why, one of `unreachable`, `certificate`, `no_tls`, `stalled`, `closed` and
    `unusable` (a file of certificates or keys that cannot be read)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SiemLink(Protocol):
    """One connection to the SIEM."""

    @property
    def is_open(self) -> bool: ...

    async def send(self, lines: Sequence[bytes]) -> None:
        """Connects where needed, and returns once the other machine has acknowledged every byte.

        Raises:
            Away: it did not; nobody knows which lines it has.
        """
        ...

    async def check(self) -> None:
        """Raises Away where the connection was closed from there."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Siem:
    """A SIEM that the settings name."""

    link: SiemLink
    rules: SiemRules
