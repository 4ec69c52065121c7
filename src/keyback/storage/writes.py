"""A write on its way from the event loop to a thread and back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyback.application.store import StorageDown, StorageUnsure, Tx


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
