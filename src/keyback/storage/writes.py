"""A write on its way from the event loop to a thread and back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError

from keyback.application.ports.storage import StorageDown, StorageUnsure, Tx
from keyback.storage import faults
from keyback.storage.sql.context import Alone
from keyback.storage.tx import SqlTx


@dataclass(slots=True)
class Write:
    """A function of somebody who waits for its result."""

    fn: Callable[[Tx], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None
    # Whoever takes it first: the thread that carries it out, or the one who waited too long.
    turn: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        return self.turn.acquire(blocking=False)


@dataclass(slots=True)
class Stage:
    """How far a batch has got: once its commit is on its way, a broken connection says nothing about it."""

    committing: bool = False


def run(tx: SqlTx, batch: list[Write], told: Callable[[DBAPIError], BaseException]) -> list[Write]:
    """Runs what shares a commit; a function's exception undoes its own changes only.

    Args:
        told: what callers are told of a driver's error.

    Returns:
        What is left; the first of it has to be run by itself.

    Raises:
        DBAPIError: the connection is of no use any more.
    """
    conn, shared = tx.conn, len(batch) > 1
    for i, w in enumerate(batch):
        if shared:
            conn.exec_driver_sql("SAVEPOINT w")
        try:
            w.result = w.fn(tx)
        except Alone:
            tx.forget()
            conn.exec_driver_sql("ROLLBACK TO SAVEPOINT w")
            return batch[i:]
        except Exception as e:
            if faults.broken(e):
                raise
            # A driver's own error quotes rows (ASVS 5.0 16.2.5): only its kind leaves this package.
            w.error = told(e) if isinstance(e, DBAPIError) else e
            tx.forget()
            if shared:
                conn.exec_driver_sql("ROLLBACK TO SAVEPOINT w")
        else:
            tx.keep()
        if shared:
            conn.exec_driver_sql("RELEASE SAVEPOINT w")
    return []


def resolve(writes: Sequence[Write]) -> None:
    """Hands results and errors to those who still wait."""
    for w in writes:
        if w.future.done():
            continue
        if w.error is not None:
            w.future.set_exception(w.error)
        else:
            w.future.set_result(w.result)


def give_up(w: Write) -> None:
    """Its caller has waited long enough. What no thread has taken yet is never carried out."""
    fail(w.future, StorageDown("timeout") if w.take() else StorageUnsure("timeout"))


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
