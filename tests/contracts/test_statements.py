"""Statements that go straight through the driver, connections that are kept, and what a worker finds due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import bindparam, event, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from keyback.application.ports.storage import Job, StorageDown, Tx
from keyback.domain.errors import Refusal
from keyback.storage.database import MOST_WAITING, SqlDatabase
from keyback.storage.keys.keyring import Keyring
from keyback.storage.sql.direct import Statement, marked, rows_of
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts, people
from keyback.storage.tx import SqlTx
from tests.support.rows import intake

NEW = Statement(
    insert(people).values(
        id=bindparam("id"),
        key=bindparam("id"),
        name="Ann 安",
        locale="en",
        tier="standard",
        state="active",
        created_at=1,
    )
)
SOME = Statement(select(people.c.id, people.c.name).where(among(people.c.id, named="ids")).order_by(people.c.id))
RAISED = Statement(people.update().where(people.c.id == bindparam("who")).values(security_version=7))
PRIVILEGED = Statement(select(accounts.c.privileged).where(accounts.c.id == bindparam("id")))
HOUR = 3_600_000


def in_sql(tx: Tx) -> SqlTx:
    assert isinstance(tx, SqlTx)
    return tx


@pytest.mark.both
def test_a_statement_reads_writes_and_fails_as_sqlalchemy_does(database_url: str, keyring: Keyring) -> None:
    async def go() -> None:
        db = SqlDatabase(database_url, keyring)
        seen: list[str] = []
        event.listen(db.engine, "before_cursor_execute", lambda c, cursor, s, v, x, m: seen.append(s))

        def fill(tx: Tx) -> None:
            for who in ("a", "b", "c"):
                NEW.run(in_sql(tx).conn, {"id": who})

        def look(tx: Tx) -> tuple[int, list[tuple[str, str]], object]:
            conn = in_sql(tx).conn
            touched = RAISED.run(conn, {"who": "a"}) + RAISED.run(conn, {"who": "nobody"})
            found = SOME.all(conn, {"ids": ["c", "a", "x"]})
            assert found[0]._mapping == {"id": "a", "name": "Ann 安"}
            return touched, [(r.id, r.name) for r in found], SOME.first(conn, {"ids": []})

        await db.write(fill)
        assert await db.write(look) == (1, [("a", "Ann 安"), ("c", "Ann 安")], None)
        assert any("UPDATE people" in s for s in seen)  # whoever listens to statements hears of these too
        with pytest.raises(Exception) as refused:
            await db.write(lambda tx: NEW.run(in_sql(tx).conn, {"id": "a"}))
        assert "Ann" not in str(refused.value)

        def twice(tx: Tx) -> str:
            try:
                NEW.run(in_sql(tx).conn, {"id": "a"})
            except IntegrityError as e:
                return f"{isinstance(e, DBAPIError)} {e.connection_invalidated}"
            return "taken"

        assert await db.write(twice) == "True False"
        await db.close()

    asyncio.run(go())


@pytest.mark.both
def test_truth_values_are_what_they_are_on_both(database_url: str, keyring: Keyring) -> None:
    async def go() -> object:
        db = SqlDatabase(database_url, keyring)

        def fill(tx: Tx) -> object:
            conn = in_sql(tx).conn
            NEW.run(conn, {"id": "p"})
            mine = {"id": "x", "person_id": "p", "system": "s", "external_id": "e", "username": "u", "canonical": "u"}
            conn.execute(insert(accounts).values(**mine, state="active", privileged=True))
            return PRIVILEGED.first(conn, {"id": "x"}).privileged

        found = await db.write(fill)
        await db.close()
        return found

    assert asyncio.run(go()) is True


def test_names_become_the_marks_of_the_driver() -> None:
    assert marked("SELECT :n, x::text LIKE '%' WHERE a = :long", n="int") == (
        "SELECT %(n)s::int, x::text LIKE '%%' WHERE a = %(long)s"
    )


def test_what_is_undone_leaves_prepared_statements_alone(make_database: Callable[[str], str], keyring: Keyring) -> None:
    """Psycopg drops all of a connection's when it sees a ROLLBACK go by; each would be planned anew."""

    async def go() -> None:
        db = SqlDatabase(make_database("postgres"), keyring)

        def refuse(tx: Tx) -> None:
            SOME.all(in_sql(tx).conn, {"ids": ["a"]})
            raise Refusal("wrong_state")

        def work(tx: Tx) -> None:
            SOME.all(in_sql(tx).conn, {"ids": ["a"]})

        def prepared(tx: Tx) -> int:
            return len(
                rows_of(in_sql(tx).conn, "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%people%'")
            )

        for _ in range(8):
            await db.write(work)
        assert await db.write(prepared) == 1
        with pytest.raises(Refusal):
            await db.write(refuse)
        together = await asyncio.gather(
            *(db.write(f) for f in (work, refuse, work, refuse, work)), return_exceptions=True
        )
        assert [isinstance(x, Refusal) for x in together] == [False, True, False, True, False]
        assert await db.write(prepared) == 1
        await db.close()

    asyncio.run(go())


