"""Counting: tries and mails, per person or ghost; one statement counts and tells (D1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import bindparam, case, select

from keyback.application.ports.storage import Count
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement, rows_of
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import counters
from keyback.storage.sql.statements import chunks

HOUR = 3_600_000
DAY = 24 * HOUR
ROW = [c.name for c in counters.c]
BY_KEY = Statement(select(counters).where(among(counters.c.key, named="keys")))
RESET = Statement(counters.update().where(among(counters.c.key, named="keys")).values(total=0))


def _less(column: Any) -> Any:
    return case((column > bindparam("times"), column - bindparam("times")), else_=0)


# What was counted just now and is taken back did not happen, so it is not the last thing that did.
TAKE_BACK = Statement(
    counters.update()
    .where(among(counters.c.key, named="keys"))
    .values(
        **{n: _less(counters.c[n]) for n in ("total", "hour", "day")},
        last_at=case((counters.c.last_at == bindparam("now"), counters.c.prior_at), else_=counters.c.last_at),
    )
)


class CounterStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def add(self, keys: Sequence[str]) -> Mapping[str, Count]:
        """Counts one for each key, a key given twice two; the counts after it."""
        out: dict[str, Count] = {}
        todo = list(keys)
        while todo:
            now_once: list[str] = []
            later: list[str] = []
            seen: set[str] = set()
            for k in todo:
                (later if k in seen else now_once).append(k)
                seen.add(k)
            for part in chunks(sorted(now_once), 100):  # sorted: nodes lock rows in the same order
                out.update(self._add(part))
            todo = later
        return out

    def _add(self, keys: Sequence[str]) -> dict[str, Count]:
        now = self._tx.now
        sql = _add_sql(len(keys), self._tx.pg)
        given = {f"k{i}": key for i, key in enumerate(keys)}
        found = rows_of(self._tx.conn, sql, {**given, "now": now, "hour": now - HOUR, "day": now - DAY})
        rows = (SimpleNamespace(**dict(zip(ROW, r, strict=True))) for r in found)
        return {row.key: _count(row, now) for row in rows}

    def take_back(self, keys: Sequence[str], times: int = 1) -> None:
        for part in chunks(sorted(keys), 500):
            TAKE_BACK.run(self._tx.conn, {"keys": part, "times": times, "now": self._tx.now})

    def reset(self, *keys: str) -> None:
        for part in chunks(sorted(keys), 500):
            RESET.run(self._tx.conn, {"keys": part})

    def get(self, key: str) -> Count:
        return self.many([key]).get(key, Count(0, 0, 0))

    def many(self, keys: Sequence[str]) -> Mapping[str, Count]:
        """What was counted under these keys; those that never were are left out."""
        rows = BY_KEY.all(self._tx.conn, {"keys": list(keys)})
        return {row.key: _count(row, self._tx.now) for row in rows}


@lru_cache(maxsize=128)
def _add_sql(n: int, pg: bool) -> str:
    """For so many keys, with names for their values, as each driver writes them."""

    def named(name: str) -> str:
        return (f"%({name})s::bigint" if name[0] != "k" else f"%({name})s") if pg else f":{name}"

    now = named("now")
    values = ", ".join(f"({named(f'k{i}')}, 1, {now}, 1, {now}, 1, {now})" for i in range(n))
    return f"""INSERT INTO counters (key, total, hour_from, hour, day_from, day, last_at) VALUES {values}
          ON CONFLICT (key) DO UPDATE SET total = counters.total + 1,
            {_window("hour", now, named("hour"), HOUR)}, {_window("day", now, named("day"), DAY)},
            prior_at = counters.last_at, last_at = {now}
          RETURNING {", ".join(ROW)}"""  # noqa: S608 - our own names


def _window(name: str, now: str, since: str, length: int) -> str:
    """SQL that counts one in a window; one that is over becomes the window before (`_last`)."""
    over = f"counters.{name}_from <= {since}"
    lately = f"CASE WHEN counters.last_at > {since} THEN counters.{name} ELSE 0 END"
    return f"""{name}_before = CASE WHEN {over} THEN {lately} ELSE counters.{name}_before END,
            {name}_until = CASE WHEN {over} THEN counters.last_at + {length} ELSE counters.{name}_until END,
            {name} = CASE WHEN {over} THEN 1 ELSE counters.{name} + 1 END,
            {name}_from = CASE WHEN {over} THEN {now} ELSE counters.{name}_from END"""


def _count(row: Any, now: int) -> Count:
    hour, hour_even = _last(row.hour_from, row.hour, row.hour_before, row.hour_until, row.last_at, now, HOUR)
    day, even = _last(row.day_from, row.day, row.day_before, row.day_until, row.last_at, now, DAY)
    return Count(row.total, hour, day, even, row.prior_at + HOUR if hour else 0, hour_even)


def _last(begun: int, n: int, before: int, until: int, last_at: int, now: int, length: int) -> tuple[int, int]:
    """How many there were in the last hour or day: never too few, and the likely number if they came evenly.

    A window begins with the first that is counted in it. What came in the one before counts in full until its last is
    an hour or a day old, so that nobody gets twice as many on both sides of a boundary (D15).
    """
    if begun <= now - length:
        begun, before, n, until = now, n, 0, last_at + length
        before = before if last_at > now - length else 0
    if not before or until <= now:
        return n, n
    gone = now - begun  # the window before was as long, and ended where this one began
    spread = max(1, until - begun)  # from its beginning to its last
    return n + before, n + -(-before * max(0, spread - gone) // spread)
