"""What use cases ask of storage about photos that HR had of people before anything happened."""

from __future__ import annotations

from typing import Protocol


class Photos(Protocol):
    def put(self, person_id: str, jpeg: bytes, *, ago: int = 0) -> None:
        """Keeps a photo, sealed, in place of any before.

        Args:
            ago: how long it has been on record before this transaction (ms).
        """
        ...

    def since(self, person_id: str) -> int:
        """When it came on record (ms); 0 where there is none."""
        ...

    def jpeg(self, person_id: str) -> bytes | None: ...
    def remove(self, person_id: str) -> bool:
        """False where there was none."""
        ...
