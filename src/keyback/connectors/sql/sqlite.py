"""SQLite, by the standard library."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keyback.connectors.sql.drivers import Address, DatabaseFault, Fault, Session

STEPS = 10_000  # of SQLite's machine, a few milliseconds
_FAULTS: dict[int, Fault] = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_INTERRUPT: "busy",
    sqlite3.SQLITE_CANTOPEN: "away",
    sqlite3.SQLITE_NOTADB: "away",
    sqlite3.SQLITE_IOERR: "away",
    sqlite3.SQLITE_READONLY: "permission",
    sqlite3.SQLITE_PERM: "permission",
    sqlite3.SQLITE_AUTH: "permission",
}


class SqliteSession(Session):
    """A file that is there; one is never made."""

    def __init__(self, at: Address) -> None:
        self._until = time.monotonic() + at.timeout
        try:
            self._c = sqlite3.connect(
                f"{Path(at.database).absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=at.timeout / 2,
                isolation_level=None,
                check_same_thread=False,  # for `interrupt` alone
            )
        except sqlite3.Error as e:
            raise self.sorted_fault(e) from None
        self._c.set_progress_handler(lambda: time.monotonic() > self._until, STEPS)

    def begin(self, *, changes: bool) -> None:
        self._c.execute("BEGIN IMMEDIATE" if changes else "BEGIN")

    def rows(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._c.execute(text.replace("%s", "?"), values).fetchall()

    def change(self, text: str, values: Sequence[Any]) -> int:
        return self._c.execute(text.replace("%s", "?"), values).rowcount

    def commit(self) -> None:
        self._c.execute("COMMIT")

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._c.close()

    def cut(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._c.interrupt()

    def sorted_fault(self, error: Exception) -> DatabaseFault:
        if isinstance(error, UnicodeError):
            return DatabaseFault("key")
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return DatabaseFault("refused", type(error).__name__)
        return DatabaseFault(_FAULTS.get(code & 0xFF, "refused"), str(error))
