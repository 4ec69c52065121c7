"""What the port needs of a database's library, and the address that every one of them gets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from keyback.domain.secret import Secret

Fault = Literal["away", "busy", "sign_in", "permission", "key", "refused"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is and how it is spoken to.

    Args:
        host: empty for a file; database: its name, or the file.
        ca_file: PEM file of the authority of its certificate; None to speak to it without TLS.
        tls_name: the name in its certificate.
        timeout: seconds for one call; connecting may take half of it.
    """

    host: str
    port: int
    database: str
    user: str
    password: Secret
    ca_file: Path | None = None
    tls_name: str = ""
    timeout: float = 20.0


class DatabaseFault(Exception):
    """What a database or its library raised, sorted.

    `away`: no connection, or it broke. `busy`: locked by others, or it took too long: undone. `sign_in`, `permission`:
    of Keyback's account. `key`: a value can't be one of its column's. `refused`: everything else that it says no to.
    The text has no value of a row.
    """

    def __init__(self, fault: Fault, text: str = "") -> None:
        super().__init__(text or fault)
        self.fault: Fault = fault


class Session(ABC):
    """One connection with one transaction, used by one thread; `cut` alone comes from another."""

    @abstractmethod
    def begin(self, *, changes: bool) -> None: ...

    @abstractmethod
    def rows(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    def change(self, text: str, values: Sequence[Any]) -> int:
        """How many rows it touched."""

    @abstractmethod
    def commit(self) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """What was not committed is undone. Never raises."""

    @abstractmethod
    def cut(self) -> None:
        """Ends whatever the other thread waits for. Never raises."""

    @abstractmethod
    def sorted_fault(self, error: Exception) -> DatabaseFault:
        """What an error of the library means."""
