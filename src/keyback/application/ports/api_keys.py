"""What use cases ask of storage about keys of the admin API, and about what acts through it were answered with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from keyback.domain.operators.keys import ApiKey


@dataclass(frozen=True, slots=True)
class Answer:
    """What an act was answered with. `request`: digest of what was asked; `body` holds ids and codes only."""

    digest: bytes = field(repr=False)
    id: str
    request: bytes
    status: int = 0
    body: str = ""


class ApiKeys(Protocol):
    def add(self, key: ApiKey) -> None: ...
    def get(self, key_id: str) -> ApiKey | None: ...
    def by_prefix(self, prefix: str) -> ApiKey | None: ...
    def of(self, operator_id: str) -> Sequence[ApiKey]:
        """Those of one program that were not removed, the newest first."""
        ...

    def listed(self) -> Sequence[ApiKey]:
        """Those that were not removed, of all programs, expired ones too, the newest first."""
        ...

    def end(self, key_id: str) -> bool:
        """True for exactly one caller."""
        ...

    def shorten(self, operator_id: str, until: int) -> None:
        """No key of this program lasts longer than until then (ms)."""
        ...

    def used(self, key_id: str, source: str) -> None: ...

    def claim_answer(self, answer: Answer) -> Answer:
        """This one where it is the first of its digest; else the one that was there, once its transaction is done."""
        ...

    def save_answer(self, answer: Answer) -> None: ...
    def purge(self, answers_before: int) -> int: ...
