"""What Keyback's account may do in a database: too little, and too much. Tried on no row, and undone."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports.connectors import CheckLine
from keyback.connectors.sql.dialects import DIALECTS
from keyback.connectors.sql.options import Rows, SqlOptions
from keyback.connectors.sql.port import Database
from keyback.outbound.http import OutboundRefusal

GRANTS = "Grant exactly what the page of this kind lists."


async def rights(database: Database, options: SqlOptions, columns: Sequence[str]) -> list[CheckLine]:
    """A line for everything that is missing, and for what should be. Raises `Unavailable`, but not for refusals."""
    o = options
    needed = [o.hash_column, *(r.column for r in o.locked)]
    needed += [c for c in (o.must_change_column, o.changed_at_column) if c]
    lines = []
    for column in needed:
        if words := await _refused(database, _no_update(o, column)):
            costs = ("set_password",) if column == o.hash_column else ()
            lines.append(CheckLine("permission", "bad", f"{column} can't be written: {words}", costs, GRANTS))
    for capability, rows in (("unlock", o.unlock_rows), ("revoke_sessions", o.sessions)):
        for r in rows:
            if words := await _refused(database, _no_delete(o, r)):
                text = f"rows of {r.table} can't be deleted: {words}"
                lines.append(CheckLine("permission", "bad", text, (capability,), GRANTS))
    if not lines:
        lines.append(CheckLine("permission", "ok", "the account may change what it has to"))
    if o.kind != "sqlite":  # a file has no grants
        free = [c for c in columns if c not in needed and not await _refused(database, _no_update(o, c))]
        if free:
            text = f"the account may also change {', '.join(free)}"
            lines.append(CheckLine("permission", "warn", text, advice=GRANTS))
    return lines + (await _without_transactions(database, o) if o.kind == "mysql" else [])


# What an account may see of tables that it has any right to (information_schema of MySQL and MariaDB).
_ENGINE = (
    "SELECT t.ENGINE, e.TRANSACTIONS FROM information_schema.TABLES t JOIN information_schema.ENGINES e "
    "ON e.ENGINE = t.ENGINE WHERE t.TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND t.TABLE_NAME = %s"
)


async def _without_transactions(database: Database, o: SqlOptions) -> list[CheckLine]:
    """A line for each table that can undo nothing, such as those of MyISAM."""
    lines = []
    for table in dict.fromkeys([o.table, *(r.table for r in (*o.unlock_rows, *o.sessions))]):
        schema, _, name = table.rpartition(".")
        values = (schema or None, name)
        for engine, transactions in await database.run(lambda t, values=values: t.rows(_ENGINE, values)):  # type: ignore[misc]
            if str(transactions).upper() != "YES":
                text = f"{table} is a table of {engine}, which has no transactions: what breaks off can't be undone"
                advice = f"Have the system's operator run: ALTER TABLE {table} ENGINE = InnoDB"
                lines.append(CheckLine("permission", "bad", text, advice=advice))
    return lines


def _no_update(o: SqlOptions, column: str) -> str:
    """Changes no row, and needs the leave to."""
    d = DIALECTS[o.kind]
    return f"UPDATE {d.name(o.table)} SET {d.name(column)} = NULL WHERE 1 = 0"  # noqa: S608 - checked


def _no_delete(o: SqlOptions, r: Rows) -> str:
    d = DIALECTS[o.kind]
    return f"DELETE FROM {d.name(r.table)} WHERE {d.name(r.column)} <> {d.name(r.column)}"  # noqa: S608 - checked


async def _refused(database: Database, text: str) -> str:
    """The database's words, or nothing where it said yes."""
    try:
        await database.run(lambda t: t.change(text, ()), changes=True)
    except OutboundRefusal as e:
        return e.text or e.code
    return ""
