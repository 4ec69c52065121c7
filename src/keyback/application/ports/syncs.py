"""What a sync of people from a system keeps in the database: who runs, whom a run has met, and links to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from keyback.domain.people.person import AccountState, PersonState

RunState = Literal["running", "done", "held", "broken"]
LinkState = Literal["open", "rejected"]
LinkReason = Literal["mail", "username"]


@dataclass(frozen=True, slots=True)
class SyncRun:
    """The newest run for one system.

    Args:
        generation: goes up with every run that begins from the start; accounts carry that of the run that met them.
        state: `held`: everything was written, but nobody was switched off, since too many would have been.
        live: how many accounts were not switched off when it began.
        code: why it broke, one of the codes of `connectors.Outcome`.
        done_at: ms; when the last one ended well.
        lease_until: ms; while it runs, nobody else may.
        resumed: it goes on with what an earlier one, which broke, had begun.
        cursor: the mark (`connectors.Connector.mark`) from which what changed since the last run that ended well is
            asked for; empty for none.
        full_at: ms; when the last run over the whole list began that ended well.
    """

    system: str
    generation: int
    state: RunState
    started_at: int
    ended_at: int = 0
    lease_until: int = 0
    done_at: int = 0
    live: int = 0
    code: str = ""
    counts: Mapping[str, int] | None = None
    resumed: bool = False
    cursor: str = ""
    full_at: int = 0


class SyncBusy(Exception):
    """Somebody else syncs this system, or did until a moment ago; `until` (ms) at the latest."""

    def __init__(self, until: int) -> None:
        super().__init__(str(until))
        self.until = until


class SyncLost(Exception):
    """The lease ran out, and somebody else has taken the run up."""


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account of one system that the database has, with whose it is.

    Args:
        key: of its person.
        generation: of the run that met it last; 0 for one that no run has met.
    """

    id: str
    external_id: str
    username: str
    canonical: str
    state: AccountState
    generation: int
    person_id: str
    key: str
    person_state: PersonState
    manager: str = ""


@dataclass(frozen=True, slots=True)
class PersonLink:
    """An account that may be somebody's whom we know; until an operator has looked, nobody can recover it.

    Args:
        person_id: who that may be; empty where there are several.
        reason: what they have in common.
    """

    id: str
    system: str
    external_id: str
    username: str
    name: str
    mail: str
    privileged: bool
    provider: str
    person_id: str
    reason: LinkReason
    state: LinkState
    generation: int
    created_at: int


class Syncs(Protocol):
    """Rows of runs and of doubtful links."""

    def run(self, system: str) -> SyncRun | None: ...
    def runs(self) -> Sequence[SyncRun]: ...
    def begin(self, system: str, owner: str, lease_ms: int, resume_ms: int) -> SyncRun:
        """Takes the lease; goes on with a run that broke less than `resume_ms` ago. Raises `SyncBusy`."""
        ...

    def renew(self, system: str, owner: str, lease_ms: int) -> None:
        """Raises `SyncLost` when somebody else has it; nothing else of the transaction must be kept then."""
        ...

    def put_mark(self, system: str, mark: str) -> None:
        """The mark of the run that has just begun; `end` makes it the cursor. A run that is gone on with keeps its
        first one, since what it had read by then it does not read again."""
        ...

    def end(
        self, system: str, owner: str, state: RunState, code: str, counts: Mapping[str, int], *, full: bool = True
    ) -> None: ...
    def known(self, system: str, external_ids: Sequence[str]) -> Mapping[str, KnownAccount]: ...
    def named(self, system: str, canonicals: Sequence[str]) -> Mapping[str, KnownAccount]:
        """Accounts by the canonical form of their user names."""
        ...

    def keys(self, person_ids: Sequence[str]) -> Mapping[str, str]:
        """By what an import or a sync knows these people."""
        ...

    def of_people(self, system: str, person_ids: Sequence[str]) -> Sequence[KnownAccount]: ...
    def release_names(self, accounts: Sequence[KnownAccount]) -> None:
        """Takes user names from accounts that have another one by now, or are gone, so that others may have them. They
        are off until they are written again."""
        ...

    def renumber(self, account_id: str, external_id: str) -> None: ...
    def put_managers(self, system: str, managers: Mapping[str, str], *, ago: int = 0) -> None:
        """By the external ids of both; empty for nobody.

        Args:
            ago: how long they have been so before this transaction (ms).
        """
        ...

    def met(self, system: str, external_ids: Sequence[str], generation: int) -> None: ...
    def live(self, system: str) -> int:
        """How many accounts of a system are not switched off."""
        ...

    def live_accounts(self, system: str, after: str, limit: int) -> Sequence[KnownAccount]:
        """These accounts, by id, from behind `after`."""
        ...

    def missing(self, system: str, generation: int, limit: int) -> Sequence[KnownAccount]:
        """Those of them that some run has met or listed without access, and this one has not met."""
        ...

    def count_missing(self, system: str, generation: int) -> int: ...
    def switch_off(self, accounts: Sequence[KnownAccount], people: Sequence[str]) -> None:
        """These accounts, and people of these ids; pending links of all their people end."""
        ...

    # ── doubtful links ──

    def links(self, system: str = "", state: LinkState | None = "open") -> Sequence[PersonLink]: ...
    def link(self, link_id: str) -> PersonLink | None: ...
    def links_of(self, system: str, external_ids: Sequence[str]) -> Mapping[str, PersonLink]: ...
    def put_links(self, links: Sequence[PersonLink]) -> None:
        """Writes them; one that is there already for the same account gets the new facts and keeps id and state."""
        ...

    def reject_link(self, link_id: str) -> None: ...
    def drop_links(self, system: str, external_ids: Sequence[str]) -> None: ...
    def drop_old_links(self, system: str, generation: int) -> None:
        """Those that this run has not met any more."""
        ...
