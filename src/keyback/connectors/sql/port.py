"""Calls to a database: its library in threads, one connection a call, bounded in time (see ADR 44)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Final, TypeVar

from keyback.connectors.sql.drivers import Address, DatabaseFault, Fault, Session
from keyback.connectors.sql.options import Kind
from keyback.outbound.breaker import Breaker
from keyback.outbound.http import MaybeDone, NotDone, OutboundRefusal, vendor_text

THREADS: Final = 4
T = TypeVar("T")
SESSIONS: Final[dict[Kind, str]] = {
    "postgresql": "PostgresSession",
    "mysql": "MysqlSession",
    "sqlserver": "SqlServerSession",
    "sqlite": "SqliteSession",
}
_CODES: Final[dict[Fault, str]] = {
    "away": "unavailable",
    "busy": "unavailable",
    "sign_in": "auth_expired",
    "permission": "not_permitted",
    "key": "not_found",
    "refused": "not_permitted",
}


def opener(kind: Kind) -> Callable[[Address], Session]:
    """How a database of this kind is opened. Its library is imported here: all of them together take 12 MiB."""
    found: Callable[[Address], Session] = getattr(import_module(f"keyback.connectors.sql.{kind}"), SESSIONS[kind])
    return found


class Transaction:
    """What the work inside a call has: to read, and to change once it said so."""

    def __init__(self, session: Session, call: _Call) -> None:
        self._session, self._call = session, call
        self.rows = session.rows

    def change(self, text: str, values: tuple[object, ...]) -> int:
        """How many rows it touched. From here on nobody knows what happened, until the database says so."""
        self._call.going_to_change()
        return self._session.change(text, values)


class _Call:
    """Between the thread that works and the loop that waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Session | None = None
        self.given_up = self.changed = False

    def opened(self, session: Session) -> None:
        with self._lock:
            self._session = session
            if self.given_up:
                session.cut()

    def going_to_change(self) -> None:
        with self._lock:
            if self.given_up:
                raise DatabaseFault("away", "no answer in time")
            self.changed = True

    def closing(self) -> None:
        with self._lock:
            self._session = None

    def give_up(self) -> bool:
        """Cuts the connection; says whether something may have been changed."""
        with self._lock:
            self.given_up = True
            if self._session:
                self._session.cut()
            return self.changed


class Database:
    """One database, as one account. A thread that waits longer than `timeout` loses its connection, so that four are
    enough and a database that hangs holds up nobody but those who need it."""

    def __init__(self, kind: Kind, at: Address) -> None:
        self._open, self._at = opener(kind), at
        self.breaker = Breaker()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sql")
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="sql-hash")

    async def run(self, work: Callable[[Transaction], T], *, changes: bool = False) -> T:
        """Does the work in one transaction, committed when `changes` and undone when the work raises.

        Raises:
            NotDone, OutboundRefusal: nothing was changed; the second is also what the work raises.
            MaybeDone: the change was sent and no answer came.
        """
        if wait := self.breaker.wait_ms():
            raise NotDone("unavailable", "not reachable a moment ago, waiting before the next try", wait)
        call = _Call()
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._in_thread, call, work, changes)
        failure: DatabaseFault | NotDone | None
        try:
            async with asyncio.timeout(self._at.timeout):
                result, failure = await future
        except TimeoutError:
            # A thread that still waits for a turn has been taken off the queue; one that works sees its end here.
            result, failure = None, DatabaseFault("away", "no answer in time")
            call.give_up()
        except asyncio.CancelledError:
            call.give_up()
            raise
        # Raised here, not where it was caught: the library's error would ride along and holds the connection.
        if failure is None:
            self.breaker.reached()
            return result  # type: ignore[return-value]
        if isinstance(failure, NotDone):
            self.breaker.reached()
            raise failure
        if failure.fault == "away":
            self.breaker.missed()
            raise (MaybeDone if call.changed else NotDone)("unavailable", f"not reachable ({failure})")
        self.breaker.reached()
        if failure.fault == "busy":
            raise NotDone("unavailable", vendor_text(failure), 5_000)
        raise OutboundRefusal(_CODES[failure.fault], vendor_text(failure))

    async def compute(self, work: Callable[[], T]) -> T:
        """Hashing, one at a time: it takes much memory."""
        return await asyncio.get_running_loop().run_in_executor(self._hashing, work)

    async def close(self) -> None:
        for threads in (self._threads, self._hashing):
            threads.shutdown(wait=False, cancel_futures=True)

    def _in_thread(
        self, call: _Call, work: Callable[[Transaction], T], changes: bool
    ) -> tuple[T | None, DatabaseFault | NotDone | None]:
        """The result, or the fault as a value."""
        try:
            session = self._open(self._at)
        except DatabaseFault as e:
            return None, e
        except Exception as e:  # whatever is at the other end
            return None, DatabaseFault("away", type(e).__name__)
        try:
            call.opened(session)
            session.begin(changes=changes)
            result = work(Transaction(session, call))
            if changes:
                session.commit()
            return result, None
        except (DatabaseFault, NotDone) as e:
            return None, e
        except Exception as e:
            return None, session.sorted_fault(e)
        finally:
            call.closing()
            session.close()
