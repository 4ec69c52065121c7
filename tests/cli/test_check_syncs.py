"""What `keyback check` says of syncs: never, running, broken off, overdue, held back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from keyback.application.ports.syncs import SyncRun
from keyback.cli.check_syncs import look
from keyback.domain.units import HOUR, MINUTE
from tests.support.each import each

NOW = 1_000 * HOUR
EVERY = 60


def run(state: Any, started: int, **more: Any) -> SyncRun:
    return SyncRun("crm", 3, state, NOW - started, **more)


def found(*runs: SyncRun, systems: tuple[str, ...] = ("crm",)) -> list[tuple[str, str, str]]:
    settings: Any = SimpleNamespace(
        people=SimpleNamespace(sync=SimpleNamespace(systems=list(systems), every_minutes=EVERY))
    )
    return [(f.name, f.status, f"{f.detail} {f.next}") for f in look(settings, {r.system: r for r in runs}, NOW)]


WELL = NOW - HOUR
LONG_AGO = NOW - 3 * HOUR


@each(
    ("newest", "status", "words"),
    [
        (None, "warn", "never synced"),
        (run("done", HOUR, ended_at=WELL, done_at=WELL), "ok", "ended well at"),
        (run("done", 3 * HOUR, ended_at=LONG_AGO, done_at=LONG_AGO), "bad", "overdue"),
        (run("running", MINUTE, lease_until=NOW + 1, done_at=LONG_AGO), "ok", "running since"),
        (run("running", HOUR, lease_until=NOW - 1, done_at=WELL), "warn", "broke off; "),
        (run("broken", HOUR, ended_at=WELL, done_at=WELL, code="auth_expired"), "warn", "broke off (auth_expired)"),
        (run("broken", HOUR, ended_at=WELL, done_at=LONG_AGO, code="endless"), "bad", "keyback connector test crm"),
        (run("broken", HOUR, ended_at=WELL), "bad", "never ended well"),
        (run("held", HOUR, ended_at=WELL, done_at=LONG_AGO), "warn", "keyback people sync crm --yes"),
        (run("held", 3 * HOUR, ended_at=LONG_AGO), "bad", "overdue"),
    ],
)
def test_the_newest_sync_of_a_system_is_told(newest: SyncRun | None, status: str, words: str) -> None:
    [(name, said, text)] = found(*([newest] if newest else []))
    assert (name, said) == ("sync crm", status)
    assert words in text


def test_one_that_only_people_start_is_told_when_it_broke_and_never_overdue() -> None:
    old = run("done", 900 * HOUR, ended_at=HOUR, done_at=HOUR)
    assert found(old, systems=()) == []
    [(name, status, _)] = found(run("broken", 900 * HOUR, ended_at=HOUR, code="unavailable"), systems=())
    assert (name, status) == ("sync crm", "warn")
