"""Messages by channel and day, counted as they are marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import tzinfo

from keyback.application.ports.reports import Key
from keyback.application.ports.storage import Job, Tx
from keyback.application.reports.fold import day_of
from keyback.domain.units import MINUTE


def count(tx: Tx, sent: Sequence[Job], failed: Sequence[Job], channels: Mapping[str, str], zone: tzinfo) -> None:
    """Counts what a batch of messages came to: handed over within a minute of when they were due to be, later, or given
    up. What is tried again is counted once it is one of these.

    Args:
        channels: of each job whose message could be written.
        zone: by whose clock days begin.
    """
    day, found = day_of(tx.now, zone), Counter[Key]()
    for how, jobs in (("sent", sent), ("failed", failed)):
        for job in jobs:
            late = tx.now - max(job.created_at, job.turn) > MINUTE
            what = how if how == "failed" else "late" if late else "in_time"
            if job.id in channels:
                found[day, "deliveries", f"{channels[job.id]}/{what}"] += 1
    tx.reports.add(found)
