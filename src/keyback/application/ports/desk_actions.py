"""What operators ask for and do about people: what storage keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from keyback.domain.operators.actions import ActionKind

ActionState = Literal["waiting", "done", "declined", "over"]


@dataclass(frozen=True, slots=True)
class Action:
    """One act of an operator on a person, done or waiting for a second operator.

    Args:
        detail: the kind of recovery that is started, or the end of a hold (ms).
        page: whose hold it is; of a start, the page by which the person went on.
        version: of the case, or of the person's security, as the first operator saw it; it is done for no other one.
        reason: untrusted text, sealed in the database, and in no audit row.
        broke_glass: one operator did alone what takes two.
    """

    id: str
    person_id: str
    kind: ActionKind
    asked_by: str
    asked_at: int
    expires_at: int
    version: int
    state: ActionState = "waiting"
    detail: str = ""
    case_id: str = ""
    page: str = ""
    decided_by: str = ""
    decided_at: int = 0
    broke_glass: bool = False
    reason: str = field(default="", repr=False)


class Actions(Protocol):
    def add(self, action: Action) -> None: ...
    def get(self, action_id: str) -> Action | None: ...
    def end(self, action_id: str, state: ActionState, by: str, *, broke_glass: bool = False) -> bool:
        """`UPDATE … WHERE state = 'waiting'`: True for exactly one caller."""
        ...

    def go_on(self, action_id: str, page: str) -> bool:
        """The person went on by this page; True for exactly one caller."""
        ...

    def waiting(self, *, after: tuple[int, str], limit: int) -> Sequence[Action]:
        """Those that wait and are not over, the oldest first.

        Args:
            after: (asked_at, id) of the last one that was seen; (0, "") at the beginning.
        """
        ...

    def of_person(self, person_id: str, limit: int) -> Sequence[Action]:
        """The newest first."""
        ...
