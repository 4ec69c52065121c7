"""Statements straight through the driver: SQLAlchemy writes each one once, and is not asked again to run it.

Its execution costs three times what the driver's own does (79 µs of CPU to 26 for one row on PostgreSQL), and every
reset asks for dozens. Errors, listeners and lost connections are what they are everywhere.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean, Connection, Dialect, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

CURSOR = "keyback cursor"  # in `Connection.info`, which lasts as long as the driver's connection


def run(conn: Connection, sql: str, values: Any = (), *, many: bool = False) -> Any:
    """The driver's cursor after `sql`, in the driver's own words. It is the same one for each statement of a
    connection, so rows have to be fetched before the next.

    Raises:
        DBAPIError: as SQLAlchemy would.
    """
    cursor = conn.info.get(CURSOR)
    if cursor is None:
        cursor = conn.info[CURSOR] = conn.connection.cursor()
    for tell in conn.engine.dispatch.before_cursor_execute:
        tell(conn, cursor, sql, values, None, many)
    try:
        if many:
            cursor.executemany(sql, values)
        elif values:
            cursor.execute(sql, values)
        else:
            cursor.execute(sql)
    except Exception as e:
        raise wrapped(conn, cursor, sql, e) from e
    return cursor


def rows_of(conn: Connection, sql: str, values: Any = ()) -> list[Any]:
    """All rows as tuples."""
    cursor = run(conn, sql, values)
    try:
        return cursor.fetchall()  # type: ignore[no-any-return]
    except Exception as e:
        raise wrapped(conn, cursor, sql, e) from e


def marked(sql: str, **types: str) -> str:
    """SQL with `:name` for its values, as SQLite reads it, in the words of psycopg.

    Args:
        types: of values where PostgreSQL would otherwise have to guess, differently for small and large ones.
    """

    def mark(name: re.Match[str]) -> str:
        return f"%({name[1]})s" + (f"::{types[name[1]]}" if name[1] in types else "")

    return re.sub(r"(?<!:):(\w+)", mark, sql.replace("%", "%%"))


def wrapped(conn: Connection, cursor: Any, sql: str, e: Exception) -> BaseException:
    """The error as SQLAlchemy has it; a connection that is gone is let go of."""
    base = conn.dialect.loaded_dbapi.Error
    if not isinstance(e, base):
        return e
    lost = conn.dialect.is_disconnect(e, conn.connection.dbapi_connection, cursor)
    told = DBAPIError.instance(
        sql, None, e, base, hide_parameters=True, connection_invalidated=lost, dialect=conn.dialect
    )
    if lost:
        conn.invalidate(e)
    return told


class Statement:
    """A statement with named values, such as `Statement(select(…).where(t.c.id == bindparam("id")))`.

    Rows have their columns' names and, like SQLAlchemy's, `_mapping`.
    """

    def __init__(self, what: Executable) -> None:
        self._what = what
        self._made: dict[str, _Made] = {}

    def all(self, conn: Connection, values: Mapping[str, Any]) -> list[Any]:
        made = self._for(conn)
        return [made.row(*made.read(r)) for r in rows_of(conn, made.sql, made.bound(values))]

    def first(self, conn: Connection, values: Mapping[str, Any]) -> Any:
        """The first row, None where there is none."""
        found = self.all(conn, values)
        return found[0] if found else None

    def run(self, conn: Connection, values: Mapping[str, Any]) -> int:
        """How many rows it touched."""
        made = self._for(conn)
        return int(run(conn, made.sql, made.bound(values)).rowcount)

    def _for(self, conn: Connection) -> _Made:
        made = self._made.get(conn.dialect.name)
        if made is None:
            made = self._made[conn.dialect.name] = _Made(self._what, conn.dialect)
        return made


class _Made:
    """A statement in the words of one database."""

    def __init__(self, what: Executable, dialect: Dialect) -> None:
        compiled = what.compile(dialect=dialect)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.post_compile_params  # `in_` of values: use `among`
        self.sql = str(compiled)
        self._given = dict(compiled.params)
        self._order = compiled.positiontup
        self._turn: dict[str, Callable[[Any], Any]] = {}
        for bind, name in compiled.bind_names.items():
            turn = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if turn is not None:
                self._turn[name] = turn
        columns = getattr(compiled.statement, "exported_columns", ())
        names = [c.name for c in columns]
        lite = dialect.name == "sqlite"  # which keeps truth values as numbers
        self._bools = [i for i, c in enumerate(columns) if lite and isinstance(c.type, Boolean)]
        shape = namedtuple("Row", names)  # type: ignore[misc]
        self.row = type("Row", (shape,), {"__slots__": (), "_mapping": property(shape._asdict)})

    def read(self, row: Sequence[Any]) -> Sequence[Any]:
        """The row as SQLAlchemy has it."""
        if not self._bools:
            return row
        values = list(row)
        for i in self._bools:
            values[i] = None if values[i] is None else bool(values[i])
        return values

    def bound(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver takes them."""
        given = {**self._given, **values}
        for name, turn in self._turn.items():
            given[name] = turn(given[name])
        return given if self._order is None else tuple(given[n] for n in self._order)


def many(conn: Connection, sql: str, values: Sequence[Sequence[Any]]) -> int:
    """Once for each of `values`; how many rows it touched."""
    return int(run(conn, sql, values, many=True).rowcount)
