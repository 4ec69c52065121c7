"""Figures by day, and recoveries that are followed to their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import or_, select, text, update

from keyback.application.ports.reports import Followed, Key
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema_reports import report_cases, report_days, report_places
from keyback.storage.sql.statements import insert_many

D, F, N = report_days.c, report_cases.c, report_places.c
EVENTS = "events"
PUT = """INSERT INTO report_days (day, figure, part, value) VALUES (:day, :figure, :part, :value)
 ON CONFLICT (day, figure, part) DO UPDATE SET value = {value}"""
ADD = PUT.format(value="report_days.value + excluded.value")
SET = PUT.format(value="excluded.value")
RAISE = PUT.format(value="CASE WHEN excluded.value > report_days.value THEN excluded.value ELSE report_days.value END")


class ReportStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def place(self, name: str = EVENTS) -> int | None:
        found = self._tx.conn.execute(select(N.value).where(N.name == name)).scalar()
        return None if found is None else int(found)

    def begin(self) -> int | None:
        self._tx.alone()
        query = select(N.value).where(N.name == EVENTS).with_for_update(skip_locked=True)
        found = self._tx.conn.execute(query).scalar()
        return None if found is None else int(found)

    def followed(self, case_ids: Sequence[str], person_ids: Sequence[str]) -> Sequence[Followed]:
        mine = or_(among(F.case_id, sorted(set(case_ids))), among(F.person_id, sorted(set(person_ids))))
        rows = self._tx.conn.execute(select(report_cases).where(mine).order_by(F.opened_at))
        return [Followed(**{**r._mapping, "desk": bool(r.desk)}) for r in rows]

    def save(self, seq: int, figures: Mapping[Key, int], kept: Sequence[Followed], over: Sequence[str]) -> None:
        self.add(figures)
        gone = [*over, *(f.case_id for f in kept)]
        if gone:
            self._tx.conn.execute(report_cases.delete().where(among(F.case_id, gone)))
        insert_many(self._tx.conn, report_cases, [asdict(f) for f in kept])
        self._tx.conn.execute(update(report_places).where(N.name == EVENTS).values(value=seq))

    def add(self, figures: Mapping[Key, int]) -> None:
        self._put(ADD, figures)

    def raise_to(self, key: Key, value: int) -> None:
        self._put(RAISE, {key: value})

    def _put(self, sql: str, figures: Mapping[Key, int]) -> None:
        rows = [{"day": d, "figure": f, "part": p, "value": n} for (d, f, p), n in sorted(figures.items())]
        if rows:
            self._tx.conn.execute(text(sql), rows)

    def lease(self, name: str, until: int) -> bool:
        insert_many(self._tx.conn, report_places, [{"name": name, "value": 1}], ignore=True)
        free = (N.name == name) & (N.value > 0) & (N.value < self._tx.now)
        return self._tx.conn.execute(update(report_places).where(free).values(value=until)).rowcount == 1

    def finish(self, name: str, figures: Mapping[Key, int]) -> None:
        self._put(SET, figures)
        self._tx.conn.execute(update(report_places).where(N.name == name).values(value=0))
        self._tx.conn.execute(report_places.delete().where((N.value == 0) & (N.name < name) & (N.name != EVENTS)))

    def figures(self, first: str, last: str) -> Mapping[Key, int]:
        rows = self._tx.conn.execute(select(report_days).where(D.day.between(first, last)))
        return {(r.day, r.figure, r.part): int(r.value) for r in rows}

    def purge(self, before: int) -> int:
        old = select(F.case_id).where(F.opened_at < before).limit(1000)
        some = list(self._tx.conn.execute(old).scalars())
        return self._tx.conn.execute(report_cases.delete().where(among(F.case_id, some))).rowcount if some else 0
