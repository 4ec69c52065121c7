"""A disk without room: readiness says so, and says when there is room again, without anybody's help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text
from starlette.testclient import TestClient

from keyback.application.ports.storage import Job, StorageFull
from keyback.serving import _metrics, _readiness
from keyback.storage import health
from keyback.storage.database import SqlDatabase
from keyback.web.app import make_app, make_context
from keyback.web.health import READINESS, parts_of
from tests.support.kit import Kit

Make = Callable[..., Kit]
NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
"""


def sql(kit: Kit, *statements: str) -> Any:
    def run(tx: Any) -> Any:
        return [tx.conn.exec_driver_sql(s) for s in statements][-1]

    return kit.write(run)


class Disk:
    """Takes all room away and gives it back: on SQLite by the number of pages, on PostgreSQL by an error of its own."""

    def __init__(self, kit: Kit, kind: str) -> None:
        self._kit, self._kind, self._most = kit, kind, 1_000_000
        if kind == "sqlite":
            db = kit.services.db
            assert isinstance(db, SqlDatabase)
            # A connection that met the end of the room is replaced, and each has a limit of its own.
            event.listen(db.engine, "checkout", lambda c, *_: c.execute(f"PRAGMA max_page_count={self._most}").close())

    def _limit(self, pages: int) -> None:
        self._most = pages
        sql(self._kit, f"PRAGMA max_page_count={pages}")

    def fill(self) -> None:
        if self._kind == "sqlite":
            self._limit(self._kit.read(lambda tx: tx.conn.exec_driver_sql("PRAGMA page_count").scalar_one()))
        else:
            on = "BEFORE INSERT OR UPDATE ON"
            tables = ("outbox", "installation")
            sql(self._kit, NO_ROOM, *(f"CREATE TRIGGER full_{t} {on} {t} EXECUTE FUNCTION no_room()" for t in tables))

    def free(self) -> None:
        if self._kind == "sqlite":
            self._limit(1_000_000)
        else:
            sql(self._kit, "DROP FUNCTION no_room CASCADE")


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kit(kind: str, make_kit: Make, make_database: Callable[[str], str]) -> Kit:
    return make_kit(url=make_database(kind))


def much(tx: Any) -> None:
    tx.outbox.put([Job(f"job-{n:018}", "mail", {"x": "y" * 900}, tx.now, tx.now + 1) for n in range(100)])


@pytest.mark.covers("Q8")
def test_readiness_notices_a_full_disk_and_room_that_comes_back(kit: Kit, kind: str) -> None:
    db, disk = kit.services.db, Disk(kit, kind)
    assert isinstance(db, SqlDatabase)
    desk = make_context(kit.settings, kit.services)

    async def parts() -> dict[str, str]:
        desk.extras[READINESS] = _readiness(kit.services, None)
        return await parts_of(desk.extras[READINESS])

    assert kit.run(parts())["database"] == "ok"
    kit.run(health.probe(db))
    disk.fill()
    with pytest.raises(StorageFull):
        kit.write(much)
    assert (kit.run(parts())["database"], db.full) == ("full", True)
    text_of = kit.run(_text(kit))
    assert "keyback_db_full 1.0" in text_of
    assert kit.run(parts())["database"] == "full"
    disk.free()
    assert (kit.run(parts())["database"], db.full) == ("ok", False)
    kit.write(much)
    assert "keyback_db_full 0.0" in kit.run(_text(kit))
    with db.engine.connect() as conn:
        size = conn.execute(text("SELECT length(value) FROM installation WHERE name = 'probe'")).scalar_one()
    assert size == health.PROBE_BYTES  # the large one does not stay


async def _text(kit: Kit) -> str:
    return (await _metrics(kit.services, None).text()).decode()


@pytest.mark.covers("Q8")
def test_a_small_write_that_fits_does_not_hide_that_a_recovery_does_not(make_kit: Make, sqlite_url: str) -> None:
    kit = make_kit(url=sqlite_url)
    db = kit.services.db
    assert isinstance(db, SqlDatabase)
    kit.run(health.probe(db))
    Disk(kit, "sqlite").fill()
    with pytest.raises(StorageFull):
        kit.write(much)
    kit.write(lambda tx: tx.counters.add(["k"]))  # fits into a page that is there
    with pytest.raises(StorageFull):
        kit.run(health.probe(db))
    assert db.full


@pytest.mark.covers("Q8")
def test_a_database_that_may_only_be_read_is_not_ready(make_kit: Make, sqlite_url: str) -> None:
    kit = make_kit(url=sqlite_url)
    desk = make_context(kit.settings, kit.services)
    sql(kit, "PRAGMA query_only=1")

    async def ready() -> int:
        desk.extras[READINESS] = _readiness(kit.services, None)
        return (await parts_of(desk.extras[READINESS]))["database"] == "down"

    assert kit.run(ready())


def test_without_more_to_ask_readiness_writes_too(make_kit: Make) -> None:
    kit = make_kit()
    app = make_app(make_context(kit.settings, kit.services))
    assert TestClient(app, base_url="http://127.0.0.1:8080").get("/readyz").json() == {"status": "ok", "database": "ok"}
