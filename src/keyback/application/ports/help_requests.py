"""What use cases ask of storage about requests for help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from keyback.domain.people.phone_identifier import as_written

RequestState = Literal["unconfirmed", "open", "answered", "closed"]


@dataclass(frozen=True, slots=True)
class HelpLine:
    """One message. `by`: an operator's id, empty for the person. Untrusted text."""

    at: int
    by: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HelpRequest:
    """Somebody asks the help desk for help, by the page of a recovery. Instants are ms.

    Args:
        handle: the page's; it asks once.
        identifier: canonical, as the page has it; `contact`, `reason` and `lines` are sealed with it.
        contact: a mail address where whoever asks can be reached. It never is evidence.
        state: `unconfirmed` until the code that went to the contact was typed; `open` while the desk has to answer;
            `answered` while the person has; `closed`.
        code_at: when the newest code was sent; `tries` counts wrong ones since the first.
        since: when it began to wait for the desk; its place follows from that.
        answered_at: of the first answer.
        operator_id: who answers; empty for nobody yet.
        closed_by: who closed it. Nobody answers what they closed once it was opened again.
        case_id: that an operator opened for it; empty for none.
        reopened: it was opened again, which happens once.
    """

    handle: str
    subject: bytes
    identifier: str = field(repr=False)
    contact: str = field(repr=False)
    reason: str = field(repr=False)
    locale: str
    state: RequestState = "unconfirmed"
    lines: tuple[HelpLine, ...] = ()
    code_at: int = 0
    tries: int = 0
    created_at: int = 0
    since: int = 0
    answered_at: int = 0
    operator_id: str = ""
    closed_by: str = ""
    closed_at: int = 0
    case_id: str = ""
    reopened: bool = False

    @property
    def named(self) -> str:
        """The identifier for people to read."""
        return as_written(self.identifier)


class HelpRequests(Protocol):
    def add(self, request: HelpRequest) -> bool:
        """False when this page has asked already."""
        ...

    def get(self, handle: str, *, lock: bool = False) -> HelpRequest | None: ...
    def save(self, request: HelpRequest) -> None:
        """Callers have locked it."""
        ...

    def listed(self, state: RequestState, after: tuple[int, str], limit: int) -> Sequence[HelpRequest]:
        """Those that wait longest first, behind (since, handle)."""
        ...

    def of_case(self, case_id: str) -> Sequence[HelpRequest]: ...
    def ahead(self, request: HelpRequest, most: int) -> int:
        """How many open ones wait longer, counted up to `most`."""
        ...

    def waiting(self, most: int) -> int: ...
    def answer_times(self, limit: int) -> Sequence[int]:
        """How long (ms) those that were answered last waited for their first answer."""
        ...

    def purge(self, *, unconfirmed_before: int, before: int) -> int: ...
