"""A sync of a hundred thousand people whose process is killed: gone on with, and run twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from keyback.application.clock import wall_clock
from keyback.application.people.sync import LEASE, sync_people
from keyback.application.people.sync_batch import SyncRules
from keyback.application.people.sync_report import SyncReport
from keyback.application.ports.syncs import SyncBusy
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring
from tests.support.listing import Listing, account, many

PEOPLE = 100_000
KILLED_AT = 40_000


@pytest.mark.slow
@pytest.mark.both
def test_a_hundred_thousand_people_killed_in_the_middle(database_url: str) -> None:
    line = Keyring.fresh_line()
    plan = {"url": database_url, "keyring": line, "people": PEOPLE, "owner": "the-first"}
    command = [sys.executable, "-m", "tests.support.listing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(f"{json.dumps(plan)}\n")
        child.stdin.flush()
        done = next(n for n in map(int, child.stdout) if n >= KILLED_AT)
        child.kill()
    assert done < PEOPLE
    asyncio.run(_afterwards(database_url, Keyring.load(line)))


async def _afterwards(url: str, keyring: Keyring) -> None:
    late, runs = 0, 0
    db = SqlDatabase(url, keyring, clock=lambda: wall_clock() + late)
    crm = Listing()

    async def sync(pages: Any) -> SyncReport:
        nonlocal runs
        crm.pages, runs = pages, runs + 1
        return await sync_people(db, crm, f"later-{runs}", SyncRules())

    with pytest.raises(SyncBusy):
        await sync(many(PEOPLE))
    late += LEASE + 1000
    report = await sync(many(PEOPLE))
    assert (report.resumed, report.added + report.same, report.off, report.skipped) == (True, PEOPLE, 0, {})
    assert 0 < report.added <= PEOPLE - KILLED_AT + 5000, "what was done is not done again"
    assert await db.read(lambda tx: tx.syncs.live("crm")) == PEOPLE

    again = await sync(many(PEOPLE))
    assert (again.same, again.added, again.changed, again.off) == (PEOPLE, 0, 0, 0)

    half = await sync(many(PEOPLE // 2))
    assert (half.off, half.held) == (0, PEOPLE // 2), "a list that shrank by half"

    first, *rest = many(PEOPLE)()
    swapped = [account(0, username=f"user{PEOPLE - 1}"), *first[1:]]
    last = [*rest[-1][:-1], account(PEOPLE - 1, username="user0")]
    report = await sync([swapped, *rest[:-1], last])
    assert (report.changed, report.same, report.off) == (2, PEOPLE - 2, 0), "who swapped names, at both ends of it"
    await db.close()
