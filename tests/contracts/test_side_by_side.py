"""A node of the version before works on a database that the next version has widened (design, section 12)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from keyback.application.ports.storage import Tx
from keyback.domain.challenges.challenge import ChallengeRequest
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring
from keyback.storage.sql.schema import metadata
from tests.support.rows import intake

pytestmark = pytest.mark.both


def test_columns_of_the_next_version_are_in_nobodys_way(database_url: str, keyring: Keyring) -> None:
    engine = create_engine(database_url)
    with engine.begin() as c:
        for table in metadata.sorted_tables:
            c.execute(text(f"ALTER TABLE {table.name} ADD COLUMN of_the_next_version VARCHAR(9) DEFAULT 'x' NOT NULL"))
    engine.dispose()

    async def work() -> tuple[Any, Any, Any]:
        db = SqlDatabase(database_url, keyring)
        try:
            now = time.time_ns() // 1_000_000

            def ask(tx: Tx) -> None:
                tx.intakes.add([intake("a" * 22)])
                tx.challenges.request(ChallengeRequest("a" * 22, "totp", now, now + 60_000), now)

            await db.write(ask)
            taken = await db.write(lambda tx: tx.intakes.claim(10))
            wanted = await db.write(lambda tx: tx.challenges.claim_requests(10))
            return taken, wanted, await db.read(lambda tx: tx.intakes.get("a" * 22))
        finally:
            await db.close()

    taken, wanted, kept = asyncio.run(work())
    assert [i.handle for i in taken] == ["a" * 22]
    assert [w.method for w in wanted] == ["totp"]
    assert kept is not None
    assert kept.identifier == "maya@example.com"
