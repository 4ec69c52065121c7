"""Reports of a long audit log: pieces that need no more memory at its end than at its beginning, and a page that reads
none of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event

from keyback.application.reports import make
from keyback.application.reports.report import Period, build
from keyback.domain.recovery.events import Note
from tests.support.kit import Kit

RECOVERIES, OTHERS, PIECE = 5_000, 4, 500
OTHER = Note("challenge_sent", {"channel": "mail", "code": "x" * 40})


def fill(kit: Kit) -> int:
    """Recoveries that began and ended, each among rows that no report counts; how many rows."""

    def write(tx: Any, first: int) -> None:
        for n in range(first, first + PIECE):
            begun = Note("requested", {"person_id": f"{n:022}", "journey": "password"})
            ended = (Note("cancelled", {"by": "owner"}),) if n % 2 else (Note("expired", {}),)
            tx.audit.record(f"c{n:021}", [begun, *[OTHER] * OTHERS, *ended])

    for first in range(0, RECOVERIES, PIECE):
        kit.write(lambda tx, f=first: write(tx, f))  # type: ignore[misc]
    return RECOVERIES * (OTHERS + 2)


@pytest.mark.slow
@pytest.mark.both
def test_a_long_log_is_folded_in_bounded_memory_and_no_page_reads_it(
    make_kit: Callable[..., Kit], database_url: str
) -> None:
    kit = make_kit(url=database_url)
    while kit.write(make.fold_next):
        pass
    rows, pieces, peaks = fill(kit), 0, []
    tracemalloc.start()
    try:
        while True:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            done = kit.write(make.fold_next)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
            pieces += done
            if done < make.PIECE:
                break
    finally:
        tracemalloc.stop()
    assert pieces >= rows
    assert len(peaks) > 14
    early, late = sorted(peaks[1:5])[1], sorted(peaks[-6:-2])[1]
    assert late < 1.3 * early, f"{early} at the beginning, {late} at the end"
    asked: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    engine = kit.services.db.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", note)
    try:
        today = date.fromtimestamp(kit.clock() / 1000)
        report = kit.read(lambda tx: build(tx, Period.of("", "", today, 90)))
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert report.sums["funnel"]["asked"] == RECOVERIES
    assert report.sum("ends", "canceled_owner") == RECOVERIES // 2
    assert [s for s in asked if "report_days" in s]
    assert not [s for s in asked if "events" in s], "a report reads days, not what happened in them"
