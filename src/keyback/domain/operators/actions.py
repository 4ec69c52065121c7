"""What operators do about a person beside deciding recoveries, and when one of them is not enough: pure functions.

What only takes something away is done at once: a thief in an account waits for nobody. What lets somebody in, or lets
them in sooner, takes four eyes where the tier says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

from keyback.domain.operators.approvals import EYES
from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import Holds, Journey
from keyback.domain.units import HOUR

ActionKind = Literal["start", "unlock", "hold", "lock", "end_sessions", "cancel", "new_link"]
KINDS: Final[tuple[ActionKind, ...]] = tuple(k for k in get_args(ActionKind) if k != "new_link")
"""What is done about people; `new_link` is for operators themselves, by `application.desk.new_links`."""
LETS_IN: Final[frozenset[ActionKind]] = frozenset({"start", "unlock", "hold"})
STARTABLE: Final[tuple[Journey, ...]] = ("password", "locked", "second_factor", "mailbox")
RENEWS: Final[Mapping[Journey, str]] = MappingProxyType(
    {"password": "password", "second_factor": "second_factor", "mailbox": "mailbox"}
)
"""What a recovery of each kind renews; one that only unlocks renews nothing."""
ACTION_LIFE = 24 * HOUR  # for the second operator
START_LIFE = 24 * HOUR  # of the link by which a person goes on
LEAST_BETWEEN = 24 * HOUR  # two things of one person, whatever the holds of a policy are
MOST_LONGER = 7 * 24 * HOUR  # beyond the end that the policy set
STARTS_A_DAY = 3  # for one person: more would fill their mailbox
PAIR_A_DAY = 5  # what one asks for and the same other approves; from here on security officers hear of the two


def needs_second(kind: ActionKind, tier: Tier) -> bool:
    """Whether a second operator has to approve it."""
    return kind in LETS_IN and EYES[tier] == 4


def between(holds: Holds, tier: Tier) -> int:
    """How long after one thing was started for somebody another one may be (ms)."""
    return max(LEAST_BETWEEN, holds.proofing * (2 if tier == "privileged" else 1))


def renews_another(journey: Journey, earlier: Iterable[tuple[Journey, int]], now: int, wait: int) -> bool:
    """One call, one thing: whether operators started something else for this person so short a time ago that one caller
    would have both.

    Args:
        earlier: (what was started, when in ms).
        wait: ms, of `between`.
    """
    thing = RENEWS.get(journey)
    return bool(thing) and any(RENEWS.get(j) not in (None, thing) and now < at + wait for j, at in earlier)


def hold_fits(until: int, set_by_policy: int) -> bool:
    """Whether a hold may end at `until` (ms): never sooner than the policy set, and not forever."""
    return set_by_policy <= until <= set_by_policy + MOST_LONGER
