"""What the page of the outbox shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keyback.application.desk.outbox import COUNTED, OutboxPage
from keyback.application.ports.outbox_search import HEAPS, Heap
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class OutboxView(ConsolePage):
    """A heap of the outbox. `more`: the query of the next page. `error`: why the message `of` was not sent again."""

    template: ClassVar[str] = "console/outbox.html"
    room: ClassVar[str] = "outbox"
    heaps: ClassVar[tuple[Heap, ...]] = HEAPS
    many: ClassVar[int] = COUNTED
    found: OutboxPage
    heap: Heap
    more: str = ""
    error: str = ""
    of: str = ""
    done: bool = False
