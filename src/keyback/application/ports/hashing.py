"""What we ask of password hashing."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from keyback.domain.secret import Secret


class Busy(Exception):
    """The queue before the gate is full; answer 503 and let the caller come back."""


class Verified(NamedTuple):
    """Whether the password fits, and whether to store a new hash of it now (only ever true together with `ok`)."""

    ok: bool
    needs_rehash: bool


class PasswordHasher(Protocol):
    """Hashes and compares passwords within a budget of memory. Both raise `Busy` when the queue is full, or what the
    one who hands it on makes of that."""

    async def hash(self, secret: Secret, /) -> str:
        """The text to store for a new password."""
        ...

    async def verify(self, phc: str | None, secret: Secret, /) -> Verified:
        """Whether a password fits what is stored; None takes the time of a comparison and is never ok."""
        ...


class HashingGate(PasswordHasher, Protocol):
    """The one gate of a process, with its figures: hashes at once, running and waiting, and stored ones refused."""

    permits: int
    busy: int
    refused: int

    @property
    def waiting(self) -> int: ...

    @property
    def pepper(self) -> str: ...

    def check_values(self) -> dict[str, bytes]: ...

    def close(self) -> None: ...
