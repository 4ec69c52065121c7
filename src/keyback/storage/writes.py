"""A write on its way from the event loop to a thread and back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from sqlalchemy.exc import DBAPIError

from keyback.application.ports.storage import StorageDown, StorageUnsure, Tx
from keyback.storage import faults
from keyback.storage.sql.context import Alone
from keyback.storage.sql.statements import back_to_savepoint, next_savepoint
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


class Solitary:
    """Functions that asked for a commit of their own once: they get it at once from then on, instead of beginning in
    vain each time. They are told apart by where they are written."""

    def __init__(self) -> None:
        self._known: set[CodeType] = set()

    def note(self, w: Write) -> None:
        code = getattr(w.fn, "__code__", None)
        if code is not None:
            self._known.add(code)

    def parts(self, batch: list[Write]) -> list[list[Write]]:
        """What may share a commit, then everybody else alone."""
        if len(batch) < 2:
            return [batch] if batch else []
        shared: list[Write] = []
        alone: list[Write] = []
        for w in batch:
            (alone if getattr(w.fn, "__code__", None) in self._known else shared).append(w)
        return [*([shared] if shared else []), *([w] for w in alone)]


def run(tx: SqlTx, batch: list[Write], told: Callable[[DBAPIError], BaseException], solitary: Solitary) -> list[Write]:
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
            next_savepoint(conn, first=i == 0)
        try:
            w.result = w.fn(tx)
        except Alone:
            tx.forget()
            back_to_savepoint(conn)
            solitary.note(w)
            return batch[i:]
        except Exception as e:
            if faults.broken(e):
                raise
            # A driver's own error quotes rows (ASVS 5.0 16.2.5): only its kind leaves this package.
            w.error = told(e) if isinstance(e, DBAPIError) else e
            tx.forget()
            if shared:
                back_to_savepoint(conn)
        else:
            tx.keep()
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
