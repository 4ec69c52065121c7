"""What use cases ask of storage about campaigns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from keyback.domain.operators.campaigns import CampaignReason, CampaignState, Pacing, Selection

Standing = Literal["waiting", "queued", "sent", "failed", "gone", "unreachable", "elsewhere"]
"""How far a campaign is with one person. Set when they are collected: `waiting`, `unreachable` (no confirmed mailbox),
or `elsewhere` (every password of theirs lives with another sign-in). Then: `queued` in the outbox, `sent` to the relay,
`failed` for good, or `gone` (switched off, or their mailbox was, or the campaign was stopped)."""
Outcome = Literal["", "opened", "recovered", "ended"]
"""What they did since: began a recovery, finished it, or let it end without."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign. Instants are ms.

    Args:
        name: what its operators call it; untrusted text, in no message.
        end_sessions: whoever is asked is signed out of Keyback.
        must_renew: their password for our own sign-in is then good only for choosing another one.
        given, unknown: of a list: lines, and those that nobody is known by.
        cursor: up to which person it is collected.
        paced_at: up to when its pace is used up.
        looked_at: up to when recoveries were counted.
        version: goes up with every act; an approval is of one.
        paused_by: who paused it last; a program resumes only what it paused itself.
    """

    id: str
    name: str
    state: CampaignState
    reason: CampaignReason
    selection: Selection
    pacing: Pacing
    end_sessions: bool
    drafted_by: str
    drafted_at: int
    decided_by: str = ""
    decided_at: int = 0
    ended_at: int = 0
    given: int = 0
    unknown: int = 0
    cursor: str = ""
    paced_at: int = 0
    looked_at: int = 0
    version: int = 1
    must_renew: bool = False
    paused_by: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many people a campaign has by standing, outcome and whether they are privileged."""

    rows: Mapping[tuple[Standing, Outcome, bool], int] = field(default_factory=dict)

    def of(self, *standings: Standing, privileged: bool | None = None) -> int:
        """People of these standings; all where none is given."""
        return sum(
            n for (s, _, p), n in self.rows.items() if (not standings or s in standings) and privileged in (None, p)
        )

    def did(self, *outcomes: Outcome) -> int:
        """People with these outcomes who were asked."""
        return sum(n for (s, o, _), n in self.rows.items() if o in outcomes and s in ("queued", "sent", "failed"))


class Campaigns(Protocol):
    def add(self, campaign: Campaign) -> None: ...
    def get(self, campaign_id: str, *, lock: bool = False) -> Campaign | None: ...
    def listed(self, limit: int, after: tuple[int, str] | None = None) -> Sequence[Campaign]:
        """The newest first, behind (drafted_at, id)."""
        ...

    def live(self) -> bool:
        """Whether any campaign is being collected, or runs."""
        ...

    def take(self, state: CampaignState, but: Collection[str] = ()) -> Campaign | None:
        """One of this state, but none of those, that no other worker has in its hands, locked until the commit; the
        one that waited longest."""
        ...

    def looking(self, ended_since: int) -> Sequence[Campaign]:
        """Those whose people are watched: they run, or ended lately."""
        ...

    def save(self, campaign: Campaign) -> None:
        """Callers have locked it."""
        ...

    def add_people(self, campaign_id: str, person_ids: Sequence[str]) -> int:
        """Puts people of a list in; how many were new. They are `waiting` until `sort` looked at them."""
        ...

    def collect(self, campaign: Campaign, now: int, limit: int) -> str:
        """Puts in, or of a list sorts, whoever is meant among the next `limit` people behind `cursor`.

        Returns:
            The new cursor; empty at the end.
        """
        ...

    def waiting(self, campaign_id: str, limit: int) -> Sequence[str]:
        """The next people to ask, in the order of ids."""
        ...

    def queued(self, campaign_id: str, most: int) -> int:
        """How many of its messages wait in the outbox, counted up to `most`."""
        ...

    def mark(self, campaign_id: str, person_ids: Sequence[str], standing: Standing, *, at: int = 0) -> int:
        """Moves people on: `waiting` to any standing, `queued` to what became of the message. Others stay."""
        ...

    def note_open(self, campaign_id: str, cases: Mapping[str, str]) -> None:
        """Notes cases that people had open when they were asked, by person."""
        ...

    def note_opened(self, campaign: Campaign, limit: int) -> int:
        """Counts recoveries that its people began since `looked_at`; the instant up to which it looked."""
        ...

    def note_finished(self, campaign_id: str, limit: int) -> int:
        """Counts what became of those; how many."""
        ...

    def tally(self, campaign_id: str) -> Tally: ...
    def purge(self, before: int) -> int:
        """Forgets who was in campaigns that ended before an instant; their totals stay."""
        ...