def test_whoever_asks_for_a_commit_of_its_own_gets_it_at_once_the_next_time(
    make_database: Callable[[str], str], keyring: Keyring
) -> None:
    async def go() -> None:
        db = SqlDatabase(make_database("postgres"), keyring)
        begun: list[int] = []

        def alone(tx: Tx) -> None:
            begun.append(1)
            tx.people.lock("nobody")

        def shares(tx: Tx) -> None:
            in_sql(tx).conn.execute(text("SELECT 1"))

        await db.write(shares)
        for round_ in range(2):
            begun.clear()
            await asyncio.gather(*(db.write(f) for f in (shares, alone, shares)))
            assert len(begun) == (2 if round_ == 0 else 1)  # the first time in vain
        await db.close()

    asyncio.run(go())


@pytest.mark.both
def test_what_is_due_is_found_whoever_wrote_it(database_url: str, keyring: Keyring) -> None:
    async def go() -> None:
        db = SqlDatabase(database_url, keyring)

        async def due() -> frozenset[str]:
            return await db.read(lambda tx: tx.due())

        def put(tx: Tx) -> None:
            later = Job(tx.new_id(), "bulk", {}, tx.now, tx.now + HOUR, due_at=tx.now + HOUR)
            tx.outbox.put([Job(tx.new_id(), "apply", {}, tx.now, tx.now + HOUR), later])

        assert await due() == frozenset()
        await db.write(put)
        assert await due() == {"apply"}
        assert len(await db.write(lambda tx: tx.outbox.claim("apply", 5, HOUR))) == 1
        assert await due() == frozenset()  # it is leased
        assert len(await db.write(lambda tx: tx.outbox.claim("bulk", 5, -HOUR))) == 0
        await db.close()

    asyncio.run(go())


@pytest.mark.slow
@pytest.mark.both
def test_whoever_does_not_fit_into_the_next_commit_is_sent_away(database_url: str, keyring: Keyring) -> None:
    """Those who are let in do not wait for all the others, and nothing of theirs is lost."""

    async def go() -> None:
        db = SqlDatabase(database_url, keyring)
        new = [intake() for _ in range(MOST_WAITING + 50)]
        ends = await asyncio.gather(*(db.write_down(i) for i in new), return_exceptions=True)
        away = [i for i, end in zip(new, ends, strict=True) if isinstance(end, StorageDown)]
        assert len(away) == 50
        assert await db.read(lambda tx: tx.intakes.waiting()) == MOST_WAITING
        assert await db.read(lambda tx: tx.intakes.get(away[0].handle)) is None
        await db.write_down(away[0])  # and later there is room
        await db.close()

    asyncio.run(go())
