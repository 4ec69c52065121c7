"""The same answer given twice at once, as by a double press, is one answer (R11).

Whoever brings it a second time waits for the first. Was that right, nothing is counted and nothing compared again; was
it wrong, each goes on and counts for itself. Between nodes, what was counted is taken back where it is used up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from keyback.domain import digests

T = TypeVar("T")
Key = tuple[Hashable, ...]
_running: dict[Key, asyncio.Future[object]] = {}


def key_of(owner: object, *names: str, answer: str) -> Key:
    """Names an answer while it is looked at. `owner` is the database; of the answer a digest is kept."""
    return id(owner), *names, digests.digest(answer.encode("utf-8", "surrogatepass"))


async def first(key: Key, work: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> tuple[T, bool]:
    """Does `work`, or takes what came of the same that was under way, if that was `good`.

    Returns:
        What came of it, and whether it was somebody else's work.
    """
    running: asyncio.Future[T] | None = _running.get(key)  # type: ignore[assignment]
    if running is not None:
        with contextlib.suppress(Exception):  # whoever began it is told; this one tries for itself
            found = await asyncio.shield(running)
            if good(found):
                return found, True
        return await work(), False
    task = asyncio.ensure_future(work())
    _running[key] = task  # type: ignore[assignment]
    task.add_done_callback(lambda _: _running.pop(key, None))
    return await asyncio.shield(task), False  # a client that goes away ends nobody else's answer
