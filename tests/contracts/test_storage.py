"""What `application.ports.storage` promises, held by storage on both databases."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from bench import seed
from keyback.application.ports.storage import Job, StorageDown, StorageFull, Tx
from keyback.domain import units
from keyback.domain.challenges import challenge as ch
from keyback.domain.errors import Refusal
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR
from keyback.storage import database as database_module
from keyback.storage.database import SqlDatabase
from keyback.storage.keys import keyfile
from keyback.storage.keys.keyring import Keyring, KeyringError, Unsealable
from tests.support.kit import Clock, person
from tests.support.rows import dump, intake

pytestmark = pytest.mark.both

MINUTE = units.MINUTE
Do = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


class Opened:
    """Databases of one test and the loop that they run in."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self.runner = asyncio.Runner()
        self.all: list[SqlDatabase] = []

    def __call__(self, url: str, clock: Callable[[], int] | None = None, keyring: Keyring | None = None) -> SqlDatabase:
        self.all.append(SqlDatabase(url, keyring or self.keyring, clock=clock))
        return self.all[-1]

    def run(self, fn: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return self.runner.run(fn())

    def write(self, db: SqlDatabase, fn: Callable[[Any], Any]) -> Any:
        return self.runner.run(db.write(fn))

    def read(self, db: SqlDatabase, fn: Callable[[Any], Any]) -> Any:
        return self.runner.run(db.read(fn))


@pytest.fixture
def opened(keyring: Keyring) -> Iterator[Opened]:
    o = Opened(keyring)
    yield o
    for db in o.all:
        o.runner.run(db.close())
    o.runner.close()


def note(tx: Tx, n: int) -> int:
    tx.audit.record("test", [Note("counted", {"n": n})])
    return n


def job(n: int, now: int, *, life: int = 60 * MINUTE, **body: Any) -> Job:
    return Job(f"job-{n:018}", "mail", {"letter": "recovery", **body}, now + n, now + life)


def count(db: SqlDatabase, table: str) -> int:
    with db.engine.connect() as conn:
        return int(conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def new_case(tx: Tx, person_id: str) -> Case:
    opening = dc.decide(Case(""), dc.Open(person_id, "password", "standard", ()), tx.now)
    return tx.cases.act(Case(tx.new_id()), opening)


def new_challenge(tx: Tx, c: Case, n: int = 0) -> ch.Challenge:
    made = ch.Challenge(
        tx.new_id(), "recovery", ch.EMAIL_LINK, c.person_id, tx.random(32), 0, tx.now, tx.now + MINUTE,
        handle="h" * 22, case_id=c.id, target="c" * 22,
    )  # fmt: skip
    tx.challenges.issue([made])
    return made


def someone(tx: Tx, name: str = "maya") -> str:
    tx.people.save_imported([person(name)])
    return tx.people.match([name])[name][0].person.id


# ── transactions ────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("INV-I8", "P7")
def test_concurrent_writes_share_commits_and_one_that_fails_undoes_only_itself(
    database_url: str, opened: Opened
) -> None:
    db = opened(database_url)
    waiting, go_on = threading.Event(), threading.Event()

    def first(tx: Tx) -> int:
        waiting.set()
        assert go_on.wait(60)
        return note(tx, 0)

    def fails(tx: Any, n: int) -> None:
        note(tx, n)
        tx.outbox.put([job(n, tx.now)])  # wakes the worker, if it were kept
        raise Refusal("wrong_state")

    async def go() -> list[Any]:
        woken = db.waker()
        held = asyncio.create_task(db.write(first))
        await asyncio.to_thread(waiting.wait, 10)
        rest = [
            asyncio.create_task(
                db.write((lambda tx, n=n: fails(tx, n)) if n % 10 == 3 else (lambda tx, n=n: note(tx, n)))
            )
            for n in range(1, 101)
        ]
        await asyncio.sleep(0)
        go_on.set()
        done = await asyncio.gather(held, *rest, return_exceptions=True)
        if db.sqlite:  # elsewhere the listener announces itself once
            assert not woken.is_set()
        return done

    done = opened.run(go)
    assert [d for d in done if isinstance(d, int)] == [n for n in range(101) if n % 10 != 3]
    assert sum(isinstance(d, Refusal) for d in done) == 10
    assert db.commits <= 3
    rows = opened.read(db, lambda tx: tx.audit.rows())
    assert [r["data"] for r in rows] == [f'{{"n":{n}}}' for n in range(101) if n % 10 != 3]
    assert [r["seq"] for r in rows] == list(range(1, 92))
    assert count(db, "outbox") == 0


def test_a_write_that_fails_alone_leaves_nothing_and_the_next_one_works(database_url: str, opened: Opened) -> None:
    db = opened(database_url)

    def fails(tx: Any) -> None:
        note(tx, 1)
        tx.outbox.put([job(1, tx.now)])
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        opened.write(db, fails)
    assert (count(db, "outbox"), count(db, "events")) == (0, 0)
    assert opened.write(db, lambda tx: note(tx, 2)) == 2


def test_reads_see_one_snapshot(database_url: str, opened: Opened) -> None:
    db = opened(database_url)
    opened.write(db, lambda tx: note(tx, 1))
    before, written = threading.Event(), threading.Event()

    def look(tx: Any) -> tuple[int, int]:
        first = tx.audit.head()[0]
        before.set()
        assert written.wait(60)
        return first, tx.audit.head()[0]

    async def go() -> tuple[int, int]:
        reading = asyncio.create_task(db.read(look))
        await asyncio.to_thread(before.wait, 10)
        await db.write(lambda tx: note(tx, 2))
        written.set()
        return await reading

    assert opened.run(go) == (1, 1)
    assert opened.read(db, look) == (2, 2)


def test_many_requests_are_written_down_in_few_commits(database_url: str, opened: Opened) -> None:
    db = opened(database_url)

    async def go() -> None:
        await asyncio.gather(*(db.write_down(intake()) for _ in range(300)))

    opened.run(go)
    assert count(db, "intakes") == 300
    assert db.commits <= 3


@pytest.mark.covers("B15", "INV-I10", "INV-I4")
def test_a_request_that_cannot_be_stored_takes_no_other_along(
    opened: Opened, make_database: Callable[[str], str]
) -> None:
    db = opened(make_database("postgres"))
    canary = "canary-in-a-parameter\0"

    async def go() -> list[Any]:
        good = [db.write_down(intake()) for _ in range(20)]
        bad = db.write_down(intake(system=canary))
        return await asyncio.gather(*good, bad, *(db.write_down(intake()) for _ in range(20)), return_exceptions=True)

    answers = opened.run(go)
    assert [i for i, a in enumerate(answers) if a is not None] == [20]
    assert "canary" not in f"{answers[20]!r} {answers[20]}"
    assert count(db, "intakes") == 40


@pytest.mark.covers("INV-I4")
def test_errors_of_the_database_do_not_quote_what_was_to_be_stored(database_url: str, opened: Opened) -> None:
    db = opened(database_url)
    wrong = text("INSERT INTO nowhere (id) VALUES (:a)")
    with pytest.raises((DBAPIError, StorageDown)) as failed:
        opened.write(db, lambda tx: tx.conn.execute(wrong, {"a": "canary-7"}))
    assert "canary-7" not in f"{failed.value} {failed.value!r}"


# ── faults ──────────────────────────────────────────────────────────────────


@pytest.mark.covers("Q4", "D13")
def test_after_the_database_was_gone_everything_works_again(
    opened: Opened, make_database: Callable[[str], str]
) -> None:
    url = make_database("postgres")
    db, admin = opened(url), opened(url)
    kill = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    acknowledged: list[int] = []
    refused = 0

    async def one(n: int) -> None:
        nonlocal refused
        try:
            acknowledged.append(await db.write(lambda tx: note(tx, n)))
        except StorageDown:
            refused += 1

    async def go() -> None:
        for round_ in range(8):
            writes = [asyncio.create_task(one(round_ * 100 + n)) for n in range(20)]
            await asyncio.sleep(0)

            def terminate() -> None:
                with admin.engine.connect() as conn:
                    conn.execute(kill)

            await asyncio.to_thread(terminate)
            await asyncio.gather(*writes)
            await db.read(lambda tx: tx.audit.head())  # a dead connection in the pool is noticed before it is used
        await db.write(lambda tx: note(tx, 9999))

    opened.run(go)
    rows = opened.read(db, lambda tx: tx.audit.rows())
    stored = [r["data"] for r in rows]
    assert len(acknowledged) + refused == 160
    assert {f'{{"n":{n}}}' for n in acknowledged} <= set(stored)  # what was answered is there
    assert len(stored) == len(set(stored))  # nothing twice
    assert [r["seq"] for r in rows] == list(range(1, len(rows) + 1))
    assert stored[-1] == '{"n":9999}'


@pytest.mark.covers("D13", "INV-I11")
def test_a_database_that_cannot_be_reached_is_storage_down(opened: Opened, postgres_server: str) -> None:
    from tests.support.databases import with_database

    db = opened(with_database(postgres_server, "kb_is_not_there"))
    with pytest.raises(StorageDown) as failed:
        opened.write(db, lambda tx: note(tx, 1))
    assert "kb_is_not_there" not in str(failed.value)
    with pytest.raises(StorageDown):
        opened.read(db, lambda tx: tx.audit.head())


@pytest.mark.covers("Q8", "P7")
def test_a_full_disk_is_refused_whole_and_needs_no_repair(sqlite_url: str, opened: Opened) -> None:
    db = opened(sqlite_url)

    def limit(pages: int) -> Callable[[Any], int]:
        return lambda tx: int(tx.conn.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar_one())

    opened.write(db, lambda tx: note(tx, 0))
    now_used = opened.read(db, lambda tx: tx.conn.exec_driver_sql("PRAGMA page_count").scalar_one())
    opened.write(db, limit(now_used + 2))

    def much(tx: Any) -> None:
        tx.outbox.put([job(n, tx.now, filler="x" * 900) for n in range(100)])
        note(tx, 1)

    with pytest.raises(StorageFull):
        opened.write(db, much)
    assert (count(db, "outbox"), count(db, "events")) == (0, 1)
    opened.write(db, limit(1_000_000))
    opened.write(db, much)
    assert (count(db, "outbox"), count(db, "events")) == (100, 2)
    with db.engine.connect() as conn:
        assert conn.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


@pytest.mark.covers("P7", "A-16.5.3", "C-6", "A-2.3.3")
def test_what_cannot_be_audited_does_not_happen(database_url: str, opened: Opened) -> None:
    db = opened(database_url)
    with db.engine.begin() as conn:
        conn.execute(text("ALTER TABLE events RENAME TO events_away"))

    def effect(tx: Any) -> str:
        return str(new_case(tx, someone(tx)).id)

    with pytest.raises((StorageDown, DBAPIError)):
        opened.write(db, effect)
    assert (count(db, "cases"), count(db, "people")) == (0, 0)
    with db.engine.begin() as conn:
        conn.execute(text("ALTER TABLE events_away RENAME TO events"))
    opened.write(db, effect)
    assert (count(db, "cases"), count(db, "events")) == (1, 1)


@pytest.mark.covers("INV-I11", "Q12")
def test_nodes_that_wait_for_each_other_both_get_their_answer(
    opened: Opened, make_database: Callable[[str], str]
) -> None:
    url = make_database("postgres")
    one, other = opened(url), opened(url)
    locked = threading.Barrier(2, timeout=10)
    runs = {"one": 0, "other": 0}

    def cross(name: str, keys: tuple[str, str]) -> Callable[[Any], None]:
        def fn(tx: Any) -> None:
            runs[name] += 1
            tx.counters.add([keys[0]])
            if runs[name] == 1:
                locked.wait()
            tx.counters.add([keys[1]])
            note(tx, len(name))

        return fn

    async def go() -> None:
        await asyncio.gather(one.write(cross("one", ("a", "b"))), other.write(cross("other", ("b", "a"))))

    opened.run(go)
    assert sorted(runs.values()) == [1, 2]
    assert [opened.read(one, lambda tx, k=k: tx.counters.get(k).total) for k in ("a", "b")] == [2, 2]
    assert count(one, "events") == 2


def test_a_closed_database_takes_nothing(sqlite_url: str, keyring: Keyring) -> None:
    async def go() -> None:
        db = SqlDatabase(sqlite_url, keyring)
        await db.write(lambda tx: note(tx, 1))
        await db.close()
        with pytest.raises(StorageDown):
            await db.write(lambda tx: note(tx, 2))

    asyncio.run(go())


# ── leases ──────────────────────────────────────────────────────────────────


@pytest.mark.covers("Q12", "Q2")
def test_an_old_holder_of_a_lease_can_do_nothing_any_more(database_url: str, opened: Opened) -> None:
    clock = Clock()
    db = opened(database_url, clock)
    opened.write(db, lambda tx: tx.outbox.put([job(1, tx.now)]))
    (old,) = opened.write(db, lambda tx: tx.outbox.claim("mail", 10, 2 * MINUTE))
    assert opened.write(db, lambda tx: tx.outbox.claim("mail", 10, 2 * MINUTE)) == []
    clock.forward(minutes=2)
    (new,) = opened.write(db, lambda tx: tx.outbox.claim("mail", 10, 2 * MINUTE))
    assert (new.id, new.attempts, new.fence) == (old.id, 2, old.fence + 1)
    assert not opened.write(db, lambda tx: tx.outbox.holds(old))
    assert not opened.write(db, lambda tx: tx.outbox.retry(old, clock.now, "x"))
    assert not opened.write(db, lambda tx: tx.outbox.give_up(old, "x"))
    opened.write(db, lambda tx: tx.outbox.done([old]))
    assert opened.write(db, lambda tx: tx.outbox.holds(new))
    opened.write(db, lambda tx: tx.outbox.done([new]))
    assert count(db, "outbox") == 0


@pytest.mark.covers("Q12")
@pytest.mark.parametrize("what", ["outbox", "intakes"])
def test_two_nodes_never_get_the_same_row(opened: Opened, make_database: Callable[[str], str], what: str) -> None:
    url = make_database("postgres")
    nodes = [opened(url), opened(url)]

    def claim(tx: Any) -> list[str]:
        if what == "outbox":
            return [j.id for j in tx.outbox.claim("mail", 7, MINUTE)]
        return [i.handle for i in tx.intakes.claim(7)]

    async def go() -> list[str]:
        for _ in range(8):  # plans are cached while the queue is empty
            for db in nodes:
                assert await db.write(claim) == []
        for db in nodes:
            with db.engine.begin() as conn:
                conn.execute(text(f"ANALYZE {what}"))
        if what == "outbox":
            await nodes[0].write(lambda tx: tx.outbox.put([job(n, tx.now - 9999) for n in range(600)]))
        else:
            await nodes[0].write(lambda tx: tx.intakes.add([intake() for _ in range(600)]))
        taken: list[str] = []

        async def worker(db: SqlDatabase) -> None:
            while True:
                got = await db.write(claim)
                assert len(got) <= 7
                if not got:
                    return
                taken.extend(got)

        await asyncio.gather(*(worker(db) for db in nodes for _ in range(3)))
        return taken

    taken = opened.run(go)
    assert len(taken) == len(set(taken)) == 600


def test_a_claim_skips_what_another_node_is_taking(opened: Opened, make_database: Callable[[str], str]) -> None:
    url = make_database("postgres")
    one, other = opened(url), opened(url)
    opened.write(one, lambda tx: tx.outbox.put([job(n, tx.now - 99) for n in range(10)]))
    has, go_on = threading.Event(), threading.Event()

    def slow(tx: Any) -> list[Job]:
        got = tx.outbox.claim("mail", 5, MINUTE)
        has.set()
        assert go_on.wait(60)
        return list(got)

    async def go() -> tuple[list[Job], list[Job]]:
        first = asyncio.create_task(one.write(slow))
        await asyncio.to_thread(has.wait, 10)
        second = await other.write(lambda tx: tx.outbox.claim("mail", 10, MINUTE))  # does not wait for the first
        go_on.set()
        return await first, second

    first, second = opened.run(go)
    assert (len(first), len(second)) == (5, 5)
    assert not {j.id for j in first} & {j.id for j in second}


def test_a_row_that_cannot_be_read_is_given_out_empty(database_url: str, opened: Opened) -> None:
    db = opened(database_url)
    opened.write(db, lambda tx: tx.outbox.put([job(n, tx.now - 99) for n in range(3)]))
    with db.engine.begin() as conn:
        conn.execute(text("UPDATE outbox SET body = '{\"letter\": ' WHERE id = :i"), {"i": job(1, 0).id})
    got = opened.write(db, lambda tx: tx.outbox.claim("mail", 10, MINUTE))
    assert [dict(j.body) for j in got] == [{"letter": "recovery"}, {}, {"letter": "recovery"}]


@pytest.mark.covers("Q10")
def test_an_intake_of_a_key_that_is_gone_holds_up_no_other(sqlite_url: str, opened: Opened) -> None:
    first, second = secrets.token_bytes(32), secrets.token_bytes(32)
    old, new = opened(sqlite_url, keyring=Keyring({"k1": first})), opened(sqlite_url, keyring=Keyring({"k2": second}))
    opened.write(old, lambda tx: tx.intakes.add([intake("old" * 7)]))
    opened.write(new, lambda tx: tx.intakes.add([intake("new" * 7)]))
    assert [i.handle for i in opened.write(new, lambda tx: tx.intakes.claim(10))] == ["new" * 7]
    assert opened.write(new, lambda tx: tx.intakes.claim(10)) == []


# ── once, and counted ───────────────────────────────────────────────────────


@pytest.mark.covers("C15", "INV-I1", "A-15.4.2", "A-2.3.4")
def test_a_challenge_ends_for_exactly_one_of_fifty(database_url: str, opened: Opened) -> None:
    nodes = [opened(database_url), opened(database_url)]
    made = opened.write(nodes[0], lambda tx: new_challenge(tx, new_case(tx, someone(tx))))

    async def go() -> list[bool]:
        return await asyncio.gather(
            *(nodes[n % 2].write(lambda tx: tx.challenges.end(made.id, "used")) for n in range(50))
        )

    assert sum(opened.run(go)) == 1


@pytest.mark.covers("D1")
def test_counters_lose_nothing_under_fifty(database_url: str, opened: Opened) -> None:
    nodes = [opened(database_url), opened(database_url)]

    async def go() -> list[int]:
        found = await asyncio.gather(
            *(nodes[n % 2].write(lambda tx: tx.counters.add(["code/x", "mail/x", "code/x"])) for n in range(50))
        )
        return sorted(c["code/x"].total for c in found)

    assert opened.run(go) == list(range(2, 101, 2))
    assert opened.read(nodes[0], lambda tx: tx.counters.get("mail/x").hour) == 50


def test_hours_and_days_begin_anew_and_totals_stay(database_url: str, opened: Opened) -> None:
    clock = Clock()
    db = opened(database_url, clock)

    def add() -> tuple[int, int, int]:
        c = opened.write(db, lambda tx: tx.counters.add(["k"])["k"])
        return c.total, c.hour, c.day

    assert [add(), add()] == [(1, 1, 1), (2, 2, 2)]
    clock.now += HOUR - 1
    assert add() == (3, 3, 3)
    clock.now += 1
    assert add() == (4, 4, 4), "the last one is no hour old"
    clock.forward(hours=24)
    assert opened.read(db, lambda tx: tx.counters.get("k").hour) == 0
    assert add() == (5, 1, 1)
    opened.write(db, lambda tx: tx.counters.reset("k"))
    assert add() == (1, 2, 2)


def test_a_person_has_one_open_case(database_url: str, opened: Opened) -> None:
    db = opened(database_url)
    pid = opened.write(db, lambda tx: someone(tx))
    c = opened.write(db, lambda tx: new_case(tx, pid))
    with pytest.raises(StorageDown):
        opened.write(db, lambda tx: new_case(tx, pid))
    opened.write(db, lambda tx: tx.cases.act(tx.cases.get(c.id), dc.decide(c, dc.Cancel("owner"), tx.now)))
    opened.write(db, lambda tx: new_case(tx, pid))
    assert count(db, "cases") == 2


def test_a_case_that_was_changed_meanwhile_is_not_written_over(database_url: str, opened: Opened) -> None:
    db = opened(database_url)
    c = opened.write(db, lambda tx: new_case(tx, someone(tx)))
    events = dc.decide(c, dc.SendChallenge("x", "h", "c"), c.opened_at)
    after = opened.write(db, lambda tx: tx.cases.act(c, events))
    with pytest.raises(Refusal, match="conflict"):
        opened.write(db, lambda tx: tx.cases.act(c, events))
    assert opened.read(db, lambda tx: tx.cases.get(c.id)) == after
    assert count(db, "events") == 2


def test_a_handle_that_is_there_is_left_as_it_is(database_url: str, opened: Opened) -> None:
    db = opened(database_url)
    handle = "h" * 22
    opened.write(db, lambda tx: tx.intakes.add([intake(handle)]))
    opened.write(db, lambda tx: tx.intakes.add([intake(handle, identifier="eve"), intake("i" * 22)]))
    assert opened.read(db, lambda tx: tx.intakes.get(handle).identifier) == "maya@example.com"
    assert count(db, "intakes") == 2


@pytest.mark.covers("Q14")
def test_two_nodes_with_clocks_a_day_apart_go_by_the_database(
    opened: Opened, make_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database("postgres")
    right, wrong = opened(url), opened(url)
    real = time.time_ns
    for day in (-1, 1):
        monkeypatch.setattr(database_module.time, "time_ns", lambda day=day: real() + day * 86_400 * 10**9)
        monkeypatch.setattr(database_module.time, "time", lambda day=day: real() / 1e9 + day * 86_400)
        a, b = opened.write(right, lambda tx: tx.now), opened.write(wrong, lambda tx: tx.now)
        assert abs(a - b) < 10_000
        assert abs(a - real() // 1_000_000) < 10_000
        handle = secrets.token_urlsafe(16)[:22]
        there = time.time_ns() // 1_000_000  # what a face of that node would say
        written = intake(handle, asked_at=there, expires_at=there + HOUR)
        opened.runner.run(wrong.write_down(written))
        found = opened.read(right, lambda tx, handle=handle: tx.intakes.get(handle))
        assert abs(found.asked_at - a) < 10_000
        assert found.expires_at - found.asked_at == HOUR


def test_many_and_odd_identifiers_are_looked_up_at_once(database_url: str, opened: Opened) -> None:
    odd = ["a,b", "{c}", 'd"e', "f\\g", "null", "[]", "h'i", "名字", "%s", "%(x)s", ":y", "j k"]
    db = opened(database_url)
    opened.write(db, lambda tx: tx.people.save_imported([person(f"p{i}", username=o) for i, o in enumerate(odd)]))
    nobody = [f"nobody{i}" for i in range(3000)]
    assert opened.read(db, lambda tx: tx.people.match([*nobody, *odd])).keys() == set(odd)
    assert not opened.read(db, lambda tx: tx.people.match([]))


@pytest.mark.covers("L10")
def test_a_sign_in_reads_few_rows_of_many(opened: Opened, make_database: Callable[[str], str]) -> None:
    db = opened(make_database("postgres"))
    opened.write(db, lambda tx: (seed.people(tx.conn, 3000), tx.conn.exec_driver_sql("ANALYZE")))
    for name in (seed.known(7), "user00000007", seed.unknown(7)):
        asked: list[tuple[str, Any]] = []

        def note_it(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any, asked: Any = asked) -> None:
            asked.append((statement, values))

        def look(tx: Any, name: str = name, asked: Any = asked, note_it: Any = note_it) -> list[str]:
            event.listen(db.engine, "before_cursor_execute", note_it)
            tx.people.sign_in_rows("builtin", name)
            event.remove(db.engine, "before_cursor_execute", note_it)
            ((statement, values),) = asked
            told = tx.conn.exec_driver_sql(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}", values)
            return [r[0] for r in told]

        plan = "\n".join(opened.write(db, look))
        assert max(int(n) for n in re.findall(r"(?:rows=|Removed by Filter: )(\d+)", plan)) <= 2, (name, plan)


def test_a_plan_made_for_an_empty_table_goes_by_index(opened: Opened, make_database: Callable[[str], str]) -> None:
    """Such a plan is kept, for a foreign key too, and would read all of the table for every row once there are some."""
    db = opened(make_database("postgres"))
    look = "EXPLAIN SELECT 1 FROM cases WHERE id = 'x' FOR KEY SHARE"

    def plan(tx: Any) -> str:
        tx.conn.exec_driver_sql("ANALYZE cases")
        return " ".join(r[0] for r in tx.conn.exec_driver_sql(look))

    assert "Index Scan" in opened.write(db, plan)


# ── keys and what lies in the database ──────────────────────────────────────


@pytest.mark.covers("C12", "INV-I4")
def test_a_typed_identifier_does_not_lie_in_clear(database_url: str, opened: Opened) -> None:
    db = opened(database_url)
    opened.runner.run(db.write_down(intake(identifier="canary-typed-by-mistake")))
    assert "canary" not in dump(db)
    (found,) = opened.write(db, lambda tx: tx.intakes.claim(5))
    assert found.identifier == "canary-typed-by-mistake"


def test_a_sealed_value_opens_only_where_it_belongs() -> None:
    ring = Keyring({"k1": secrets.token_bytes(32)})
    other = Keyring({"k1": secrets.token_bytes(32)})
    sealed = ring.seal(b"word", "password/c1", "j1")
    assert ring.open(sealed, "password/c1", "j1") == b"word"
    assert ring.seal(b"word", "password/c1", "j1") != sealed
    changed = [
        (ring, sealed, "password/c2", "j1"),
        (ring, sealed, "password/c1", "j2"),
        (other, sealed, "password/c1", "j1"),
        (ring, sealed[:-1] + bytes([sealed[-1] ^ 1]), "password/c1", "j1"),
        (ring, sealed[:20], "password/c1", "j1"),
        (ring, b"", "password/c1", "j1"),
        (ring, b"\x02" + sealed[1:], "password/c1", "j1"),
        (Keyring({"k2": secrets.token_bytes(32)}), sealed, "password/c1", "j1"),
    ]
    for keys, what, purpose, bound in changed:
        with pytest.raises(Unsealable):
            keys.open(what, purpose, bound)


def test_a_new_primary_key_seals_and_the_old_one_still_opens() -> None:
    one, two = secrets.token_bytes(32), secrets.token_bytes(32)
    before = Keyring({"k1": one})
    after = Keyring({"k2": two, "k1": one})
    assert after.open(before.seal(b"w", "p", "b"), "p", "b") == b"w"
    assert Keyring({"k2": two}).open(after.seal(b"w", "p", "b"), "p", "b") == b"w"
    assert after.derive("challenge", "k1") == before.derive("challenge") != after.derive("challenge")


@pytest.mark.covers("P1")
@pytest.mark.parametrize(
    "text_",
    [
        "",
        "# only a comment\n",
        "k1:",
        "k1:c2hvcnQ",
        "k1:" + "A" * 43,
        "k1:" + "AB" * 21 + "A",
        "k1 " + "A" * 43,
        "K1:" + "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE",
        "waytoolongid:" + "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE",
        "k1:abc!efghijklmnopqrstuvwxyz0123456789-_ABCDE",
    ],
)
def test_a_keyring_that_is_missing_short_or_not_random_is_refused(text_: str) -> None:
    with pytest.raises(KeyringError) as refused:
        Keyring.load(text_)
    assert "AB" * 5 not in str(refused.value)


@pytest.mark.covers("P1")
def test_a_keyring_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    made = keyfile.create(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert Keyring.load(path.read_text()).derive("x") == made.derive("x")
    with pytest.raises(FileExistsError):
        keyfile.create(path)
    assert path.read_text().split(":")[1].strip() not in repr(made)


@pytest.mark.covers("P1")
def test_equal_key_ids_twice_are_refused() -> None:
    lines = Keyring.fresh_line("k1") + "\n" + Keyring.fresh_line("k1")
    with pytest.raises(KeyringError):
        Keyring.load(lines)


# ── forgetting ──────────────────────────────────────────────────────────────


def test_counters_of_networks_and_ghosts_go_and_those_of_people_stay(database_url: str, opened: Opened) -> None:
    from keyback.application.retention import purge

    clock = Clock()
    db = opened(database_url, clock)
    goes = ["code/g/77", "pw/g/88", "pw/g/88/aa", "pw/n/99", "pw/account/net", "mail/p1"]
    stays = ["code/p1", "pw/account"]
    opened.write(db, lambda tx: tx.counters.add([*goes, *stays]))
    clock.forward(hours=72)
    opened.write(db, purge)
    with db.engine.connect() as conn:
        assert sorted(conn.execute(text("SELECT key FROM counters")).scalars()) == sorted(stays)
