"""How old the last confirmation of a contact may be. Pure.

Numbers and mailboxes are given up and handed to somebody else, and nobody tells us. So a contact that its owner has not
confirmed for a year weighs less, and later nothing (F4, ADR 30). It hears of everything all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from keyback.domain.people.person import Contact
from keyback.domain.units import HOUR

DAY: Final = 24 * HOUR
LATE: Final = 30 * DAY  # from the reminder until it has effect
Age = Literal["fresh", "aged", "over"]


@dataclass(frozen=True, slots=True)
class Ages:
    """After how long, in ms since it was confirmed, a contact

    Args:
        remind: is asked about once.
        less: weighs less; `LATE` after that.
        nothing: weighs nothing; `LATE` after its owner was asked again.
    """

    remind: int = 365 * DAY
    less: int = 395 * DAY
    nothing: int = 760 * DAY

    @property
    def steps(self) -> tuple[int, ...]:
        """Ages at which the owner is asked."""
        return self.remind, self.nothing - LATE


def age_of(c: Contact, now: int, ages: Ages) -> Age:
    """How much a contact weighs at `now` (ms). The primary address does not age: the company runs it, and everything
    goes there."""
    since = c.confirmed_at or c.added_at
    if c.role == "primary" or not since or now - since < ages.less:
        return "fresh"
    return "aged" if now - since < ages.nothing else "over"


def living(contacts: Iterable[Contact], now: int, ages: Ages) -> tuple[Contact, ...]:
    """Those that weigh anything."""
    return tuple(c for c in contacts if age_of(c, now, ages) != "over")


def aged_ids(contacts: Iterable[Contact], now: int, ages: Ages) -> frozenset[str]:
    """Those that weigh less."""
    return frozenset(c.id for c in contacts if age_of(c, now, ages) == "aged")
