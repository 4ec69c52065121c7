"""Requests for help, each with its conversation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, or_, select, update
from sqlalchemy import text as sql

from keyback.application.ports.help_requests import HelpLine, HelpRequest, RequestState
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema_requests import help_requests
from keyback.storage.sql.statements import insert_many

PURPOSE = "help_request"
R = help_requests.c
PLAIN = tuple(c.name for c in R if c.name != "sealed")


class HelpRequestStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def _load(self, r: Row[Any]) -> HelpRequest:
        inside = json.loads(self._tx.seals.open(bytes(r.sealed), PURPOSE, r.handle))
        lines = tuple(HelpLine(*line) for line in inside.pop("lines"))
        plain = {name: getattr(r, name) for name in PLAIN}
        return HelpRequest(**{**plain, "subject": bytes(r.subject)}, **inside, lines=lines)

    def _row(self, q: HelpRequest) -> dict[str, Any]:
        lines = [[x.at, x.by, x.text] for x in q.lines]
        inside = {"identifier": q.identifier, "contact": q.contact, "reason": q.reason, "lines": lines}
        sealed = self._tx.seals.seal(json.dumps(inside).encode(), PURPOSE, q.handle)
        return {**{name: getattr(q, name) for name in PLAIN}, "sealed": sealed}

    def add(self, request: HelpRequest) -> bool:
        if self.get(request.handle, lock=True) is not None:
            return False
        insert_many(self._tx.conn, help_requests, [self._row(request)], ignore=True)
        return True

    def get(self, handle: str, *, lock: bool = False) -> HelpRequest | None:
        query = select(help_requests).where(R.handle == handle)
        row = self._tx.conn.execute(query.with_for_update() if lock else query).first()
        return self._load(row) if row else None

    def save(self, request: HelpRequest) -> None:
        values = {k: v for k, v in self._row(request).items() if k != "handle"}
        self._tx.conn.execute(update(help_requests).where(R.handle == request.handle).values(**values))

    def listed(self, state: RequestState, after: tuple[int, str], limit: int) -> Sequence[HelpRequest]:
        at, last = after
        behind = or_(R.since > at, and_(R.since == at, R.handle > last))
        query = select(help_requests).where(R.state == state, behind, R.since >= at)
        return self._many(query.order_by(R.since, R.handle).limit(limit))

    def of_case(self, case_id: str) -> Sequence[HelpRequest]:
        mine = (R.case_id == case_id) & sql("case_id <> ''")
        return self._many(select(help_requests).where(mine).order_by(R.created_at).limit(20))

    def _many(self, query: Any) -> Sequence[HelpRequest]:
        return [self._load(r) for r in self._tx.conn.execute(query)]

    def ahead(self, request: HelpRequest, most: int) -> int:
        return self._count(
            or_(R.since < request.since, and_(R.since == request.since, R.handle < request.handle)), most
        )

    def waiting(self, most: int) -> int:
        return self._count(R.since >= 0, most)

    def _count(self, which: ColumnElement[bool], most: int) -> int:
        some = select(R.handle).where(R.state == "open", which).limit(most).subquery()
        return self._tx.conn.execute(select(func.count()).select_from(some)).scalar() or 0

    def answer_times(self, limit: int) -> Sequence[int]:
        query = select(R.answered_at, R.created_at).where(sql("answered_at <> 0"))
        newest = self._tx.conn.execute(query.order_by(R.answered_at.desc()).limit(limit))
        return [max(0, r.answered_at - r.created_at) for r in newest]

    def purge(self, *, unconfirmed_before: int, before: int) -> int:
        waits = (R.state == "unconfirmed") & (R.created_at < unconfirmed_before)
        old = waits | ((R.state != "unconfirmed") & (R.created_at < before))
        some = [r[0] for r in self._tx.conn.execute(select(R.handle).where(old).limit(1000))]
        if not some:
            return 0
        return self._tx.conn.execute(delete(help_requests).where(R.handle.in_(some))).rowcount
