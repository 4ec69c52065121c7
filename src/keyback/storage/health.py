"""What operations ask of a database: is its schema ours, and how much work waits in it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.exc import DBAPIError

from keyback.application.audit_log import log_of
from keyback.application.ports.storage import StorageDown, Tx
from keyback.application.throttling.mail_quota import ALL, ALL_OWN
from keyback.storage import migrate
from keyback.storage.database import SqlDatabase
from keyback.storage.sql.schema import installation, outbox
from keyback.storage.sql.statements import insert_many
from keyback.storage.tx import SqlTx

PROBE = "probe"
PROBE_BYTES, LARGE_BYTES = 16, 256 * 1024
ENCODING = (
    "the database's encoding is {}, which cannot hold every name. "
    "Make one with: createdb --encoding=UTF8 --template=template0 NAME"
)
RIGHTS = (
    "the database user {user} may not create tables. As the database's owner run: "
    'GRANT USAGE, CREATE ON SCHEMA {schema} TO "{user}"'
)
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
    return "older" if migrate.knows(found) else "newer"


def unfit(engine: Engine, *, to_migrate: bool) -> str | None:
    """Why a database will not do, whatever is in it: its encoding, or what its user may do; None if it will.

    Args:
        to_migrate: tables are still to be made.

    Raises:
        StorageDown: the database cannot be asked.
    """
    if engine.dialect.name != "postgresql":
        return None
    asked = "SELECT current_setting('server_encoding'), current_user, s, has_schema_privilege(s, 'CREATE')"
    try:
        with engine.connect() as conn:
            encoding, user, schema, may = conn.execute(text(f"{asked} FROM current_schema() AS s")).one()
    except DBAPIError as e:
        raise StorageDown(type(e.orig).__name__) from None
    if encoding != "UTF8":
        return ENCODING.format(encoding)
    return None if may or not to_migrate else RIGHTS.format(user=user, schema=schema or "public")


def sqlite_version() -> str:
    """Of the library that comes with this Python."""
    return sqlite3.sqlite_version


def server_of(engine: Engine) -> str:
    """What database it is, with its version, such as `postgresql 15.14`.

    Raises:
        StorageDown: the database cannot be asked.
    """
    try:
        with engine.connect() as conn:
            found = engine.dialect.server_version_info or conn.exec_driver_sql("SELECT sqlite_version()").scalar_one()
    except DBAPIError as e:
        raise StorageDown(type(e.orig).__name__) from None
    return f"{engine.dialect.name} {found if isinstance(found, str) else '.'.join(map(str, found))}"


@dataclass(frozen=True, slots=True)
class Backlog:
    """`jobs` of the outbox by kind and state (`mail/ready`), age of the oldest waiting one, intakes not looked up and
    the age of the oldest, mails asked for in the hour under way, by whom, and of each system that people are synced
    from how long ago that last went well (ms), and whether the newest sync did not. `webhooks`: how many events
    wait, how many were given up, and how many receivers take none. `siem`: how many wait for the SIEM,
    how many were left out, and whether it takes none."""

    jobs: dict[str, int]
    oldest_ms: int
    intakes: int
    oldest_intake_ms: int = 0
    mails_asked: Mapping[str, int] = field(default_factory=dict)
    syncs: Mapping[str, tuple[int, bool]] = field(default_factory=dict)
    webhooks: tuple[int, int, int] = (0, 0, 0)
    siem: tuple[int, int, bool] = (0, 0, False)


def backlog(tx: Tx) -> Backlog:
    """Work that waits, for metrics."""
    oldest = 0
    if isinstance(tx, SqlTx):
        first = tx.conn.execute(select(func.min(outbox.c.created_at)).where(outbox.c.state == "ready")).scalar()
        oldest = max(0, tx.now - first) if first is not None else 0
    asked = tx.intakes.oldest()
    late = max(0, tx.now - asked) if asked is not None else 0
    mails = {asker: tx.counters.get(key).hour_even for asker, key in (("stranger", ALL), ("own", ALL_OWN))}
    syncs = {
        run.system: (max(0, tx.now - (run.done_at or run.started_at)), run.state in ("broken", "held"))
        for run in tx.syncs.runs()
    }
    return Backlog(dict(tx.outbox.depth()), oldest, tx.intakes.waiting(), late, mails, syncs, _webhooks(tx), _siem(tx))


def _webhooks(tx: Tx) -> tuple[int, int, int]:
    undelivered = tx.webhooks.undelivered().values()
    failing = sum(r.state == "off" or r.failures > 0 for r in tx.webhooks.listed())
    return sum(u.ready for u in undelivered), sum(u.dead for u in undelivered), failing


def _siem(tx: Tx) -> tuple[int, int, bool]:
    position = tx.siem.position()
    if position is None:
        return (0, 0, False)
    return log_of(tx).head()[0] - position.read_to, position.skipped, position.failures > 0


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
