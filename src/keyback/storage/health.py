"""What operations ask of a database: is its schema ours, and how much work waits in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alembic.script import ScriptDirectory
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from keyback.application.store import StorageDown, Tx
from keyback.storage import migrate
from keyback.storage.schema import outbox
from keyback.storage.tx import SqlTx

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
