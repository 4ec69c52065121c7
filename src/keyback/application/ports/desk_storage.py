"""What use cases ask of storage about operators and their work on cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from keyback.domain.operators.approvals import Recommendation
from keyback.domain.operators.roles import Operator, Role
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import Journey
from keyback.domain.recovery.case import Case

NoteKind = Literal["note", "recommended", "approved", "declined"]


@dataclass(frozen=True, slots=True)
class SetUpLink:
    """A link by which an operator sets up a sign-in, once. `tries` counts wrong answers to it; `created_at` is from
    when it can be used (ms), which may be later than now."""

    digest: bytes
    operator_id: str
    security_version: int
    tries: int
    created_at: int
    expires_at: int
    used_at: int | None = None


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """A session of the console. `proven_at`: ms, when its operator last showed a second factor."""

    digest: bytes = field(repr=False)
    operator_id: str
    created_at: int
    seen_at: int
    expires_at: int
    source: str
    device: str
    proven_at: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What operators did with a case so far.

    Args:
        worked_by: whoever claimed or recommended it, at any time; they do not approve it.
        ticket: of the company's own system, as somebody typed it.
    """

    case_id: str
    claimed_by: str = ""
    claimed_at: int = 0
    worked_by: frozenset[str] = frozenset()
    recommended: Recommendation | None = None
    recommended_at: int = 0
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class DeskNote:
    """What an operator wrote about a case. Untrusted text; sealed in the database, and in no audit row."""

    id: str
    case_id: str
    operator_id: str
    kind: NoteKind
    at: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class QueueQuery:
    """What of the queue is wanted.

    Args:
        claimed_by: an operator's own; `-` for what nobody has; empty for all.
        journey: empty for all; so is `tier`.
        recommended: only what a colleague recommends in its present version.
        until: ms; cases that have waited since then at least, 0 for all.
        after: (opened_at, id) of the last one that was seen.
    """

    claimed_by: str = ""
    journey: Journey | Literal[""] = ""
    tier: Tier | Literal[""] = ""
    until: int = 0
    after: tuple[int, str] = (0, "")
    limit: int = 50
    recommended: bool = False


@dataclass(frozen=True, slots=True)
class SavedView:
    """Filters of the queue that an operator keeps under a name of their own. `query`: as in the page's address."""

    id: str
    operator_id: str
    name: str
    query: str


class Operators(Protocol):
    def add(self, operator: Operator) -> bool:
        """False when somebody who is not removed has this address already."""
        ...

    def get(self, operator_id: str, *, lock: bool = False) -> Operator | None: ...
    def many(self, ids: Sequence[str]) -> Mapping[str, Operator]: ...
    def by_mail(self, mail: str) -> Operator | None:
        """Whoever has this canonical address and is not removed."""
        ...

    def of_person(self, person_id: str, mails: Sequence[str]) -> Sequence[Operator]:
        """Operators who are this person: by the link to them, or by an address that they have."""
        ...

    def listed(self) -> Sequence[Operator]:
        """Those who are not removed, by name."""
        ...

    def holders(self, role: Role) -> int: ...
    def activate(self, operator_id: str, phc: str | None) -> None:
        """Whoever set up a sign-in may use it; earlier factors, sessions and links end."""
        ...

    def invite(self, operator_id: str) -> None:
        """The same for whoever has to set one up first; nothing of theirs signs in any more."""
        ...

    def remove(self, operator_id: str) -> bool: ...
    def credential(self, operator_id: str) -> str | None: ...
    def rehash(self, operator_id: str, before: str, phc: str) -> None: ...

    def add_link(self, link: SetUpLink) -> None:
        """Ends all earlier ones of the operator."""
        ...

    def link(self, digest: bytes) -> SetUpLink | None: ...
    def count_link_try(self, digest: bytes, most: int) -> int | None: ...
    def use_link(self, digest: bytes) -> bool:
        """`UPDATE … WHERE used_at IS NULL`: True for exactly one caller."""
        ...

    def add_factor(self, factor: Factor) -> None: ...
    def factors(self, operator_id: str) -> Sequence[Factor]: ...
    def factor_by_lookup(self, digest: bytes) -> Factor | None: ...
    def advance(self, factor_id: str, counter: int) -> bool: ...
    def touch_factor(self, factor_id: str) -> bool: ...

    def add_session(self, session: OperatorSession) -> None: ...
    def session(self, digest: bytes) -> OperatorSession | None: ...
    def touch(self, digest: bytes) -> None: ...
    def prove(self, digest: bytes) -> None: ...
    def end_session(self, digest: bytes) -> OperatorSession | None: ...
    def end_sessions(self, operator_id: str) -> int: ...
    def purge(self, links_before: int) -> int: ...


class Desk(Protocol):
    """Cases that wait for operators, and what was done with them."""

    def queue(self, query: QueueQuery) -> Sequence[tuple[Case, Work]]:
        """Oldest first; costs the same however long the queue is."""
        ...

    def waiting(self, most: int) -> int:
        """How many wait, counted up to `most`."""
        ...

    def by_beginning(self, beginning: str) -> str | None:
        """The one case that waits and whose id begins so; None where several do."""
        ...

    def by_ticket(self, ticket: str) -> str | None:
        """The case that somebody gave this ticket last."""
        ...

    def views(self, operator_id: str) -> Sequence[SavedView]: ...
    def save_view(self, view: SavedView) -> None:
        """Takes the place of one with the same name."""
        ...

    def remove_view(self, operator_id: str, view_id: str) -> None: ...
    def work(self, case_id: str) -> Work: ...
    def save(self, work: Work) -> None: ...
    def free(self, operator_id: str) -> int:
        """Whatever this operator has claimed nobody has any more; how many cases."""
        ...

    def add_note(self, note: DeskNote) -> None: ...
    def notes(self, case_id: str) -> Sequence[DeskNote]: ...
