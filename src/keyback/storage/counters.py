"""Counting: tries and mails, per person or ghost; one statement counts and tells (D1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, select

from keyback.application.store import Count
from keyback.storage.among import among
from keyback.storage.schema import counters
from keyback.storage.sql import chunks

if TYPE_CHECKING:
    from keyback.storage.tx import SqlTx

HOUR = 3_600_000
DAY = 24 * HOUR


class CounterStore:
    def __init__(self, tx: SqlTx) -> None:
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
        now, mark = self._tx.now, "%s" if self._tx.pg else "?"
        values = ", ".join([f"({mark}, 1, {now}, 1, {now}, 1)"] * len(keys))
        sql = f"""INSERT INTO counters (key, total, hour_from, hour, day_from, day) VALUES {values}
          ON CONFLICT (key) DO UPDATE SET total = counters.total + 1,
            hour = CASE WHEN counters.hour_from <= {now - HOUR} THEN 1 ELSE counters.hour + 1 END,
            hour_from = CASE WHEN counters.hour_from <= {now - HOUR} THEN {now} ELSE counters.hour_from END,
            day = CASE WHEN counters.day_from <= {now - DAY} THEN 1 ELSE counters.day + 1 END,
            day_from = CASE WHEN counters.day_from <= {now - DAY} THEN {now} ELSE counters.day_from END
          RETURNING key, total, hour, day, hour_from"""  # noqa: S608 - integers of our own and marks
        found: Any = self._tx.conn.exec_driver_sql(sql, tuple(keys))
        return {key: Count(total, hour, day, begun + HOUR) for key, total, hour, day, begun in found}

    def take_back(self, keys: Sequence[str], times: int = 1) -> None:
        less = {n: case((counters.c[n] > times, counters.c[n] - times), else_=0) for n in ("total", "hour", "day")}
        for part in chunks(sorted(keys), 500):
            self._tx.conn.execute(counters.update().where(among(counters.c.key, part)).values(**less))

    def reset(self, *keys: str) -> None:
        for part in chunks(sorted(keys), 500):
            self._tx.conn.execute(counters.update().where(among(counters.c.key, part)).values(total=0))

    def get(self, key: str) -> Count:
        row = self._tx.conn.execute(select(counters).where(counters.c.key == key)).first()
        if row is None:
            return Count(0, 0, 0)
        now = self._tx.now
        hour, day = row.hour_from > now - HOUR, row.day_from > now - DAY
        return Count(row.total, hour and row.hour, day and row.day, row.hour_from + HOUR if hour else 0)
