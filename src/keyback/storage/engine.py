"""Engines for both databases: how connections are made, found dead, and given up."""

from __future__ import annotations

import select
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

from keyback.outbound.watchdog import Watchdog
from keyback.storage.sql.statements import plan_by_index, roll_back_quietly

READERS = 4
# How a PostgreSQL that is gone without a word is noticed: seconds, but for `tcp_user_timeout` in ms. What the address
# of the database says itself stays.
LIVELY = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# What the server ends by itself where people wait for answers (ms): waits for a lock, statements, and transactions
# whose client has vanished while it held locks.
BOUNDED = {"lock_timeout": 5_000, "statement_timeout": 12_000, "idle_in_transaction_session_timeout": 30_000}


def make_engine(url: str, *, readers: int = READERS, watchdog: Watchdog | None = None) -> Engine:
    """An engine with explicit transactions, for `sqlite:///path` or `postgresql://…`.

    Args:
        readers: connections for reading, which are kept, as two for writing are; one more is for all else.
        watchdog: bounds the time of what is done over its connections; None waits as long as it takes.
    """
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+psycopg://" + url.split("://", 1)[1]
    return _sqlite(url, readers) if url.startswith("sqlite") else _postgres(url, readers, watchdog)


def lively(url: str) -> dict[str, int]:
    """Arguments for connections to PostgreSQL, without those that the address names itself."""
    named = make_url(url).query
    return {k: v for k, v in LIVELY.items() if k not in named}


def _sqlite(url: str, readers: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=url.removeprefix("sqlite:///")),  # a path is a path: `?` asks for nothing
        poolclass=QueuePool,
        pool_size=readers + 3,
        connect_args={"check_same_thread": False, "timeout": 10},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _pragmas(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            dbapi.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("writes") else "BEGIN")

    return engine


def _postgres(url: str, readers: int, watchdog: Watchdog | None) -> Engine:
    # Errors must not quote what was to be stored (INV-I4), hence hide_parameters.
    engine = create_engine(
        url, pool_size=readers + 3, pool_timeout=5, connect_args=lively(url), hide_parameters=True
    )  # fmt: skip
    event.listen(engine, "connect", plan_by_index)
    event.listen(engine, "rollback", roll_back_quietly)

    @event.listens_for(engine, "checkout")
    def _alive(dbapi: Any, _record: Any, _proxy: Any) -> None:
        if stale(dbapi):
            raise DisconnectionError
        if watchdog is not None:
            watchdog.attach(dbapi.fileno())

    if watchdog is not None:

        def bound(dbapi: Any, _record: Any) -> None:
            watchdog.attach(dbapi.fileno())  # before the first statement, which may be the one without an answer
            dbapi.autocommit = True
            dbapi.execute("; ".join(f"SET {name} = {ms}" for name, ms in BOUNDED.items()))
            dbapi.autocommit = False

        event.listen(engine, "connect", bound, insert=True)
    return engine


def stale(dbapi: Any) -> bool:
    """Whether a resting connection to PostgreSQL was ended by the other side: then there is something to read, which
    there never is otherwise. Costs no way to the database and back, as a ping would."""
    if dbapi.closed:
        return True
    poll = select.poll()
    poll.register(dbapi.fileno(), select.POLLIN | select.POLLPRI)
    return bool(poll.poll(0))
