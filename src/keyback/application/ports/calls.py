"""What use cases ask of storage about calls between people and the help desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

CheckState = Literal["shown", "begun", "passed", "failed"]
CallReason = Literal["recovery", "request", "security", "set_up"]


@dataclass(frozen=True, slots=True)
class CallerCheck:
    """One number that a page shows, and what came of it. Instants are ms.

    Args:
        handle: the page's.
        digest: of the number, with a key; nobody learns numbers from the database.
        state: `shown` on the page; `begun` by the operator who typed it, once; `passed` or `failed`.
        case_id: empty until it is begun, and where the page is about nobody.
        contact_id: the number on record that was called back; empty where somebody else confirmed.
        tries: wrong second numbers that were typed.
        expires_at: of what is shown, then of the callback.
        manager_id: the person of record who was asked to co-sign; empty where nobody was.
    """

    id: str
    handle: str
    digest: bytes = field(repr=False)
    state: CheckState = "shown"
    case_id: str = ""
    operator_id: str = ""
    contact_id: str = ""
    tries: int = 0
    created_at: int = 0
    expires_at: int = 0
    ended_at: int = 0
    manager_id: str = ""


@dataclass(frozen=True, slots=True)
class OutboundCall:
    """A call that an operator entered before making it. `reason`: a word, so that no text of ours can be made up."""

    id: str
    person_id: str
    case_id: str
    operator_id: str
    reason: CallReason
    created_at: int
    expires_at: int
    ended_at: int = 0


class Calls(Protocol):
    def add_check(self, check: CallerCheck) -> bool:
        """False when another page shows this number now."""
        ...

    def check(self, check_id: str, *, lock: bool = False) -> CallerCheck | None: ...
    def newest_check(self, handle: str) -> CallerCheck | None: ...
    def begin_check(self, digest: bytes, operator_id: str, expires_at: int) -> CallerCheck | None:
        """`UPDATE … WHERE state = 'shown'`: the check for exactly one caller, who has it until then."""
        ...

    def save_check(self, check: CallerCheck) -> None:
        """Callers have locked it."""
        ...

    def withdraw(self, handle: str) -> None:
        """What this page shows is good for nothing any more."""
        ...

    def passed(self, case_id: str, operator_id: str, since: int) -> CallerCheck | None:
        """The newest check of a case that this operator passed at or after an instant."""
        ...

    def checks_by(self, operator_id: str, limit: int) -> Sequence[CallerCheck]:
        """An operator's own, the newest first."""
        ...

    def for_manager(self, person_id: str) -> Sequence[CallerCheck]:
        """Those that this person is asked to co-sign now, the oldest first."""
        ...

    def add_call(self, call: OutboundCall) -> None:
        """Ends all others to this person."""
        ...

    def call(self, call_id: str) -> OutboundCall | None: ...
    def call_to(self, person_id: str) -> OutboundCall | None:
        """The one that a person may get now."""
        ...

    def end_call(self, call_id: str) -> bool: ...
    def purge(self, before: int) -> int: ...
