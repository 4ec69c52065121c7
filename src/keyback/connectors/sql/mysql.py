"""MySQL and MariaDB, by PyMySQL."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.constants import CLIENT, CR, ER
from pymysql.err import MySQLError, OperationalError

from keyback.connectors.sql.drivers import Address, DatabaseFault, Fault, Session
from keyback.connectors.sql.sockets import Hold

_FAULTS: dict[int, Fault] = {
    ER.ACCESS_DENIED_ERROR: "sign_in",
    1698: "sign_in",  # without a password, by plug-in
    ER.DBACCESS_DENIED_ERROR: "permission",
    ER.TABLEACCESS_DENIED_ERROR: "permission",
    ER.COLUMNACCESS_DENIED_ERROR: "permission",
    ER.CON_COUNT_ERROR: "busy",
    ER.LOCK_WAIT_TIMEOUT: "busy",
    ER.LOCK_DEADLOCK: "busy",
    ER.QUERY_INTERRUPTED: "busy",
    1969: "busy",  # max_statement_time of MariaDB
    3024: "busy",  # max_execution_time of MySQL
    3572: "busy",
    1290: "busy",  # --read-only: a copy, or in the middle of changing places with one
    1792: "busy",
    1836: "busy",
    # A text that the column's character set has no letters for.
    1267: "key",
    1270: "key",
    1271: "key",
    3988: "key",
    ER.SERVER_SHUTDOWN: "away",
}


class _Connection(pymysql.connections.Connection):  # type: ignore[misc]
    """PyMySQL goes on without TLS when the server, or whoever is in between, offers none. This one does not."""

    def _request_authentication(self) -> None:
        if self.ssl and not self.server_capabilities & CLIENT.SSL:
            raise OperationalError(CR.CR_SSL_CONNECTION_ERROR, "no TLS")
        super()._request_authentication()


class MysqlSession(Session):
    def __init__(self, at: Address) -> None:
        wait = at.timeout / 2
        try:
            raw = socket.create_connection((at.host, at.port), wait)
        except OSError as e:
            raise DatabaseFault("away", type(e).__name__) from None
        self._hold = Hold(raw.fileno())
        seconds = max(int(wait), 1)
        try:
            self._c = _Connection(
                host=at.tls_name or at.host,
                user=at.user,
                password=at.password.reveal(),
                database=at.database,
                charset="utf8mb4",
                read_timeout=at.timeout,
                write_timeout=at.timeout,
                client_flag=CLIENT.FOUND_ROWS,  # rows that fit, not those that became different
                init_command=f"SET time_zone = '+00:00', innodb_lock_wait_timeout = {seconds}",
                ssl=ssl.create_default_context(cafile=str(at.ca_file)) if at.ca_file else None,
                ssl_disabled=at.ca_file is None,
                program_name="keyback",
                defer_connect=True,
            )
            self._c.connect(raw)
        except Exception as e:
            self._hold.close()
            raw.close()
            raise self.sorted_fault(e) from None

    def begin(self, *, changes: bool) -> None:
        self._c.query("START TRANSACTION" if changes else "START TRANSACTION READ ONLY")

    def rows(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._c.cursor() as cursor:
            cursor.execute(text, tuple(values))
            return list(cursor.fetchall())

    def change(self, text: str, values: Sequence[Any]) -> int:
        with self._c.cursor() as cursor:
            return int(cursor.execute(text, tuple(values)))

    def commit(self) -> None:
        self._c.commit()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._c.close()
        self._hold.close()

    def cut(self) -> None:
        self._hold.cut()

    def sorted_fault(self, error: Exception) -> DatabaseFault:
        if isinstance(error, UnicodeError):  # before it was sent
            return DatabaseFault("key")
        if not isinstance(error, MySQLError) or not error.args or not isinstance(error.args[0], int):
            return DatabaseFault("away", type(error).__name__)
        code, text = error.args[0], str(error.args[1]) if len(error.args) > 1 else ""
        if 2000 <= code < 3000 or code == 0:  # of the client: no connection, or none any more
            about_tls = "certificate" if "certificate" in text.casefold() else "no TLS" if text == "no TLS" else ""
            return DatabaseFault("away", about_tls or type(error).__name__)
        return DatabaseFault(_FAULTS.get(code, "refused"), text)
