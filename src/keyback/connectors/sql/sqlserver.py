"""Microsoft SQL Server, by python-tds. Written after its documentation and never tried on a server."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Any

import pytds

from keyback.connectors.sql.drivers import Address, DatabaseFault, Fault, Session
from keyback.connectors.sql.sockets import Hold

_FAULTS: dict[int, Fault] = {
    229: "permission",
    230: "permission",
    245: "key",  # conversion failed
    8114: "key",
    8169: "key",
    8115: "key",
    1205: "busy",
    1222: "busy",
    4060: "sign_in",
    18452: "sign_in",
    18456: "sign_in",
    18486: "sign_in",
    18487: "sign_in",
    18488: "sign_in",
}


class SqlServerSession(Session):
    def __init__(self, at: Address) -> None:
        wait = at.timeout / 2
        try:
            raw = socket.create_connection((at.host, at.port), wait)
        except OSError as e:
            raise DatabaseFault("away", type(e).__name__) from None
        self._hold = Hold(raw.fileno())
        try:
            self._c = pytds.connect(
                dsn=at.tls_name or at.host,
                port=at.port,
                database=at.database,
                user=at.user,
                password=at.password.reveal(),
                timeout=at.timeout,
                login_timeout=wait,
                appname="keyback",
                cafile=str(at.ca_file) if at.ca_file else None,  # with it nothing goes without TLS
                sock=raw,
                disable_connect_retry=True,
            )
            self.change(f"SET LOCK_TIMEOUT {max(int(wait * 1000), 1)}", ())
        except Exception as e:
            self._hold.close()
            raw.close()
            raise self.sorted_fault(e) from None

    def begin(self, *, changes: bool) -> None:
        """The library begins one by itself, with the first statement."""

    def rows(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._c.cursor() as cursor:
            cursor.execute(text, tuple(values))
            return list(cursor.fetchall())

    def change(self, text: str, values: Sequence[Any]) -> int:
        with self._c.cursor() as cursor:
            cursor.execute(text, tuple(values))
            return int(cursor.rowcount)

    def commit(self) -> None:
        self._c.commit()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._c.close()
        self._hold.close()

    def cut(self) -> None:
        self._hold.cut()

    def sorted_fault(self, error: Exception) -> DatabaseFault:
        if isinstance(error, pytds.LoginError):
            return DatabaseFault("sign_in", "sign-in to the database failed")
        number = getattr(error, "msg_no", 0)
        if not isinstance(error, pytds.DatabaseError) or not number:
            return DatabaseFault("away", type(error).__name__)
        fault = _FAULTS.get(number, "refused")
        return DatabaseFault(fault, "" if fault == "key" else str(getattr(error, "text", "")))
