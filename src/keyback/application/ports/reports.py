"""What use cases ask of storage about reports: figures by day, and recoveries that are followed to their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Key = tuple[str, str, str]
"""Day (`2026-11-28`), figure, and what of it."""


@dataclass(frozen=True, slots=True)
class Followed:
    """One recovery on the way from its request to the first sign-in. Instants are ms, 0 where it has not happened.

    Args:
        held_from: of a hold that has not ended.
        held_ms: that it waited in holds that ended.
        desk: whether an operator had a part in it.
        claims: how often operators claimed it.
        stage: how many steps of the funnel it has taken.
    """

    case_id: str
    person_id: str
    opened_at: int
    held_from: int = 0
    held_ms: int = 0
    desk: bool = False
    claims: int = 0
    stage: int = 1
    recovered_at: int = 0


class Reports(Protocol):
    def place(self, name: str = "events") -> int | None:
        """Up to which audit row figures were made; of another name, until when it is leased, 0 once it was done."""
        ...

    def begin(self) -> int | None:
        """Up to which audit row figures were made, its place locked until the commit; None while another worker has
        it."""
        ...

    def followed(self, case_ids: Sequence[str], person_ids: Sequence[str]) -> Sequence[Followed]:
        """Recoveries with these ids, or of these people."""
        ...

    def save(self, seq: int, figures: Mapping[Key, int], kept: Sequence[Followed], over: Sequence[str]) -> None:
        """Adds figures, keeps and forgets recoveries, and moves the place on."""
        ...

    def add(self, figures: Mapping[Key, int]) -> None: ...
    def raise_to(self, key: Key, value: int) -> None:
        """Sets a figure that is lower, or is not there."""
        ...

    def lease(self, name: str, until: int) -> bool:
        """Takes what is done once, such as a day's look at everybody, until an instant; False while another has it."""
        ...

    def finish(self, name: str, figures: Mapping[Key, int]) -> None:
        """Sets figures, and never leases this again."""
        ...

    def figures(self, first: str, last: str) -> Mapping[Key, int]:
        """All figures of these days."""
        ...

    def purge(self, before: int) -> int:
        """Forgets recoveries that began before an instant; figures stay."""
        ...
