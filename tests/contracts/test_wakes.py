"""Commits wake those who wait for what they touched, and nobody else, on every node."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from keyback.application.ports.storage import Job, JobKind, Tx
from keyback.storage.database import OFTEN_S, SqlDatabase
from keyback.storage.engine import make_engine
from keyback.storage.keys.keyring import Keyring
from keyback.storage.wakes import MOST, Wakes
from tests.support.commands import Keyback
from tests.support.kit import Kit, person
from tests.support.steps import choose, drain, fit, proven

HOUR = 3_600_000


def put(tx: Tx, kind: JobKind, later: int = 0) -> None:
    due = tx.now + later if later else 0
    tx.outbox.put([Job(tx.new_id(), kind, {}, tx.now, tx.now + HOUR, due_at=due)])


async def listening(db: SqlDatabase) -> None:
    """Until the connection for wake-ups stands; it announces itself once."""
    async with asyncio.timeout(20):
        while db._listener is not None and not db._listener.connections:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


@pytest.mark.both
def test_a_commit_wakes_only_those_who_wait_for_it(database_url: str, keyring: Keyring) -> None:
    async def go() -> None:
        db = SqlDatabase(database_url, keyring)
        apply, mail, all_ = db.waker("apply"), db.waker("mail", "bulk"), db.waker()
        await listening(db)

        async def woken_by(fn: Callable[[Tx], Any]) -> tuple[bool, ...]:
            for e in (apply, mail, all_):
                e.clear()
            await db.write(fn)
            await asyncio.sleep(0.05)  # a notification of our own commit is no second wake-up, nor one for the others
            return tuple(e.is_set() for e in (apply, mail, all_))

        def fails(tx: Tx) -> None:
            put(tx, "mail")
            raise ValueError("no")

        assert await woken_by(lambda tx: put(tx, "apply")) == (True, False, True)
        assert await woken_by(lambda tx: put(tx, "bulk")) == (False, True, True)
        assert await woken_by(lambda tx: put(tx, "mail", later=HOUR)) == (False, False, False)
        assert await woken_by(lambda tx: tx.people.bump_security("x" * 22)) == (False, False, False)
        with pytest.raises(ValueError, match="no"):
            await woken_by(fails)
        assert not mail.is_set()
        with db.watching("c" * 22) as watch:
            db._wakes.tell({"case/" + "d" * 22})
            await watch.wait(0.05)
            db._wakes.tell({"case/" + "c" * 22})
            async with asyncio.timeout(watch.patience_s / 2):
                await watch.wait(watch.patience_s)
        await db.close()

    asyncio.run(go())


@pytest.mark.covers("Q4")
def test_another_node_hears_the_topics_and_one_of_the_version_before_wakes_all(
    make_database: Callable[[str], str], keyring: Keyring
) -> None:
    async def go() -> None:
        url = make_database("postgres")
        web, node = SqlDatabase(url, keyring), SqlDatabase(url, keyring)
        apply, mail = node.waker("apply"), node.waker("mail")
        await listening(node)

        async def hears(fn: Callable[[Any], Any]) -> tuple[bool, bool]:
            apply.clear(), mail.clear()
            await web.write(fn)
            async with asyncio.timeout(20):
                while not (apply.is_set() or mail.is_set()):
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            return apply.is_set(), mail.is_set()

        assert await hears(lambda tx: put(tx, "apply")) == (True, False)
        assert await hears(lambda tx: put(tx, "mail")) == (False, True)
        assert await hears(lambda tx: tx.conn.execute(text("NOTIFY keyback"))) == (True, True)
        assert await hears(lambda tx: tx.conn.execute(text("NOTIFY keyback, 'of a later version'"))) == (True, True)
        assert await hears(lambda tx: tx.conn.execute(text("NOTIFY keyback, 'node:mail,new_kind'"))) == (True, True)
        await web.close()
        await node.close()

    asyncio.run(go())


def test_what_is_too_long_for_a_notification_wakes_all() -> None:
    there, here = Wakes(), Wakes()

    async def go() -> tuple[str, bool]:
        mail = here.waker("mail")
        payload = there.payload({f"case/{n:022}" for n in range(1000)})
        here.hear(payload)
        await asyncio.sleep(0)
        return payload, mail.is_set()

    payload, woken = asyncio.run(go())
    assert (len(payload) < MOST, woken) == (True, True)


@pytest.fixture
def deaf_url(make_database: Callable[[str], str]) -> Iterator[str]:
    """A database of a user who may not notify, as one that lacks it refuses."""
    url = make_database("postgres")
    role = f"quiet_{secrets.token_hex(4)}"
    engine = make_engine(url)
    with engine.connect() as conn, conn.begin():
        for statement in (
            f"CREATE ROLE {role} LOGIN",
            "REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC",
            f"GRANT ALL ON SCHEMA public TO {role}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
        ):
            conn.exec_driver_sql(statement)
    yield str(engine.url.set(username=role).render_as_string(hide_password=False))
    with engine.connect() as conn, conn.begin():
        conn.exec_driver_sql("GRANT EXECUTE ON FUNCTION pg_notify(text, text) TO PUBLIC")
        conn.exec_driver_sql(f"DROP OWNED BY {role}")
        conn.exec_driver_sql(f"DROP ROLE {role}")
    engine.dispose()


def test_where_nothing_is_passed_on_everything_is_found_by_looking(deaf_url: str, make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(url=deaf_url)
    assert kit.services.db.announcing.works() is False
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    choose(kit, case_id)
    drain(kit)
    assert kit.read(lambda tx: tx.cases.get(case_id)).state in ("recovered", "closed")

    async def patience_s() -> float:
        with kit.services.db.watching(case_id) as watch:
            return watch.patience_s

    assert kit.run(patience_s()) == OFTEN_S


def test_check_names_what_the_database_lacks(
    deaf_url: str, place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = keyback("check", code=1).output
    assert "passes no notifications on" not in told
    monkeypatch.setenv("KEYBACK_DATABASE_URL", deaf_url)
    assert "wake-ups: this database passes no notifications on" in keyback("check", code=1).output
