"""What `keyback check` finds of syncs: whether the newest one of each system ended well, and none is overdue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from keyback.application.ports.syncs import SyncRun
from keyback.cli.common import at
from keyback.domain.units import HOUR, MINUTE
from keyback.settings import Settings

LATE_MS: Final = HOUR  # a worker looks every minute, and a sync that is gone on with waits a quarter of an hour


@dataclass(frozen=True, slots=True)
class Finding:
    """One system: `status`, what its newest sync came to, and what to do about it."""

    name: str
    status: Literal["ok", "warn", "bad"]
    detail: str
    next: str = ""


def look(s: Settings, runs: Mapping[str, SyncRun], now: int) -> Iterator[Finding]:
    """A line for every system that is synced by the clock, and for each other one whose newest sync did not end well.

    Args:
        runs: the newest one of each system.
        now: ms, of the database.
    """
    scheduled = s.people.sync.systems
    every = s.people.sync.every_minutes * MINUTE
    for name in (*scheduled, *sorted(set(runs) - set(scheduled))):
        found = _of(name, runs.get(name), now, every if name in scheduled else 0)
        if name in scheduled or found.status != "ok":
            yield found


def _of(name: str, run: SyncRun | None, now: int, every: int) -> Finding:
    """Args: every: ms between two syncs; 0 where nobody syncs it by the clock."""
    label, again = f"sync {name}", f"keyback people sync {name}"
    if run is None:
        step = f"A worker does it within a minute. If none runs: {again}"
        return Finding(label, "warn", "people were never synced", step)
    late = every and now - max(run.done_at, run.ended_at if run.state == "held" else 0) > every + LATE_MS
    well = f"ended well at {at(run.done_at)}" if run.done_at else "never ended well"
    if run.state == "running" and run.lease_until > now:
        return Finding(label, "ok", f"running since {at(run.started_at)}; the one before {well}")
    if run.state == "broken" or run.state == "running":
        why = f" ({run.code})" if run.code else ""
        words = f"the newest one, of {at(run.started_at)}, broke off{why}; the last one {well}"
        step = f"See: keyback connector test {name}. Then go on with it: {again}"
        return Finding(label, "bad" if late else "warn", words, step)
    if late:
        words = f"overdue: the last one {well}, and it is due every {every // MINUTE} minutes"
        return Finding(label, "bad", words, f"See that a worker runs with these settings. By hand: {again}")
    if run.state == "held":
        words = f"{well if run.done_at else at(run.ended_at)}; too many were missing, so no one was disabled"
        return Finding(label, "warn", words, f"If it's right that they are gone: {again} --yes")
    return Finding(label, "ok", well)
