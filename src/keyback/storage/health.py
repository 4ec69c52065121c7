"""What operations ask of a database: is its schema ours, and how much work waits in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, cast

from alembic.script import ScriptDirectory
from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import DBAPIError

from keyback.application.store import StorageDown, Tx
from keyback.storage import migrate
from keyback.storage.database import SqlDatabase
from keyback.storage.schema import installation, outbox
from keyback.storage.sql import insert_many
from keyback.storage.tx import SqlTx

PROBE = "probe"
PROBE_BYTES, LARGE_BYTES = 16, 256 * 1024
Schema = Literal["current", "older", "newer", "empty"]


def schema_of(engine: Engine) -> Schema:
    """How the database's schema relates to this version's. `newer` comes from a later version that runs beside us,
    and works: migrations only add until nobody needs the old form any more.

    Raises:
        StorageDown: the database cannot be asked.
    """
    try:
        found = migrate.current(engine)
    except DBAPIError as e:
        raise StorageDown(type(e.orig).__name__) from None
    if found is None:
        return "empty"
    if found == migrate.head():
        return "current"
    known = {r.revision for r in ScriptDirectory(str(migrate.HERE)).walk_revisions()}
    return "older" if found in known else "newer"


@dataclass(frozen=True, slots=True)
class Backlog:
    """`jobs` of the outbox by kind and state (`mail/ready`), age of the oldest waiting one, intakes not looked up."""

    jobs: dict[str, int]
    oldest_ms: int
    intakes: int


def backlog(tx: Tx) -> Backlog:
    """Work that waits, for metrics."""
    oldest = 0
    if isinstance(tx, SqlTx):
        first = tx.conn.execute(select(func.min(outbox.c.created_at)).where(outbox.c.state == "ready")).scalar()
        oldest = max(0, tx.now - first) if first is not None else 0
    return Backlog(dict(tx.outbox.depth()), oldest, tx.intakes.waiting())


async def probe(db: SqlDatabase) -> None:
    """Writes a row for real, as small as can be. After a write that found no room it has to be a large one: a small one
    may still fit where the next recovery does not.

    Raises:
        StorageFull: there is no room. `StorageDown`: the database takes no write, for whatever reason.
    """
    full = db.full
    await db.write(lambda tx: _put(cast(SqlTx, tx), LARGE_BYTES if full else PROBE_BYTES))
    if full:
        await db.write(lambda tx: _put(cast(SqlTx, tx), PROBE_BYTES))
        db.full = False


def _put(tx: SqlTx, size: int) -> None:
    # Random bytes, which no compression makes small again.
    values = {"value": os.urandom(size), "at": tx.now}
    if not tx.conn.execute(update(installation).where(installation.c.name == PROBE).values(**values)).rowcount:
        insert_many(tx.conn, installation, [{"name": PROBE, **values}], ignore=True)
