"""Clocks that are set back, leap ahead, stand still or disagree: nothing revives, and nothing wild is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import BigInteger

from keyback import serving
from keyback.application.ports.storage import StorageDown, Tx
from keyback.domain.recovery.events import Note
from keyback.serving import _metrics
from keyback.settings import Settings
from keyback.storage import clock as clocks
from keyback.storage.clock import DatabaseClock
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring
from keyback.storage.maintenance import repair, restore
from keyback.storage.sql.schema import metadata
from tests.support.commands import Keyback, on_services, sql
from tests.support.kit import Clock, Kit, person
from tests.support.live import logged
from tests.support.steps import accept, begin, fit

pytestmark = pytest.mark.both

HOUR, DAY = 3_600_000, 86_400_000
T = 1_795_000_000_000


class Times:
    """Two clocks: one that anybody can set, and one that only goes forward. No audit row unless `newest` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.raw, self.steady, self.newest = T, 5_000.0, 0
        monkeypatch.setattr(clocks, "newest", lambda conn: self.newest)

    def pass_by(self, ms: int) -> None:
        self.raw += ms
        self.steady += ms

    def clock(self) -> DatabaseClock:
        return DatabaseClock(lambda conn: self.raw, lambda: self.steady)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    return Times(monkeypatch)


NO: Any = None  # the connection, which these clocks do not ask


def note(tx: Tx, n: int) -> None:
    tx.audit.record("test", [Note("counted", {"n": n})])


@pytest.mark.covers("M4", "Q14")
@pytest.mark.parametrize("back", [HOUR, 24 * HOUR, 400 * DAY, 10_000])
def test_a_clock_that_is_set_back_goes_on_from_where_it_was(times: Times, back: int) -> None:
    clock = times.clock()
    assert clock.now(NO, writes=True) == T
    times.pass_by(1000)
    times.raw -= back
    with logged() as log:
        assert clock.now(NO, writes=True) == T + 1000
        times.pass_by(2 * HOUR)
        now = clock.now(NO, writes=True)
    assert now == T + 1000 + 2 * HOUR  # it does not stand still: what lives goes on to age
    assert clock.behind_ms == back
    assert log.getvalue().count("clock_behind") == 1
    times.raw += back
    times.pass_by(1)
    assert clock.now(NO, writes=True) == now + 1
    assert clock.behind_ms == 0


@pytest.mark.covers("M4")
def test_after_a_start_time_is_not_below_the_newest_audit_row(times: Times) -> None:
    times.newest = T + 3 * HOUR
    clock = times.clock()
    assert clock.now(NO, writes=True) == T + 3 * HOUR
    times.pass_by(HOUR)
    assert clock.now(NO, writes=True) == T + 4 * HOUR
    assert clock.behind_ms == 3 * HOUR


@pytest.mark.covers("M4")
@pytest.mark.parametrize("ahead", [6 * 60_000, HOUR, DAY])
def test_a_leap_ahead_is_told_before_anything_is_stored_and_believed_when_it_stands(times: Times, ahead: int) -> None:
    clock = times.clock()
    clock.now(NO, writes=True)
    times.raw += ahead
    with logged() as log:
        with pytest.raises(StorageDown):
            clock.now(NO, writes=True)
        assert "clock_jumped" in log.getvalue()
        assert (clock.jumps, clock.doubtful) == (1, True)
        assert clock.now(NO, writes=False) == T  # reading goes on, by the steady clock
        times.pass_by(clocks.DOUBT_MS - 1)
        with pytest.raises(StorageDown):
            clock.now(NO, writes=True)
        times.pass_by(1)
        assert clock.now(NO, writes=True) == T + ahead + clocks.DOUBT_MS
        assert "clock_believed" in log.getvalue()
    assert (clock.jumps, clock.doubtful) == (1, False)


@pytest.mark.covers("M4")
@pytest.mark.parametrize("ahead", [2 * DAY, 3650 * DAY])
def test_a_wild_leap_is_never_believed_and_forgotten_once_the_clock_is_right(times: Times, ahead: int) -> None:
    clock = times.clock()
    clock.now(NO, writes=True)
    times.raw += ahead
    for _ in range(5):
        times.pass_by(HOUR)
        with pytest.raises(StorageDown):
            clock.now(NO, writes=True)
    times.raw -= ahead
    assert clock.now(NO, writes=True) == T + 5 * HOUR
    assert (clock.jumps, clock.doubtful, clock.behind_ms) == (1, False, 0)


@pytest.mark.covers("Q14")
def test_small_steps_and_long_rests_are_no_leaps(times: Times) -> None:
    clock = times.clock()
    clock.now(NO, writes=True)
    for step in (40_000, -1_500, 4 * 60_000):
        times.pass_by(1000)
        times.raw += step
        clock.now(NO, writes=True)
    times.pass_by(30 * DAY)  # nobody asked for a month, or the machine slept
    assert clock.now(NO, writes=True) == times.raw
    assert clock.jumps == 0


