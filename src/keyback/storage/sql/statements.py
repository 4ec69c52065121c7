"""Small SQL helpers that both databases share."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from keyback.storage.sql.direct import many, run, wrapped
from keyback.storage.wakes import CHANNEL

Row = dict[str, Any]
INTRANS, INERROR = 2, 3  # `PGTransactionStatusType`
PREPARED = 300  # statements that a connection keeps prepared


@lru_cache(maxsize=64)
def _insert_sql(table: Table, columns: tuple[str, ...], pg: bool, ignore: bool, notify: str) -> str:
    names = ", ".join(columns)
    tail = " ON CONFLICT DO NOTHING" if ignore else ""
    if pg:
        sql = f"INSERT INTO {table.name} ({names}) SELECT * FROM {_records(table, columns)}{tail}"  # noqa: S608 - our own names
        return f"WITH added AS ({sql}) SELECT pg_notify('{CHANNEL}', '{notify}')" if notify else sql
    marks = ", ".join("?" for _ in columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks}){tail}"  # noqa: S608 - our own names


@lru_cache(maxsize=64)
def _update_sql(table: Table, columns: tuple[str, ...], keys: tuple[str, ...], pg: bool) -> str:
    if pg:
        what = ", ".join(f"{c} = new.{c}" for c in columns)
        which = " AND ".join(f"{table.name}.{k} = new.old_{k}" for k in keys)
        return f"UPDATE {table.name} SET {what} FROM {_records(table, columns, keys)} WHERE {which}"  # noqa: S608
    what = ", ".join(f"{c} = ?" for c in columns)
    which = " AND ".join(f"{k} = ?" for k in keys)
    return f"UPDATE {table.name} SET {what} WHERE {which}"  # noqa: S608 - our own names


def _records(table: Table, columns: tuple[str, ...], keys: tuple[str, ...] = ()) -> str:
    """Rows out of one JSON parameter, which psycopg encodes faster than an array for each column."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = {c: table.c[c].type.compile(dialect) for c in (*columns, *keys)}
    base = {c: "text" if t.startswith("VARCHAR") else t.lower() for c, t in types.items()}
    shape = [f"{c} {base[c]}" for c in columns] + [f"old_{k} {base[k]}" for k in keys]
    return f"json_to_recordset(%s::json) AS new({', '.join(shape)})"


def _json(rows: Sequence[Row]) -> str:
    return json.dumps(rows, separators=(",", ":"), default=_hex)


def _hex(value: object) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()  # how PostgreSQL reads bytea
    raise TypeError(type(value).__name__)


def plan_by_index(dbapi: Any, _record: object = None) -> None:
    """Has a new PostgreSQL connection go by index wherever there is one.

    Plans are kept, foreign keys' among them: one that was made while a table was empty would go on to read all of it
    for every row. `jit` goes too, as such plans look expensive to PostgreSQL before 18.
    """
    dbapi.prepared_max = PREPARED
    dbapi.autocommit = True
    dbapi.execute("SET enable_seqscan = off; SET jit = off")
    dbapi.autocommit = False


def next_savepoint(conn: Connection, *, first: bool) -> None:
    """What comes after can be undone by itself; what came before, no longer. The last one ends with the commit."""
    if conn.dialect.name == "postgresql":
        run(conn, "SAVEPOINT w" if first else "RELEASE SAVEPOINT w; SAVEPOINT w")
        return
    if not first:
        run(conn, "RELEASE SAVEPOINT w")
    run(conn, "SAVEPOINT w")


def back_to_savepoint(conn: Connection) -> None:
    """Undoes what came after the savepoint.

    Not by psycopg's cursor: it forgets all prepared statements of a connection when it sees a ROLLBACK, and everything
    after one would be parsed and planned again. The server keeps them, whatever is rolled back.
    """
    if conn.dialect.name != "postgresql":
        run(conn, "ROLLBACK TO SAVEPOINT w")
        return
    import psycopg  # an extra that SQLite does without

    result = conn.connection.dbapi_connection.pgconn.exec_(b"ROLLBACK TO SAVEPOINT w")  # type: ignore[union-attr]
    if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
        error = psycopg.OperationalError(result.get_error_message())
        raise wrapped(conn, None, "ROLLBACK TO SAVEPOINT", error)


def roll_back_quietly(conn: Connection) -> None:
    """Rolls a PostgreSQL transaction back before SQLAlchemy does, which then finds nothing to do: as above."""
    dbapi: Any = None if conn.invalidated else conn.connection.dbapi_connection
    if dbapi is not None and not dbapi.closed and dbapi.pgconn.transaction_status in (INTRANS, INERROR):
        dbapi.pgconn.exec_(b"ROLLBACK")


@contextlib.contextmanager
def in_order(conn: Connection) -> Iterator[None]:
    """Has PostgreSQL go along an index for `ORDER BY … LIMIT`, in this block of a transaction. Where many rows came a
    moment ago, it thinks that there are few, and would read and sort all that wait."""
    if conn.dialect.name != "postgresql":
        yield
        return
    run(conn, "SET LOCAL enable_sort = off")
    yield
    run(conn, "SET LOCAL enable_sort = on")


def insert_many(conn: Connection, table: Table, rows: Sequence[Row], *, ignore: bool = False, notify: str = "") -> None:
    """Inserts rows of equal shape in one statement: a JSON parameter on PostgreSQL, executemany on SQLite.

    Args:
        ignore: leave rows out whose key is there already.
        notify: payload to announce them with, in the same statement (PostgreSQL).
    """
    if not rows:
        return
    columns = tuple(rows[0])
    pg = conn.dialect.name == "postgresql"
    sql = _insert_sql(table, columns, pg, ignore, notify)
    if pg:
        run(conn, sql, (_json(rows),))
    else:
        take = itemgetter(*columns) if len(columns) > 1 else lambda r: (r[columns[0]],)
        many(conn, sql, [take(r) for r in rows])


def update_many(conn: Connection, table: Table, rows: Sequence[Row], keys: Sequence[Row]) -> int:
    """Updates one row for each of `rows`, in one statement.

    Args:
        keys: what the row to update holds now, in the order of `rows`, such as its id and version.

    Returns:
        How many were found.
    """
    if not rows:
        return 0
    columns, names = tuple(rows[0]), tuple(keys[0])
    pg = conn.dialect.name == "postgresql"
    sql = _update_sql(table, columns, names, pg)
    if pg:
        both = [r | {f"old_{k}": v for k, v in key.items()} for r, key in zip(rows, keys, strict=True)]
        return int(run(conn, sql, (_json(both),)).rowcount)
    values = [(*r.values(), *key.values()) for r, key in zip(rows, keys, strict=True)]
    return many(conn, sql, values)


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
