"""Small SQL helpers that both databases share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

Row = dict[str, Any]


@lru_cache(maxsize=64)
def _insert_sql(table: Table, columns: tuple[str, ...], pg: bool, ignore: bool, notify: str) -> str:
    names = ", ".join(columns)
    tail = " ON CONFLICT DO NOTHING" if ignore else ""
    if pg:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        arrays = ", ".join(f"%s::{_base_type(table.c[c].type.compile(dialect))}[]" for c in columns)
        sql = f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}){tail}"  # noqa: S608 - our own names
        return f"WITH added AS ({sql}) SELECT pg_notify('{notify}', '')" if notify else sql
    marks = ", ".join("?" for _ in columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks}){tail}"  # noqa: S608 - our own names


def _base_type(name: str) -> str:
    return "text" if name.startswith("VARCHAR") else name.lower()


def insert_many(conn: Connection, table: Table, rows: Sequence[Row], *, ignore: bool = False, notify: str = "") -> None:
    """Inserts rows of equal shape in one statement: arrays on PostgreSQL, executemany on SQLite.

    Args:
        ignore: leave rows out whose key is there already.
        notify: channel to announce them on, in the same statement (PostgreSQL).
    """
    if not rows:
        return
    columns = tuple(rows[0])
    pg = conn.dialect.name == "postgresql"
    sql = _insert_sql(table, columns, pg, ignore, notify)
    if pg:
        conn.exec_driver_sql(sql, tuple([r[c] for r in rows] for c in columns))
    else:
        conn.exec_driver_sql(sql, [tuple(r[c] for c in columns) for r in rows])


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
