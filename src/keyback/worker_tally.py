"""What a worker counts, for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from keyback.application.throttling.mail_quota import Reason

log = structlog.get_logger("keyback.worker")


@dataclass
class Tally:
    """What this worker did, for metrics."""

    intakes: int = 0
    ghosts: int = 0
    mails_withheld: dict[str, int] = field(default_factory=lambda: {"person": 0, "address": 0, "installation": 0})
    messages: dict[str, int] = field(default_factory=lambda: {"sent": 0, "again": 0, "dropped": 0})
    texts_withheld: dict[str, int] = field(default_factory=dict)
    applies: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    names: dict[str, int] = field(default_factory=lambda: {"failing": 0, "locked": 0})

    @property
    def withheld(self) -> int:
        return sum(self.mails_withheld.values())

    def withhold(self, counts: Mapping[Reason, int]) -> None:
        for why, n in counts.items():
            self.mails_withheld[why] += n
        if counts.get("installation"):
            log.warning("mail_quota_spent", withheld=counts["installation"])
