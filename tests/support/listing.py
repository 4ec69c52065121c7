"""A system that lists accounts; as a program, a sync of many that can be killed: `python -m tests.support.listing`,
told what by standard input, tells on standard output how far it is."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from keyback.application.people.sync import sync_people
from keyback.application.people.sync_batch import SyncRules
from keyback.application.ports.connectors import Capabilities, FoundAccount, Means, Unavailable
from keyback.connectors.base import ConnectorBase
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring

PAGE = 200


class Listing(ConnectorBase):
    """A system whose list a test writes, a page at a time."""

    name, title = "crm", "Qingyu CRM"
    capabilities = Capabilities(list=Means.NATIVE)

    def __init__(self) -> None:
        self.pages: Sequence[Sequence[FoundAccount]] | Callable[[], Iterator[Sequence[FoundAccount]]] = []
        self.breaks = -1  # before which page it goes away
        self.marks: list[str] = []  # what it hands out next
        self.asked: list[str] = []  # since which marks somebody asked
        self.between: Callable[[], Any] | None = None

    async def mark(self) -> str | None:
        return self.marks.pop(0) if self.marks else None

    async def list_changed(self, since: str) -> AsyncIterator[Sequence[FoundAccount]]:
        self.asked.append(since)
        async for page in self.list_accounts():
            yield page

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        for n, page in enumerate(self.pages() if callable(self.pages) else self.pages):
            if n == self.breaks:
                raise Unavailable("unavailable", "gone")
            if n and self.between:
                await self.between()
            yield page


def account(n: int | str, **over: Any) -> FoundAccount:
    made = FoundAccount(f"id-{n}", f"user{n}", f"user{n}@example.com", f"Person {n}")
    return replace(made, **over)


def many(count: int) -> Callable[[], Iterator[Sequence[FoundAccount]]]:
    """Pages of a list of any length, made while it is read."""
    return lambda: ([account(n) for n in range(a, min(a + PAGE, count))] for a in range(0, count, PAGE))


async def main(plan: dict[str, Any]) -> None:
    db = SqlDatabase(plan["url"], Keyring.load(plan["keyring"]))
    crm = Listing()
    crm.pages = many(plan["people"])

    def tell(done: int, _: int) -> None:
        print(done, flush=True)

    await sync_people(db, crm, plan["owner"], SyncRules(), progress=tell)
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
