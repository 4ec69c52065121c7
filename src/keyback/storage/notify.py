"""Wake-ups across processes: a thread that listens on PostgreSQL and passes on what other nodes announce.

Losing the connection loses no work: the worker looks for itself every half second. After every new connection one
wake-up is passed on for those that were missed meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import NotSupportedError, ProgrammingError

from keyback.outbound.watchdog import Watchdog
from keyback.storage.engine import lively
from keyback.storage.wakes import CHANNEL

log = structlog.get_logger("keyback.storage")
LOOK_UP_S = 1.0  # how long stopping may take
LISTEN_S = 10.0  # for the answer to the one statement there is
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 15.0


class Announcing:
    """Whether a database takes NOTIFY and LISTEN: PostgreSQL does, some that speak its language don't, and poolers by
    transaction lose them. Then nodes find each other's work by looking.

    Args:
        engine: of any database; only PostgreSQL's language has them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.known: bool | None = False if engine.dialect.name == "sqlite" else None

    def works(self) -> bool:
        """Asks once; from a thread that may wait. Raises DBAPIError: the database can't be asked."""
        if self.known is None:
            try:
                with self._engine.connect() as conn, conn.begin():
                    # On a channel that nobody listens to.
                    conn.exec_driver_sql(f"SELECT pg_notify('{CHANNEL}_probe', '')")
                    conn.exec_driver_sql(f"LISTEN {CHANNEL}_probe")
                    conn.exec_driver_sql(f"UNLISTEN {CHANNEL}_probe")
                self.known = True
            except (NotSupportedError, ProgrammingError) as e:
                log.warning("no_notifications", error=type(e.orig).__name__)
                self.known = False
        return self.known


class Listener:
    """Calls `wake` with the payload, from its own thread, after every NOTIFY, from `start` until `stop`.

    Args:
        engine: of a PostgreSQL database; only its address is used, the connection is our own.
        wake: must be quick and safe to call from any thread. Gets an empty payload after every new connection.
    """

    def __init__(self, engine: Engine, wake: Callable[[str], None]) -> None:
        self._args, values = engine.dialect.create_connect_args(engine.url)
        self._values = {**values, **lively(engine.url.render_as_string(hide_password=False)), "autocommit": True}
        self._watchdog = Watchdog(LISTEN_S)
        self._wake = wake
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keyback-listen", daemon=True)
        self.connections = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and its connection; waits for both."""
        self._stopping.set()
        self._thread.join()
        self._watchdog.close()

    def _run(self) -> None:
        import psycopg  # an extra that SQLite does without

        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                with psycopg.connect(*self._args, **self._values) as connection:
                    with self._watchdog.holding():
                        self._watchdog.attach(connection.fileno())
                        connection.execute(f"LISTEN {CHANNEL}")
                    self.connections += 1
                    pause = FIRST_PAUSE_S
                    self._wake("")
                    while not self._stopping.is_set():
                        for heard in connection.notifies(timeout=LOOK_UP_S, stop_after=1):
                            self._wake(heard.payload)
            except (psycopg.NotSupportedError, psycopg.ProgrammingError) as e:
                log.warning("no_notifications", error=type(e).__name__)
                return
            except (psycopg.Error, OSError) as e:
                log.warning("listener_lost", error=type(e).__name__)
                self._stopping.wait(pause)
                pause = min(MAX_PAUSE_S, pause * 2)
