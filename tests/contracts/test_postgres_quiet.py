"""A PostgreSQL that stops answering without closing, restarts, or breaks at the worst moment: what callers hear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from keyback import bootstrap
from keyback.application.ports.storage import StorageDown, StorageUnsure, Tx
from keyback.domain.recovery.events import Note
from keyback.outbound.watchdog import Watchdog
from keyback.storage import engine as engines
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring
from keyback.web.app import make_app, make_context
from tests.support.live import add_person, live
from tests.support.mute import Mute, muting
from tests.support.rows import intake

SHORT_S = 0.5


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.LIVELY, "connect_timeout", 2)


@pytest.fixture
def url(make_database: Callable[[str], str]) -> str:
    return make_database("postgres")


@pytest.fixture
def mute(url: str) -> Iterator[Mute]:
    with muting(url) as proxy:
        yield proxy


def note(tx: Tx, n: int) -> None:
    tx.audit.record("test", [Note("counted", {"n": n})])


def noted(url: str) -> list[str]:
    engine = engines.make_engine(url)
    with engine.connect() as conn:
        found = [r[0] for r in conn.execute(text("SELECT data FROM events ORDER BY seq"))]
    engine.dispose()
    return found


def end_connections(url: str) -> None:
    """What a restart of the server does to everybody who is connected."""
    engine = engines.make_engine(url)
    with engine.connect() as conn:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        conn.execute(text(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}"))
    engine.dispose()


def with_db(url: str, keyring: Keyring, work: Callable[[SqlDatabase], Any], patience_s: float | None = SHORT_S) -> Any:
    async def go() -> Any:
        db = SqlDatabase(url, keyring, patience_s=patience_s)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(asyncio.wait_for(go(), 60))


async def goes_on(work: Callable[[], Any]) -> None:
    """Until it is done; `with_db` ends one that never is."""
    while True:
        try:
            await work()
            return
        except StorageDown:
            continue


@pytest.mark.slow
@pytest.mark.covers("Q20", "INV-I11")
@pytest.mark.parametrize("journey", ["/forgot", "/find", "/api/v1/recoveries"])
def test_asking_is_answered_while_the_database_is_silent_and_goes_on_once_it_speaks(
    mute: Mute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journey: str
) -> None:
    monkeypatch.setattr(bootstrap, "PATIENCE_S", SHORT_S)
    with live(mute.url, tmp_path, worker=False) as site, site.client() as client:

        def ask() -> Any:
            if journey.startswith("/api/"):
                return client.post(journey, json={"identifier": "maya@example.com"})
            return client.post(journey, data={"identifier": "maya@example.com"})

        while ask().status_code == 503:  # its first connection may take a busy machine longer than it is patient
            pass
        mute.muted = True
        answer = ask()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["database"]) == (503, "down")
        assert client.get("/healthz").status_code == 200
        mute.muted = False
        while (answer := ask()).status_code == 503:
            pass
        assert answer.status_code in (202, 303)


@pytest.mark.slow
@pytest.mark.covers("Q20", "INV-I11", "D13")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/sign-in", {"identifier": "maya", "password": "correct horse battery staple"}),
        ("/api/v1/recoveries/{}/link", {"token": "x" * 43}),
    ],
)
def test_whatever_checks_a_secret_is_answered_while_the_database_is_silent(
    mute: Mute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, str]
) -> None:
    monkeypatch.setattr(bootstrap, "PATIENCE_S", SHORT_S)
    with live(mute.url, tmp_path, worker=False) as site, site.client() as client:
        asyncio.run(goes_on(lambda: asyncio.to_thread(add_person, site, "maya")))
        while (answer := client.post("/api/v1/recoveries", json={"identifier": "maya"})).status_code == 503:
            pass
        begun = answer.json()
        head = {"authorization": f"Bearer {begun['secret']}"}
        mute.muted = True
        for method, where in (("POST", path.format(begun["handle"])), ("GET", f"/api/v1/recoveries/{begun['handle']}")):
            answer = client.request(method, where, json=body if method == "POST" else None, headers=head)
            if answer.status_code != 404:
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), where


@pytest.mark.covers("Q20")
def test_what_nobody_waits_for_any_more_is_not_carried_out_later(mute: Mute, url: str, keyring: Keyring) -> None:
    async def work(db: SqlDatabase) -> None:
        await goes_on(lambda: db.write(lambda tx: note(tx, 1)))
        mute.muted = True
        under_way = asyncio.ensure_future(db.write(lambda tx: note(tx, 2)))
        await asyncio.sleep(0)
        queued = [asyncio.ensure_future(db.write(lambda tx, n=n: note(tx, n))) for n in (3, 4)]
        told = await asyncio.gather(under_way, *queued, return_exceptions=True)
        assert all(isinstance(e, StorageDown) for e in told)
        mute.muted = False
        await goes_on(lambda: db.write(lambda tx: note(tx, 5)))  # the one that hung was ended by the watchdog

    with_db(mute.url, keyring, work)
    assert not {'{"n":3}', '{"n":4}'} & set(noted(url))


@pytest.mark.slow
@pytest.mark.covers("Q20")
def test_reading_is_bounded_and_goes_on_too(mute: Mute, keyring: Keyring) -> None:
    async def work(db: SqlDatabase) -> None:
        await goes_on(lambda: db.read(lambda tx: tx.counters.get("k")))
        mute.muted = True
        reads = [db.read(lambda tx: tx.counters.get("k")) for _ in range(3 * engines.READERS)]
        told = await asyncio.gather(*reads, return_exceptions=True)
        assert [type(e) for e in told] == [StorageDown] * len(told)
        mute.muted = False
        await goes_on(lambda: db.read(lambda tx: tx.counters.get("k")))

    with_db(mute.url, keyring, work)


@pytest.mark.slow
@pytest.mark.covers("Q20")
def test_a_server_that_is_silent_from_the_first_byte_is_given_up(mute: Mute, keyring: Keyring) -> None:
    mute.muted = True

    async def work(db: SqlDatabase) -> None:
        for ask in (db.read, db.write):
            with pytest.raises(StorageDown):
                await ask(lambda tx: tx.counters.get("k"))
        with pytest.raises(StorageDown):
            await db.write_down(intake())

    with_db(mute.url, keyring, work)


@pytest.mark.covers("Q4")
@pytest.mark.parametrize("first", ["write", "read", "write_down"])
def test_the_first_request_after_a_restart_is_carried_out(url: str, keyring: Keyring, first: str) -> None:
    async def use(db: SqlDatabase, n: int) -> None:
        if first == "write":
            await db.write(lambda tx: note(tx, n))
        elif first == "read":
            await db.read(lambda tx: tx.counters.get("k"))
        else:
            await db.write_down(intake())

    async def work(db: SqlDatabase) -> None:
        await asyncio.gather(*(use(db, n) for n in range(8)))
        for round in (10, 20):
            end_connections(url)
            await use(db, round)

    with_db(url, keyring, work, None)


@pytest.mark.covers("Q4")
@pytest.mark.parametrize("first", ["write", "write_down"])
def test_a_connection_that_breaks_before_the_commit_is_replaced_and_the_work_done_once(
    mute: Mute, url: str, keyring: Keyring, first: str
) -> None:
    async def work(db: SqlDatabase) -> None:
        await db.write(lambda tx: note(tx, 1))
        await db.write_down(intake())
        mute.cut_on, mute.pass_on = b"INSERT INTO", False
        if first == "write":
            await db.write(lambda tx: note(tx, 2))
        else:
            await db.write_down(intake())

    with_db(mute.url, keyring, work, 10)
    assert noted(url) == ['{"n":1}', '{"n":2}'][: 2 if first == "write" else 1]


@pytest.mark.slow
@pytest.mark.covers("Q4", "Q20", "C14")
@pytest.mark.parametrize("how", ["cut", "mute"])
@pytest.mark.parametrize("arrives", [True, False])
def test_a_commit_without_an_answer_is_called_unsure_and_never_repeated(
    mute: Mute, url: str, keyring: Keyring, how: str, arrives: bool
) -> None:
    async def work(db: SqlDatabase) -> None:
        await db.write(lambda tx: note(tx, 1))
        mute.pass_on = arrives
        setattr(mute, f"{how}_on", b"COMMIT")
        with pytest.raises(StorageUnsure):
            await db.write(lambda tx: note(tx, 2))
        mute.muted = False

    # Long enough that a busy machine gets to the commit, too.
    with_db(mute.url, keyring, work, 10 if how == "cut" else 4 * SHORT_S)
    assert noted(url).count('{"n":2}') == int(arrives)


@pytest.mark.covers("Q4", "Q20")
def test_faces_say_that_it_is_not_known(make_kit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    kit = make_kit()

    async def unsure(fn: object) -> None:
        raise StorageUnsure("commit")

    monkeypatch.setattr(kit.services.db, "write", unsure)
    monkeypatch.setattr(kit.services.db, "write_down", unsure)
    desk = make_context(kit.settings, kit.services)
    client = TestClient(make_app(desk), base_url="http://127.0.0.1:8080", headers={"sec-fetch-site": "same-origin"})
    page = client.post("/forgot", data={"identifier": "maya"})
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "may or may not have been saved" in page.text
    for path, body in (
        ("/api/v1/recoveries", {"identifier": "maya"}),
        ("/api/v1/sign-in", {"identifier": "maya", "password": "correct horse battery staple"}),
    ):
        told = client.post(path, json=body)
        assert (told.status_code, told.json()["code"], told.headers["retry-after"]) == (503, "unconfirmed", "5")


@pytest.mark.covers("Q20", "Q12")
def test_who_waits_for_a_lock_too_long_takes_nobody_along(
    url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines.BOUNDED, "lock_timeout", 100)
    holder = engines.make_engine(url)
    with holder.connect() as conn, conn.begin():
        conn.execute(text("INSERT INTO counters VALUES ('k', 1, 0, 1, 0, 1)"))

        async def work(db: SqlDatabase) -> None:
            waits = asyncio.ensure_future(db.write(lambda tx: tx.counters.add(["k"])))
            others = [asyncio.ensure_future(db.write(lambda tx, n=n: note(tx, n))) for n in (1, 2)]
            told = await asyncio.gather(waits, *others, return_exceptions=True)
            assert [isinstance(e, StorageDown) for e in told] == [True, False, False]
            assert not isinstance(told[0], StorageUnsure)

        with_db(url, keyring, work, 10)
    holder.dispose()
    assert noted(url) == ['{"n":1}', '{"n":2}']


def test_connections_notice_a_server_that_is_gone() -> None:
    assert engines.lively("postgresql://db.example.com/keyback") == engines.LIVELY
    own = engines.lively("postgresql://db.example.com/keyback?connect_timeout=2&keepalives_idle=60")
    assert own == {k: v for k, v in engines.LIVELY.items() if k not in ("connect_timeout", "keepalives_idle")}
    assert {"keepalives", "tcp_user_timeout", "connect_timeout"} <= engines.LIVELY.keys()


def test_the_watchdog_ends_what_is_late_and_nothing_else() -> None:
    import socket

    now = [0.0]
    dog = Watchdog(5, lambda: now[0])
    near, far = socket.socketpair()
    dog.attach(near.fileno())  # outside of any work: nothing happens
    with near, far:
        with dog.holding():
            dog.attach(near.fileno())
            now[0] = 4.9
            assert dog.look() == 0
            far.send(b"x")
            assert near.recv(1) == b"x"
        now[0] = 100.0
        assert dog.look() == 0  # that work is over, and its connection stays
        far.send(b"y")
        assert near.recv(1) == b"y"
        with dog.holding():
            now[0] = 200.0
            dog.look()
            dog.attach(near.fileno())  # one that it turns to when it is late already
            assert near.recv(1) == b""
    dog.close()
