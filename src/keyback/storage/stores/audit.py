"""The event log: every event in one hash chain, written in the same transaction as its effect (ADR 3).

Each row's hash is an HMAC-SHA256 over the hash before it and the row, under a key that is not in the database; who can
write to the database but lacks the keyring cannot mend the chain (P5, ASVS 5.0 16.4.2).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from keyback.application.ports.audit_search import AuditQuery
from keyback.application.ports.enrolment_storage import Happened
from keyback.domain import digests
from keyback.domain.recovery.events import CaseEvent, Note, event_data, event_type
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import audit_head, cases, events
from keyback.storage.sql.statements import insert_many

GENESIS = bytes(32)
PURPOSE = "audit"
HEAD = Statement(select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1).with_for_update())
MINE = select(cases.c.id).where(cases.c.person_id == bindparam("id"))
OF_PERSON = Statement(
    select(events)
    .where((events.c.stream == bindparam("id")) | events.c.stream.in_(MINE), events.c.seq < bindparam("before"))
    .order_by(events.c.seq.desc())
    .limit(bindparam("most"))
)
MOVE = Statement(audit_head.update().where(audit_head.c.id == 1).values(seq=bindparam("to"), hash=bindparam("last")))


def row_hash(key: bytes, before: bytes, seq: int, at: int, stream: str, kind: str, data: str) -> bytes:
    """The chained hash of one row. Length prefixes keep the fields apart."""
    fields = (before, str(seq).encode(), str(at).encode(), stream.encode(), kind.encode(), data.encode())
    body = b"".join(len(f).to_bytes(4, "big") + f for f in fields)
    return digests.mac(key, body)


class AuditStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx
        self._kept: list[tuple[str, str, str]] = []
        self._new: list[tuple[str, str, str]] = []

    def record(self, stream: str, what: Iterable[CaseEvent | Note]) -> None:
        """Adds events of one stream (a case or person id, or a word) to the chain when the transaction commits."""
        for e in what:
            data = json.dumps(event_data(e), ensure_ascii=True, separators=(",", ":"), sort_keys=True)
            self._new.append((stream, event_type(e), data))

    def keep(self) -> None:
        self._kept += self._new
        self._new = []

    def forget(self) -> None:
        self._new = []

    def flush(self) -> None:
        if not self._kept:
            return
        tx = self._tx
        # The head row is locked as late as can be: it is the one row that all writers share.
        seq, last = HEAD.all(tx.conn, {})[0]
        key = tx.seals.derive(PURPOSE, tx.seals.chain)
        rows: list[dict[str, Any]] = []
        for stream, kind, data in self._kept:
            seq += 1
            last = row_hash(key, bytes(last), seq, tx.now, stream, kind, data)
            rows.append({"seq": seq, "at": tx.now, "stream": stream, "type": kind, "data": data, "hash": last})
        insert_many(tx.conn, events, rows)
        MOVE.run(tx.conn, {"to": seq, "last": last})
        self._kept = []

    # ── reading ─────────────────────────────────────────────────────────────

    def head(self) -> tuple[int, bytes]:
        seq, last = self._tx.conn.execute(select(audit_head.c.seq, audit_head.c.hash)).one()
        return int(seq), bytes(last)

    def rows(self, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Events in order, oldest first, from behind `after`."""
        found = self._tx.conn.execute(select(events).where(events.c.seq > after).order_by(events.c.seq).limit(limit))
        return [{**r._mapping, "hash": bytes(r.hash)} for r in found]

    def of_person(self, person_id: str, before: int, limit: int) -> Sequence[Happened]:
        """Of the person's stream and of all their cases, the newest first."""
        found = OF_PERSON.all(self._tx.conn, {"id": person_id, "before": before, "most": limit})
        return [Happened(r.seq, r.at, r.type, json.loads(r.data)) for r in found]

    def first_at(self, at: int) -> int:
        """By halves: rows are in order of time, and only their numbers are indexed."""
        low, high = 1, self.head()[0] + 1
        while low < high:
            middle = (low + high) // 2
            seen = select(events.c.at).where(events.c.seq >= middle).order_by(events.c.seq).limit(1)
            found = self._tx.conn.execute(seen).scalar()
            if found is not None and found < at:
                low = middle + 1
            else:
                high = middle
        return low

    def streams_of(self, person_id: str) -> Sequence[str]:
        own = select(cases.c.id).where(cases.c.person_id == person_id)
        return [person_id, *self._tx.conn.execute(own).scalars()]

    def search(self, query: AuditQuery) -> Sequence[Happened]:
        e = events.c
        wanted = select(e.seq, e.at, e.stream, e.type, e.data).where(e.seq >= query.first, e.seq < query.before)
        if query.streams:
            wanted = wanted.where(among(e.stream, list(query.streams)))
        if query.event:
            wanted = wanted.where(e.type == query.event)
        if query.operator:
            wanted = wanted.where(e.data.contains(f'"operator":{json.dumps(query.operator)}', autoescape=True))
        found = self._tx.conn.execute(wanted.order_by(e.seq.desc()).limit(query.limit))
        return [Happened(r.seq, r.at, r.type, json.loads(r.data), r.stream) for r in found]

    def of_stream(self, stream: str) -> Iterator[dict[str, Any]]:
        for r in self._tx.conn.execute(select(events).where(events.c.stream == stream).order_by(events.c.seq)):
            yield {"seq": r.seq, "at": r.at, "type": r.type, "data": json.loads(r.data)}


def data_of(stored: str) -> dict[str, Any]:
    """What a row holds. Empty where it was tampered with: it then goes out without its fields, and `keyback audit
    verify` tells."""
    try:
        data = json.loads(stored)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
