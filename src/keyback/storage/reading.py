"""Threads that read snapshots, each over a connection that it keeps: to take one out of the pool, set it up for reading
and give it back costs as much as several statements."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from keyback.application.ports.storage import StorageDown
from keyback.storage import faults
from keyback.storage.engine import READERS

T = TypeVar("T")


class Readers:
    """Runs functions on snapshots in its threads.

    Args:
        resumed: a kept connection that can still be used, or None.
    """

    def __init__(self, engine: Engine, resumed: Callable[[Connection], Connection | None]) -> None:
        self.threads = ThreadPoolExecutor(READERS, thread_name_prefix="keyback-read")
        self._engine = engine
        self._resumed = resumed
        self._sqlite = engine.dialect.name == "sqlite"
        self._mine = threading.local()
        self._all: set[Connection] = set()

    def run(self, fn: Callable[[Connection], T]) -> T:
        """What `fn` finds in one snapshot.

        Raises:
            StorageDown: the database cannot be reached.
        """
        kept: Connection | None = getattr(self._mine, "conn", None)
        conn = kept and self._resumed(kept)
        try:
            if conn is None:
                conn = self._connected()
            with conn.begin():
                return fn(conn)
        except DBAPIError as e:
            if not faults.lost(e):
                self._give_back(conn)
                raise faults.down(e) from None
            self._drop(conn)
            if kept is None:
                raise faults.down(e) from None
        except PoolTimeout:
            raise StorageDown("pool") from None
        except BaseException:
            self._give_back(conn)  # the pool cleans it up, whatever state it is in
            raise
        return self.run(fn)  # over a connection that was dead already, as after a restart

    def close(self) -> None:
        """Lets what runs end, then lets go of every connection."""
        self.threads.shutdown(wait=True)
        for conn in list(self._all):
            conn.close()

    def _connected(self) -> Connection:
        conn = self._engine.connect()
        if not self._sqlite:
            conn = conn.execution_options(isolation_level="REPEATABLE READ")
        self._all = {c for c in self._all if not c.closed} | {conn}
        self._mine.conn = conn
        return conn

    def _drop(self, conn: Connection | None) -> None:
        faults.drop(conn)
        self._give_back(conn)

    def _give_back(self, conn: Connection | None) -> None:
        self._mine.conn = None
        if conn is not None:
            self._all.discard(conn)
            conn.close()
