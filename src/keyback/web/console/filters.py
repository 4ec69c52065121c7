"""What of the queue is shown: filters, as they stand in its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from keyback.application.ports.desk_storage import QueueQuery
from keyback.domain.operators.service_hours import ServiceHours
from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import Journey

TABS = {"": "", "mine": "", "free": "-"}
LATE = "1"


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the queue is shown; empty for all."""

    tab: str = ""
    journey: str = ""
    tier: str = ""
    late: str = ""

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Filters:
        """Those of an address; what nobody knows is left out."""
        tab, journey, tier = (asked.get(n, "") for n in ("tab", "journey", "tier"))
        return cls(
            tab if tab in TABS else "",
            journey if journey in get_args(Journey) else "",
            tier if tier in get_args(Tier) else "",
            LATE if asked.get("late") == LATE else "",
        )

    @property
    def words(self) -> str:
        """As in an address, in one form for the same filters."""
        names = ("tab", "journey", "tier", "late")
        return urlencode([(n, getattr(self, n)) for n in names if getattr(self, n)])

    def query(self, operator_id: str, hours: ServiceHours, now: int, after: tuple[int, str]) -> QueueQuery:
        """What storage is asked."""
        holder = operator_id if self.tab == "mine" else TABS[self.tab]
        journey: Any = self.journey
        tier: Any = self.tier
        return QueueQuery(holder, journey, tier, hours.late_since(now) if self.late else 0, after)
