"""Waiting for what others commit."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Watch:
    """An event that says that it is time to look again, and seconds after which to look all the same."""

    event: asyncio.Event
    patience_s: float

    async def wait(self, seconds: float) -> None:
        """Until something happened, for at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.event.wait(), min(seconds, self.patience_s))
        self.event.clear()


class Due(Protocol):
    """What is due, as a transaction sees it."""

    def due(self) -> frozenset[str]:
        """What there is something to do for now: kinds of jobs, `intakes`, `wants`."""
        ...
