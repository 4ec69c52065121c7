"""Campaigns: many people are asked to renew their passwords. How they go on, and how fast.

`listing → collecting → drafted → running ⇄ paused → done`; a draft may be `declined`, and everything that has
not ended `stopped`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from keyback.domain.people.person import Tier
from keyback.domain.units import HOUR, MINUTE

CampaignState = Literal["listing", "collecting", "drafted", "running", "paused", "done", "declined", "stopped"]
CampaignAct = Literal["listed", "collected", "approve", "decline", "pause", "resume", "stop", "finish"]
CampaignReason = Literal["incident", "leak", "old", "policy"]
Obstacle = Literal["", "own_work", "wrong_state", "changed"]
NEXT: Mapping[tuple[CampaignState, CampaignAct], CampaignState] = MappingProxyType(
    {
        ("listing", "listed"): "collecting",
        ("listing", "stop"): "stopped",
        ("collecting", "collected"): "drafted",
        ("collecting", "stop"): "stopped",
        ("drafted", "approve"): "running",
        ("drafted", "decline"): "declined",
        ("drafted", "stop"): "stopped",
        ("running", "pause"): "paused",
        ("running", "stop"): "stopped",
        ("running", "finish"): "done",
        ("paused", "resume"): "running",
        ("paused", "stop"): "stopped",
    }
)
MAX_PACE = 60_000  # people a minute
DAY_MINUTES = 24 * 60
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Selection:
    """Who is meant; everything that is given has to be true of a person. Nothing given: everybody.

    Args:
        system: they have an account there.
        tier: and are of this tier.
        older_days: and have a password that is at least this old, or of which nobody knows how old it is; 0: any.
        listed: only people of a list that was given.
        group: and are in this group, as somebody wrote it (`domain.people.groups`).
    """

    system: str = ""
    tier: Tier | Literal[""] = ""
    older_days: int = 0
    listed: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True)
class Pacing:
    """How fast people are asked, and when.

    Args:
        per_minute: people; 0: as fast as mail goes out.
        quiet_from, quiet_until: minutes of the day between which nobody is asked; equal: always somebody.
    """

    per_minute: int = 0
    quiet_from: int = 0
    quiet_until: int = 0

    def quiet(self, minute: int) -> bool:
        """Whether nobody is asked in this minute of the day; the quiet time may go over midnight."""
        a, b = self.quiet_from, self.quiet_until
        return a <= minute < b if a <= b else minute >= a or minute < b

    def allowance(self, since: int, now: int, most: int) -> tuple[int, int]:
        """How many may be asked now, at most `most`, and the instant (ms) up to which that uses up time.

        Time that nobody used is kept for a minute, so that nothing piles up over a pause.
        """
        if not self.per_minute:
            return most, now
        since = max(since, now - MINUTE)
        n = min((now - since) * self.per_minute // MINUTE, most)
        return n, since + -(-n * MINUTE // self.per_minute)


def after(state: CampaignState, act: CampaignAct) -> CampaignState | None:
    """The state that an act leads to; None where it cannot be done."""
    return NEXT.get((state, act))


def obstacle(state: CampaignState, act: CampaignAct, *, drafted_by: str, by: str, version: int, seen: int) -> Obstacle:
    """What keeps an operator from an act; empty for nothing.

    `own_work`: nobody approves what they drafted. `changed`: it is not what their page showed.
    """
    if (state, act) not in NEXT:
        return "wrong_state"
    if act == "approve" and version != seen:
        return "changed"
    return "own_work" if act == "approve" and by == drafted_by else ""
