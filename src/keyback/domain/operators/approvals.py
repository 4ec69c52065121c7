"""Who may decide a recovery that waits for approval: never alone where much is at stake, never on an old version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from keyback.domain.operators.roles import Operator
from keyback.domain.people.person import Tier

EYES: Mapping[Tier, Literal[2, 4]] = MappingProxyType({"standard": 2, "mfa": 2, "privileged": 4})
"""Two eyes: one operator decides. Four: one recommends, and another decides."""
FRESH_MS = 5 * 60_000
"""For how long after a step-up an operator may decide."""
Obstacle = Literal["", "own_work", "not_recommended", "changed"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What one operator put before another: this page of this version of the case."""

    operator_id: str
    page: str
    version: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What an operator has before them when they decide.

    Args:
        version: of the case, as the page showed it.
        page: whose evidence is approved.
        worked_by: operators who claimed the case, or recommended it, at any time.
    """

    tier: Tier
    version: int
    page: str
    worked_by: frozenset[str] = frozenset()
    recommended: Recommendation | None = None


def obstacle_to_approval(actor: Operator, decision: Decision, current_version: int) -> Obstacle:
    """What keeps an operator from approving; empty for nothing.

    `own_work`: whoever worked on a case does not approve it, whatever the tier. `not_recommended`: the tier wants four
    eyes, and nobody has recommended what is on the page now. `changed`: the case is not what the page showed.
    """
    if decision.version != current_version:
        return "changed"
    if actor.id in decision.worked_by:
        return "own_work"
    if EYES[decision.tier] == 4:
        r = decision.recommended
        if r is None or (r.page, r.version) != (decision.page, current_version):
            return "not_recommended"
        if r.operator_id == actor.id:
            return "own_work"
    return ""


def obstacle_to_completion(actor: Operator, tier: Tier, first_by: str) -> Literal["", "second_needed", "own_work"]:
    """What keeps an operator from closing a task as done; empty for nothing.

    `second_needed`: the tier wants four eyes, so what they say is kept until a second operator says so too. `own_work`:
    they are the first one.
    """
    if EYES[tier] == 2:
        return ""
    if not first_by:
        return "second_needed"
    return "own_work" if first_by == actor.id else ""
