"""Serving: refusals at the start, readiness, metrics, wake-ups across processes."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from keyback import serving
from keyback.settings import Settings
from keyback.storage.database import SqlDatabase, make_engine
from keyback.storage.health import schema_of
from keyback.storage.keys.keyring import Keyring
from keyback.web.app import make_app
from keyback.web.health import READINESS, Readiness
from keyback.web.http.server import bind
from tests.support.databases import with_database
from tests.support.kit import Kit
from tests.support.live import live, logged

MAIL = {"host": "127.0.0.1", "port": 1, "security": "plain", "sender": "keyback@example.com"}


def eventually(look: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until it is so; fails when it never is."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.02)


def settings(folder: Path, **over: Any) -> Settings:
    return Settings(**{"data_dir": folder, "keyring": Keyring.fresh_line(), "mail": MAIL, **over})


# ── starting ────────────────────────────────────────────────────────────────


@pytest.mark.covers("C8", "P1", "N-P15", "O-F5", "A-12.2.1")
@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"public_url": "http://recover.example.com"}, "Use https"),
        ({"mail": {}}, "mail.host is not set"),
        ({"keyring": "k1:" + "A" * 43}, "not random"),
        ({"database_url": "postgresql://127.0.0.1:1/none"}, "cannot be reached"),
        ({}, "keyback migrate"),
    ],
)
def test_what_cannot_be_safe_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], over: dict[str, Any], says: str
) -> None:
    with logged():
        assert serving.serve(settings(tmp_path, **over)) == 1
    err = capsys.readouterr().err
    assert says in err
    assert err.startswith("keyback: ")
    assert err.count("\n") == 1


def test_a_taken_address_is_named(tmp_path: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1:0") as taken, logged():
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert serving.serve(settings(tmp_path, database_url=sqlite_url, listen=listen)) == 1
    assert f"cannot listen on {listen}: Address already in use" in capsys.readouterr().err


def test_a_schema_of_a_later_version_is_served_an_older_one_is_not(database_url: str) -> None:
    engine = make_engine(database_url)
    assert schema_of(engine) == "current"
    with engine.connect().execution_options(writes=True) as c, c.begin():
        c.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert schema_of(engine) == "newer"
    with engine.connect().execution_options(writes=True) as c, c.begin():
        c.execute(text("DELETE FROM alembic_version"))
    assert schema_of(engine) == "empty"
    engine.dispose()


# ── readiness ───────────────────────────────────────────────────────────────


def answer(kit: Kit, extras: Any) -> tuple[int, dict[str, str]]:
    from keyback.web.app import make_context

    async def ask() -> httpx2.Response:
        desk = make_context(kit.settings, kit.services)
        desk.extras[READINESS] = extras
        transport = httpx2.ASGITransport(app=make_app(desk))
        async with httpx2.AsyncClient(transport=transport, base_url=kit.settings.public_url) as client:
            return await client.get("/readyz")

    r = kit.run(ask())
    return r.status_code, r.json()


def test_readiness_names_the_part_that_is_missing(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit()

    async def fits() -> bool:
        return True

    async def outdated() -> bool:
        return False

    fine = {"status": "ok", "database": "ok", "schema": "ok", "worker": "ok"}
    bad = {**fine, "status": "unavailable"}
    assert answer(kit, Readiness(lambda: 1.0, fits)) == (200, fine)
    assert answer(kit, Readiness(lambda: 31.0, fits)) == (503, {**bad, "worker": "stuck"})
    assert answer(kit, Readiness(lambda: 1.0, outdated)) == (503, {**bad, "schema": "outdated"})
    assert answer(kit, Readiness()) == (200, {"status": "ok", "database": "ok"})


def admin(base: str, *sql: str) -> None:
    engine = make_engine(with_database(base, "postgres")).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        for s in sql:
            c.execute(text(s))
    engine.dispose()


def name_of(url: str) -> str:
    found = re.search(r"kb_[0-9a-f]+", url)
    assert found
    return found[0]


def kick_out(name: str) -> str:
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


@pytest.mark.covers("Q4", "A-16.5.2")
def test_readiness_follows_the_database_away_and_back(
    make_database: Callable[[str], str], postgres_server: str, tmp_path: Path
) -> None:
    url = make_database("postgres")
    name = name_of(url)
    with live(url, tmp_path) as site, site.client() as client:

        def ready() -> int:
            return client.get("/readyz").status_code

        def ask() -> int:
            return client.post("/api/v1/recoveries", json={"identifier": "maya"}).status_code

        assert (ready(), ask()) == (200, 202)
        admin(postgres_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", kick_out(name))
        eventually(lambda: ready() == 503)
        assert client.get("/readyz").json()["database"] == "down"
        assert client.get("/healthz").status_code == 200
        assert ask() == 503
        admin(postgres_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        eventually(lambda: ready() == 200)
        assert ask() == 202
        eventually(lambda: site.read(lambda tx: tx.intakes.waiting()) == 0)


# ── wake-ups ────────────────────────────────────────────────────────────────


@pytest.mark.covers("Q4")
def test_another_process_wakes_the_worker_also_after_a_lost_connection(
    make_database: Callable[[str], str], postgres_server: str, make_kit: Callable[..., Kit]
) -> None:
    url = make_database("postgres")
    web, worker = make_kit(url=url), make_kit(url=url)

    async def waker() -> asyncio.Event:
        return worker.services.db.waker()

    async def woken(event: asyncio.Event) -> None:
        async with asyncio.timeout(20):
            await event.wait()

    event = worker.run(waker())
    db = worker.services.db
    assert isinstance(db, SqlDatabase)
    assert db._listener is not None
    for round_ in (1, 2):
        eventually(lambda n=round_: db._listener.connections == n)  # type: ignore[misc,union-attr]
        worker.run(woken(event))  # one for what was missed before it listened
        event.clear()
        web.write(lambda tx: tx.conn.exec_driver_sql("NOTIFY keyback"))
        worker.run(woken(event))
        event.clear()
        admin(postgres_server, kick_out(name_of(url)) + " AND query LIKE 'LISTEN%'")


def test_sqlite_needs_no_listener(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit()
    kit.services.db.listen()  # type: ignore[attr-defined]
    assert kit.services.db._listener is None  # type: ignore[attr-defined]


# ── metrics ─────────────────────────────────────────────────────────────────


@pytest.mark.covers("C8", "A-13.4.5")
def test_metrics_count_by_pattern_and_stay_on_their_own_address(sqlite_url: str, tmp_path: Path) -> None:
    with bind("127.0.0.1:0") as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with live(sqlite_url, tmp_path, metrics_listen=address) as site, site.client() as client:
        handle = client.post("/api/v1/recoveries", json={"identifier": "nobody@example.com"}).json()["handle"]
        client.get(f"/r/{handle}")
        client.get("/static/c0ffee/none.css")
        client.get("/no/such/address?with=query")
        client.get("/api/v1/none")
        assert client.get("/metrics").status_code == 404
        eventually(lambda: site.read(lambda tx: tx.intakes.waiting()) == 0)
        with httpx2.Client(trust_env=False) as other:
            text_ = other.get(f"http://{address}/metrics").text
            assert other.get(f"http://{address}/").status_code == 404
    values = dict(line.rsplit(" ", 1) for line in text_.splitlines() if not line.startswith("#"))
    count = 'keyback_http_requests_total{{method="{}",route="{}",status="{}"}}'
    assert values[count.format("POST", "/api/v1/recoveries", 202)] == "1.0"
    assert values[count.format("GET", "/r/{handle}", 403)] == "1.0"
    assert values[count.format("GET", "/static/{hash}/{name}", 404)] == "1.0"
    assert values[count.format("GET", "unmatched", 404)] == "2.0"
    assert values[count.format("GET", "/api/v1/*", 404)] == "1.0"
    assert values["keyback_intakes_resolved_total"] == values["keyback_intakes_unmatched_total"] == "1.0"
    assert values["keyback_db_up"] == "1.0"
    assert float(values["keyback_worker_beat_age_seconds"]) < 60
    assert {"keyback_hash_permits", "keyback_db_commits_total", "keyback_outbox_oldest_seconds"} <= set(values)
    for leak in (handle, "nobody@", "no/such", "with=query", "c0ffee"):
        assert leak not in text_
