"""How far the stream for the SIEM is, and the rows of the audit log that it sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import select, update

from keyback.application.ports.enrolment_storage import Happened
from keyback.application.ports.siem import LoggedRow, Position
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema import cases, events, people
from keyback.storage.sql.schema_siem import siem_position
from keyback.storage.sql.statements import insert_many
from keyback.storage.stores.audit import data_of

P = siem_position.c
FIELDS = [c for c in P if c.name != "id"]


class SiemPositions:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def position(self) -> Position | None:
        row = self._tx.conn.execute(select(*FIELDS)).one_or_none()
        return Position(**row._mapping) if row else None

    def begin(self, read_to: int) -> None:
        insert_many(self._tx.conn, siem_position, [{"id": 1, "read_to": read_to}], ignore=True)

    def lease(self, lease_ms: int, fence: int = 0) -> Position | None:
        now = self._tx.now
        which = (P.fence == fence) if fence else (P.lease_until <= now) & (P.rest_until <= now)
        change = update(siem_position).where(which).values(lease_until=now + lease_ms, fence=fence or P.fence + 1)
        row = self._tx.conn.execute(change.returning(*FIELDS)).one_or_none()
        return Position(**row._mapping) if row else None

    def save(self, position: Position) -> bool:
        change = update(siem_position).where(P.fence == position.fence).values(**asdict(position))
        return self._tx.conn.execute(change).rowcount == 1

    def move(self, position: Position) -> None:
        self._tx.conn.execute(update(siem_position).values(**asdict(position)))

    def rows(self, after: int, limit: int) -> Sequence[LoggedRow]:
        e = events.c
        query = (
            select(e.seq, e.at, e.type, e.stream, e.data, e.hash, cases.c.person_id, people.c.id.label("own"))
            .outerjoin(cases, cases.c.id == e.stream)
            .outerjoin(people, people.c.id == e.stream)
            .where(e.seq > after)
            .order_by(e.seq)
            .limit(limit)
        )
        return [
            LoggedRow(
                Happened(r.seq, r.at, r.type, data_of(r.data), r.stream),
                r.stream if r.person_id else "",
                r.person_id or r.own or "",
                bytes(r.hash).hex(),
            )
            for r in self._tx.conn.execute(query)
        ]