@pytest.mark.covers("M4", "C14")
def test_an_expired_link_stays_expired_when_the_clock_is_set_back(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(clock=Clock())
    tray = fit(kit, person("maya"))
    _, token, _, _ = begin(kit, tray)
    kit.clock.forward(hours=2)
    kit.write(lambda tx: note(tx, 1))
    kit.clock.forward(hours=-2)
    assert accept(kit, token) is not None
    seals: Any = kit.services.seals
    again = SqlDatabase(kit.settings.database, seals, clock=Clock(kit.clock.now))

    async def then() -> int:
        try:
            return await again.read(lambda tx: tx.now)
        finally:
            await again.close()

    assert asyncio.run(then()) >= kit.clock.now + 2 * HOUR  # after a restart, too


@pytest.mark.covers("M4")
def test_nothing_is_stored_by_a_clock_that_leapt(
    database_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        db = SqlDatabase(database_url, keyring)
        await db.write(lambda tx: note(tx, 1))
        real = db.clock._raw
        db.clock._raw = lambda conn: real(conn) + 3650 * DAY  # type: ignore[method-assign]
        with pytest.raises(StorageDown):
            await db.write(lambda tx: note(tx, 2))
        assert len(await db.read(lambda tx: tx.audit.rows())) == 1  # type: ignore[attr-defined]
        db.clock._raw = real  # type: ignore[method-assign]
        await db.write(lambda tx: note(tx, 3))
        newest = (await db.read(lambda tx: tx.audit.rows()))[-1]["at"]  # type: ignore[attr-defined]
        assert newest < clocks.time.time_ns() // 1_000_000 + HOUR
        await db.close()

    asyncio.run(go())


@pytest.mark.covers("M4")
def test_metrics_say_what_the_clock_does(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit()
    kit.write(lambda tx: note(tx, 1))
    kit.clock.forward(hours=-1)
    kit.write(lambda tx: note(tx, 2))

    async def text() -> str:
        return (await _metrics(kit.services, None).text()).decode()

    found = kit.run(text())
    assert "keyback_clock_behind_seconds 3600.0" in found
    assert "keyback_clock_jumps_total 0.0" in found


# ── repairing ───────────────────────────────────────────────────────────────


@pytest.fixture(params=["sqlite", "postgres"])
def poisoned(
    request: pytest.FixtureRequest, place: Any, monkeypatch: pytest.MonkeyPatch, make_database: Callable[[str], str]
) -> None:
    """An installation whose clock was ten years ahead for a while."""
    monkeypatch.setenv("KEYBACK_DATABASE_URL", make_database(request.param))

    async def work(s: Any) -> None:
        db = s.db
        db.clock.floored = False
        real = db.clock._raw
        db.clock._raw = lambda conn: real(conn) + 3650 * DAY
        await db.write(lambda tx: tx.people.save_imported([person("maya")]))
        await db.write(lambda tx: (tx.counters.add(["pw/x"]), note(tx, 1)))

    on_services(work)


def start() -> str:
    async def go() -> str:
        try:
            async with serving.parts(Settings()):
                return ""
        except serving.Refused as e:
            return str(e)

    return asyncio.run(go())


@pytest.mark.slow
@pytest.mark.covers("M4")
def test_a_mark_in_the_future_is_refused_named_and_repaired(poisoned: None, keyback: Keyback) -> None:
    assert "run keyback clock repair" in start()
    found = json.loads(keyback("check", "--json", code=1).stdout)["checks"]
    assert [c["status"] for c in found if c["name"] == "clock"] == ["bad"]
    assert "--yes" in keyback("clock", "repair", "--reason", "INC-3", code=2).output
    assert "Repaired" in keyback("clock", "repair", "--reason", "INC-3", "--yes").output
    assert start() == ""
    assert "Nothing to repair" in keyback("clock", "repair", "--reason", "INC-3", "--yes").output
    assert "all as they were written" in keyback("audit", "verify").output
    log = keyback("audit", "export").output
    assert '"clock_repaired"' in log
    assert '"reason":"INC-3"' in log

    async def instants(s: Any) -> list[str]:
        def look(tx: Any) -> list[str]:
            late = []
            for table in metadata.sorted_tables:
                for c in table.columns:
                    if isinstance(c.type, BigInteger) and table.name != "events" and c.name not in ("seq", "counter"):
                        found = [r[0] for r in tx.conn.execute(table.select().with_only_columns(c))]
                        late += [str(c) for at in found if at and at > tx.now + 80 * HOUR]
            return late

        return await s.db.read(look)  # type: ignore[no-any-return]

    assert on_services(instants) == []


@pytest.mark.covers("M4")
def test_repairing_ends_what_a_restore_ends(poisoned: None) -> None:
    async def work(s: Any) -> tuple[dict[str, int], set[str]]:
        s.db.clock.floored = False
        ended = await s.db.write(lambda tx: repair.repair(tx, 0, "test"))
        return ended, set(await s.db.write(lambda tx: restore.end_all(tx)))

    ended, all_ = on_services(work)
    assert all_ | {"instants"} == ended.keys()
    assert ended["instants"] > 0


def test_a_clock_that_is_a_little_behind_the_log_is_let_go_on(place: Any) -> None:
    async def work(s: Any) -> None:
        await s.db.write(lambda tx: note(tx, 1))

    on_services(work)
    assert start() == ""
    sql("UPDATE events SET at = at + 60000")
    assert start() == ""
