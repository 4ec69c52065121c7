"""What the worker does for reports: folds new audit rows, and looks at the queue and, once a night, at everybody."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from keyback.application.audit_log import log_of
from keyback.application.policy.coverage import Offer, census
from keyback.application.ports.desk_storage import QueueQuery
from keyback.application.ports.reports import Key
from keyback.application.ports.storage import Database, Tx
from keyback.application.reports.fold import day_of, fold, named_in
from keyback.domain.units import HOUR, MINUTE

PIECE = 2000  # audit rows in one transaction
CENSUS_LEASE = HOUR
NIGHT = range(1, 5)  # hours of the company's time zone
FOLLOWED = 60 * 24 * HOUR  # for which a recovery may go on


async def step(db: Database, zone: tzinfo = UTC) -> int:
    """Figures of the next audit rows; how many rows. 0: there are none now, or another worker is at it."""
    if not await db.read(_behind):
        return 0
    return await db.write(lambda tx: fold_next(tx, zone))


def _behind(tx: Tx) -> bool:
    return log_of(tx).head()[0] > (tx.reports.place() or 0)


def fold_next(tx: Tx, zone: tzinfo = UTC, limit: int = PIECE) -> int:
    """One piece, under the lock of its place: a crash leaves all of it or nothing, so that each row counts once."""
    place = tx.reports.begin()
    if place is None:
        return 0
    rows = log_of(tx).rows(place, limit)
    if not rows:
        return 0
    done = fold(rows, tx.reports.followed(*named_in(rows)), zone)
    tx.reports.save(int(rows[-1]["seq"]), done.figures, list(done.kept.values()), sorted(done.over))
    return len(rows)


def look_at_queue(tx: Tx, zone: tzinfo = UTC) -> None:
    """The age of the oldest case that waits for an operator, in minutes: the highest of the day."""
    tx.reports.purge(tx.now - FOLLOWED)
    oldest = next(iter(tx.desk.queue(QueueQuery(limit=1))), None)
    age = (tx.now - oldest[0].opened_at) // MINUTE if oldest else 0
    tx.reports.raise_to((day_of(tx.now, zone), "oldest_case", "minutes"), age)


async def look_at_everybody(db: Database, offer: Offer, zone: tzinfo = UTC) -> bool:
    """How people would get back in, once a night; whether this worker did it. One that breaks off is done again later.

    All people are read for it, so it waits for the hours in which fewest of them want something (`NIGHT`).
    """
    now = await db.read(lambda tx: tx.now)
    if datetime.fromtimestamp(now / 1000, zone).hour not in NIGHT:
        return False
    day = day_of(now, zone)
    name = f"census/{day}"
    if await db.read(lambda tx: tx.reports.place(name)) == 0 or not await db.write(
        lambda tx: tx.reports.lease(name, tx.now + CENSUS_LEASE)
    ):
        return False
    found = await census(db, offer, listed=0)
    figures: dict[Key, int] = {(day, "ways_back", str(way)): n for way, n in found.ways.items()}
    await db.write(lambda tx: tx.reports.finish(name, figures))
    return True
