"""PostgreSQL, by psycopg."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Any

import psycopg

from keyback.connectors.sql.drivers import Address, DatabaseFault, Fault, Session
from keyback.connectors.sql.sockets import Hold

_FAULTS: dict[str, Fault] = {
    "42501": "permission",
    "22P02": "key",
    "22003": "key",
    "42883": "key",  # no such operator: a text where a number is
    "22P05": "key",  # the database's encoding has no letters for it
    "22021": "key",
    "25006": "busy",  # read-only: a copy, or in the middle of changing places with one
    "55P03": "busy",
    "57014": "busy",
}
_CLASSES: dict[str, Fault] = {"28": "sign_in", "40": "busy", "53": "busy", "08": "away", "57": "away"}

# Parts of libpq's texts, which name addresses and users, and what is said instead.
_REASONS = (
    ("certificate", "its certificate isn't trusted"),
    ("refused", "connection refused"),
    ("translate host name", "no such host name"),
    ("timeout expired", "no answer in time"),
)


class PostgresSession(Session):
    def __init__(self, at: Address) -> None:
        ms = max(int(at.timeout * 1000), 1)
        limits = {
            "statement_timeout": ms,
            "lock_timeout": max(ms // 2, 1),
            "idle_in_transaction_session_timeout": ms,
            "TimeZone": "UTC",
        }
        tls: dict[str, Any] = (
            {"sslmode": "verify-full", "sslrootcert": str(at.ca_file)} if at.ca_file else {"sslmode": "disable"}
        )
        try:
            if at.tls_name:
                tls["hostaddr"] = str(socket.getaddrinfo(at.host, at.port, type=socket.SOCK_STREAM)[0][4][0])
            self._c = psycopg.connect(
                host=at.tls_name or at.host,
                port=at.port,
                dbname=at.database,
                user=at.user,
                password=at.password.reveal(),
                connect_timeout=max(int(at.timeout / 2), 2),  # libpq takes no less
                application_name="keyback",
                options=" ".join(f"-c {name}={value}" for name, value in limits.items()),
                gssencmode="disable",
                passfile="/dev/null",
                prepare_threshold=None,  # poolers in between keep no statements
                **tls,
            )
        except OSError:
            raise DatabaseFault("away", "the host's name can't be resolved") from None
        except psycopg.Error as e:
            raise self.sorted_fault(e, connecting=True) from None
        self._hold = Hold(self._c.pgconn.socket)
        # The library would go by the database's own encoding, and stumble over letters that it lacks. One without an
        # encoding gives bytes, which are read as far as they can be.
        if self._c.info.parameter_status("client_encoding") not in {"UTF8", "SQL_ASCII"}:
            try:
                self._c.execute("SET client_encoding TO 'UTF8'")
                self._c.commit()
            except psycopg.Error as e:
                self.close()
                raise self.sorted_fault(e, connecting=True) from None

    def begin(self, *, changes: bool) -> None:
        self._c.read_only = not changes

    def rows(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._c.execute(text, values).fetchall()

    def change(self, text: str, values: Sequence[Any]) -> int:
        return self._c.execute(text, values).rowcount

    def commit(self) -> None:
        self._c.commit()

    def close(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self._c.close()
        self._hold.close()

    def cut(self) -> None:
        self._hold.cut()

    def sorted_fault(self, error: Exception, *, connecting: bool = False) -> DatabaseFault:
        if isinstance(error, UnicodeEncodeError):
            return DatabaseFault("key")
        if not isinstance(error, psycopg.Error):
            return DatabaseFault("away" if connecting else "refused", type(error).__name__)
        state = error.sqlstate
        if state is None:  # no server said it
            if not isinstance(error, psycopg.OperationalError):
                return DatabaseFault("refused", type(error).__name__)
            text = str(error)
            if connecting and error.pgconn and error.pgconn.used_password:  # it was reached, and said no to that
                return DatabaseFault("sign_in", "sign-in to the database failed")
            return DatabaseFault("away", next((w for part, w in _REASONS if part in text), type(error).__name__))
        fault = _FAULTS.get(state) or _CLASSES.get(state[:2], "refused")
        if state == "0A000" and not connecting and self._c.info.parameter_status("in_hot_standby") == "on":
            fault = "busy"
        # Its DETAIL shows values of rows; the first line doesn't, but for what was bound and is no number.
        return DatabaseFault(fault, "" if fault == "key" else error.diag.message_primary or type(error).__name__)
