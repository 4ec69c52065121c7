"""Syncs of people by the clock: which one is due, on whichever node comes first."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from keyback.application.people.sync import BadListing, sync_people
from keyback.application.people.sync_batch import SyncRules
from keyback.application.people.sync_report import SyncReport
from keyback.application.ports.connectors import Connector, Unavailable
from keyback.application.ports.storage import Database
from keyback.application.ports.syncs import SyncBusy, SyncLost, SyncRun
from keyback.domain.units import HOUR, MINUTE

BATCH = 200  # people in one transaction: requests wait for no longer than for one of these
AGAIN = 15 * MINUTE  # after one that broke off


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which systems are synced, and how often.

    Args:
        every_ms: from the start of one sync to that of the next.
    """

    systems: Sequence[str] = ()
    every_ms: int = 24 * HOUR
    rules: SyncRules = field(default_factory=SyncRules)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a sync of one system ended. `code` says why it broke off; empty where it did not."""

    system: str
    report: SyncReport | None
    code: str = ""


def due(schedule: Schedule, runs: Mapping[str, SyncRun], now: int) -> Iterator[str]:
    """Systems whose sync is due. One that broke off is gone on with; one that runs is left alone until its lease ends.

    Args:
        now: ms.
    """
    for system in schedule.systems:
        run = runs.get(system)
        if run is None:
            yield system
        elif run.state == "running":
            if run.lease_until <= now:
                yield system
        elif run.state == "broken":
            if now - run.ended_at >= min(AGAIN, schedule.every_ms):
                yield system
        elif now - run.started_at >= schedule.every_ms:
            yield system


async def sync_next(db: Database, connectors: Mapping[str, Connector], schedule: Schedule) -> Ended | None:
    """Syncs the first system that is due; None where none is, or another node was faster.

    Raises:
        StorageDown: the database is away; the run is gone on with later.
    """
    now, runs = await db.read(lambda tx: (tx.now, {run.system: run for run in tx.syncs.runs()}))
    for system in due(schedule, runs, now):
        try:
            report = await sync_people(
                db, connectors[system], secrets.token_urlsafe(16), schedule.rules, full=False, batch_size=BATCH
            )
        except (SyncBusy, SyncLost):
            continue
        except (Unavailable, BadListing) as e:
            return Ended(system, None, e.code)
        return Ended(system, report)
    return None
