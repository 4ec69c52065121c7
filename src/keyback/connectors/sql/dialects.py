"""How the four databases differ in what is asked of them: quotation marks, limits, locks, and truth."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from keyback.connectors.sql.options import Kind, Scalar

Statement = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Makes statements out of names that `SqlOptions` has checked; values are never part of them, but bound (`%s`).

    Args:
        quotes: around a name.
        lock: after a reading statement; `hint`: after its table.
        top: the number of rows is limited at the front.
        as_text: numbers are bound as text, so that the database makes of them what the column holds.
    """

    quotes: str
    lock: str = ""
    hint: str = ""
    top: bool = False
    as_text: bool = False

    def value(self, value: Scalar | datetime.datetime | None) -> Any:
        """What is bound for a value of the settings, or a time, which is in UTC."""
        if isinstance(value, datetime.datetime):
            return value.strftime("%Y-%m-%dT%H:%M:%S" if self.top else "%Y-%m-%d %H:%M:%S")
        if isinstance(value, bool):
            value = int(value)
        return str(value) if self.as_text and value is not None else value

    def name(self, dotted: str) -> str:
        left, right = self.quotes[0], self.quotes[1]
        return ".".join(f"{left}{part}{right}" for part in dotted.split("."))

    def select(
        self,
        columns: Sequence[str],
        table: str,
        where: str,
        values: Sequence[Any] = (),
        *,
        limit: int,
        order: str = "",
        lock: bool = False,
    ) -> Statement:
        head = f"SELECT TOP ({limit})" if self.top else "SELECT"
        text = f"{head} {', '.join(self.name(c) for c in columns)} FROM {self.name(table)}"
        text += (self.hint if lock else "") + f" WHERE {where}"
        text += f" ORDER BY {self.name(order)}" if order else ""
        text += "" if self.top else f" LIMIT {limit}"
        return text + (self.lock if lock else ""), tuple(values)

    def update(self, table: str, values: Sequence[tuple[str, Any]], key: str, of: Any) -> Statement:
        sets = ", ".join(f"{self.name(column)} = %s" for column, _ in values)
        text = f"UPDATE {self.name(table)} SET {sets} WHERE {self.name(key)} = %s"  # noqa: S608 - names are checked
        return text, (*(v for _, v in values), of)

    def delete(self, table: str, key: str, of: Any) -> Statement:
        return f"DELETE FROM {self.name(table)} WHERE {self.name(key)} = %s", (of,)  # noqa: S608 - names are checked

    def equal(self, column: str) -> str:
        return f"{self.name(column)} = %s"

    def named(self, columns: Sequence[str]) -> str:
        """The condition for somebody with this name, as written and in small letters: two values for each column."""
        # PostgreSQL has no LOWER of a number, such as of staff. To the type of most names this cast does nothing.
        of = [f"CAST({self.name(c)} AS text)" if self.as_text else self.name(c) for c in columns]
        return " OR ".join(f"{c} = %s OR LOWER({c}) = %s" for c in of)

    def among(self, column: str, count: int) -> str:
        return f"{self.name(column)} IN ({', '.join(['%s'] * count)})"


DIALECTS: Final[dict[Kind, Dialect]] = {
    "postgresql": Dialect('""', lock=" FOR UPDATE", as_text=True),
    "mysql": Dialect("``", lock=" FOR UPDATE"),
    "sqlserver": Dialect("[]", hint=" WITH (UPDLOCK, ROWLOCK, HOLDLOCK)", top=True),
    # In straight double quotes SQLite takes a misspelled column for a text. Its transactions lock the whole file.
    "sqlite": Dialect("``"),
}
