"""What SMS may cost: a list of prefixes and budgets per day, so that nobody earns by having us send (toll fraud).

A request costs its sender nothing and us a message. Whoever owns expensive numbers, or is paid for traffic to them,
enrolls them and asks, again and again; a budget per network never sees it. So money is counted where it is spent:
by country prefix and by person (attack invariant I10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Withheld = Literal["prefix_not_allowed", "prefix_spent", "person_spent"]


@dataclass(frozen=True, slots=True)
class SpendRules:
    """Budgets for SMS.

    Args:
        prefixes: where messages may go, as `+86`; the longest one that fits a number is the one it counts for. One
            with `!` in front is shut, such as `!+1876` beside `+1`.
        daily_per_prefix: messages in 24 hours to one prefix.
        daily_per_person: messages in 24 hours to one person.
    """

    prefixes: tuple[str, ...]
    daily_per_prefix: int = 1000
    daily_per_person: int = 10


def prefix_of(number: str, rules: SpendRules) -> str | None:
    """The prefix that a number in E.164 counts for; None when no message may go there."""
    fitting = [p for p in rules.prefixes if number.startswith(p.lstrip("!"))]
    best = max(fitting, key=lambda p: len(p.lstrip("!")), default="!")
    return None if best.startswith("!") else best


def names(number: str, person_id: str, rules: SpendRules) -> Sequence[str]:
    """The counters to count up before the decision; empty when the number is refused anyway."""
    prefix = prefix_of(number, rules)
    return () if prefix is None else (f"sms/{prefix}", f"sms/p/{person_id}")


def ruling(counted: Sequence[int], rules: SpendRules) -> Withheld | None:
    """Why a message is not sent, None when it is.

    Args:
        counted: messages of the last 24 hours by the counters of `names`, this one among them.
    """
    if not counted:
        return "prefix_not_allowed"
    for_prefix, for_person = counted
    if for_person > rules.daily_per_person:
        return "person_spent"
    return "prefix_spent" if for_prefix > rules.daily_per_prefix else None
