"""Cases that wait for operators, and what was done with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, and_, delete, func, or_, select, update
from sqlalchemy import text as sql

from keyback.application.ports.desk_storage import DeskNote, QueueQuery, SavedView, Work
from keyback.domain.operators.approvals import Recommendation
from keyback.domain.recovery.case import Case
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema import cases
from keyback.storage.sql.schema_desk import WAITS_FOR_DESK, desk_notes, desk_views, desk_work, waits_and_is
from keyback.storage.sql.statements import insert_many
from keyback.storage.stores.cases import load_case

PURPOSE = "desk_note"


def _work(case_id: str, r: Row[Any] | None) -> Work:
    if r is None or r.claimed_at is None:
        return Work(case_id)
    by = r.recommended_by
    told = Recommendation(by, r.recommended_page, r.recommended_version) if by else None
    worked_by = frozenset(json.loads(r.worked_by))
    return Work(case_id, r.claimed_by, r.claimed_at, worked_by, told, r.recommended_at, r.ticket)


class DeskStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def queue(self, query: QueueQuery) -> Sequence[tuple[Case, Work]]:
        c, w = cases.c, desk_work.c
        at, last = query.after
        wanted = select(cases, *(x for x in w if x.name != "case_id"))
        wanted = wanted.select_from(cases.outerjoin(desk_work, c.id == w.case_id)).where(WAITS_FOR_DESK)
        if at:
            wanted = wanted.where(or_(c.opened_at > at, and_(c.opened_at == at, c.id > last)), c.opened_at >= at)
        if query.journey:
            wanted = wanted.where(c.journey == query.journey)
        if query.tier:
            wanted = wanted.where(waits_and_is(query.tier, self._tx.pg))
        if query.recommended:
            wanted = wanted.where(w.recommended_by != "", w.recommended_version == c.version)
        if query.until:
            wanted = wanted.where(c.opened_at <= query.until)
        if query.claimed_by == "-":
            wanted = wanted.where(func.coalesce(w.claimed_by, "") == "")
        elif query.claimed_by:
            wanted = wanted.where(w.claimed_by == query.claimed_by, sql("desk_work.claimed_by <> ''"))
        found = self._tx.conn.execute(wanted.order_by(c.opened_at, c.id).limit(query.limit))
        return [(load_case(r), _work(r.id, r)) for r in found]

    def waiting(self, most: int) -> int:
        some = select(cases.c.id).where(WAITS_FOR_DESK).limit(most).subquery()
        return self._tx.conn.execute(select(func.count()).select_from(some)).scalar() or 0

    def by_beginning(self, beginning: str) -> str | None:
        so = func.substr(cases.c.id, 1, len(beginning)) == beginning
        found = self._tx.conn.execute(select(cases.c.id).where(WAITS_FOR_DESK, so).limit(2)).scalars().all()
        return str(found[0]) if len(found) == 1 else None

    def by_ticket(self, ticket: str) -> str | None:
        mine = (desk_work.c.ticket == ticket) & sql("ticket <> ''")
        found = select(desk_work.c.case_id).where(mine).order_by(desk_work.c.claimed_at.desc()).limit(1)
        return self._tx.conn.execute(found).scalar()

    def views(self, operator_id: str) -> Sequence[SavedView]:
        """By name."""
        v = desk_views.c
        query = select(v.id, v.operator_id, v.name, v.query).where(v.operator_id == operator_id).order_by(v.name)
        return [SavedView(*r) for r in self._tx.conn.execute(query)]

    def save_view(self, view: SavedView) -> None:
        v = desk_views.c
        self._tx.conn.execute(delete(desk_views).where((v.operator_id == view.operator_id) & (v.name == view.name)))
        self._tx.conn.execute(desk_views.insert().values(**asdict(view), created_at=self._tx.now))

    def remove_view(self, operator_id: str, view_id: str) -> None:
        v = desk_views.c
        self._tx.conn.execute(delete(desk_views).where((v.operator_id == operator_id) & (v.id == view_id)))

    def work(self, case_id: str) -> Work:
        """Callers who go on to change it have locked the case."""
        return _work(case_id, self._tx.conn.execute(select(desk_work).where(desk_work.c.case_id == case_id)).first())

    def save(self, work: Work) -> None:
        r = work.recommended
        values = {
            "claimed_by": work.claimed_by,
            "claimed_at": work.claimed_at,
            "worked_by": json.dumps(sorted(work.worked_by)),
            "recommended_by": r.operator_id if r else "",
            "recommended_page": r.page if r else "",
            "recommended_version": r.version if r else 0,
            "recommended_at": work.recommended_at,
            "ticket": work.ticket,
        }
        here = desk_work.c.case_id == work.case_id
        if not self._tx.conn.execute(update(desk_work).where(here).values(**values)).rowcount:
            insert_many(self._tx.conn, desk_work, [{"case_id": work.case_id, **values}])

    def free(self, operator_id: str) -> int:
        mine = (desk_work.c.claimed_by == operator_id) & sql("claimed_by <> ''")
        nobody = {"claimed_by": "", "claimed_at": 0}
        return self._tx.conn.execute(update(desk_work).where(mine).values(**nobody)).rowcount

    def add_note(self, note: DeskNote) -> None:
        sealed = self._tx.seals.seal(note.text.encode(), PURPOSE, note.id)
        values = {c.name: getattr(note, c.name) for c in desk_notes.c if c.name != "sealed"}
        self._tx.conn.execute(desk_notes.insert().values(**values, sealed=sealed))

    def notes(self, case_id: str) -> Sequence[DeskNote]:
        """Oldest first."""
        query = select(desk_notes).where(desk_notes.c.case_id == case_id).order_by(desk_notes.c.at, desk_notes.c.id)
        return [
            DeskNote(
                r.id,
                r.case_id,
                r.operator_id,
                r.kind,
                r.at,
                self._tx.seals.open(bytes(r.sealed), PURPOSE, r.id).decode(),
            )
            for r in self._tx.conn.execute(query)
        ]
