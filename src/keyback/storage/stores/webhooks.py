"""Receivers of events, and a window of what each still has to get. Secrets lie sealed, bound to their row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, exists, func, or_, select, update

from keyback.application.ports.enrolment_storage import Happened
from keyback.application.ports.webhooks import Delivery, Receiver, Undelivered
from keyback.domain.secret import Secret
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema import cases, events, people
from keyback.storage.sql.schema_webhooks import webhook_deliveries, webhooks
from keyback.storage.sql.statements import insert_many
from keyback.storage.stores.audit import data_of

PURPOSE = "webhook"
W, D = webhooks.c, webhook_deliveries.c


class WebhookStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def _load(self, row: Row[Any]) -> Receiver:
        values = dict(row._mapping)
        kept = json.loads(self._tx.seals.open(bytes(values.pop("sealed")), PURPOSE, row.id))
        secrets = tuple((Secret(text), int(until)) for text, until in kept)
        return Receiver(**{**values, "types": tuple(json.loads(row.types)), "secrets": secrets})

    def _values(self, r: Receiver) -> dict[str, Any]:
        plain = json.dumps([[secret.reveal(), until] for secret, until in r.secrets]).encode()
        values = {c.name: getattr(r, c.name) for c in W if c.name not in ("sealed", "types")}
        return {**values, "types": json.dumps(r.types), "sealed": self._tx.seals.seal(plain, PURPOSE, r.id)}

    def add(self, receiver: Receiver) -> None:
        self._tx.conn.execute(webhooks.insert().values(**self._values(receiver)))

    def get(self, receiver_id: str, *, lock: bool = False) -> Receiver | None:
        query = select(webhooks).where(W.id == receiver_id)
        row = self._tx.conn.execute(query.with_for_update() if lock else query).one_or_none()
        return self._load(row) if row else None

    def listed(self) -> Sequence[Receiver]:
        return [self._load(r) for r in self._tx.conn.execute(select(webhooks).order_by(W.created_at, W.id))]

    def save(self, receiver: Receiver) -> None:
        self._tx.conn.execute(update(webhooks).where(W.id == receiver.id).values(**self._values(receiver)))

    def remove(self, receiver_id: str) -> None:
        self._tx.conn.execute(webhook_deliveries.delete().where(D.webhook_id == receiver_id))
        self._tx.conn.execute(webhooks.delete().where(W.id == receiver_id))

    # ── sending ─────────────────────────────────────────────────────────────

    def due(self, head: int) -> Sequence[str]:
        now = self._tx.now
        waiting = exists().where(D.webhook_id == W.id, D.state == "ready", D.due_at <= now)
        free = (W.state == "on") & (W.rest_until <= now) & (W.lease_until <= now)
        return list(self._tx.conn.execute(select(W.id).where(free, or_(W.read_to < head, waiting))).scalars())

    def lease(self, receiver_id: str, lease_ms: int, fence: int = 0) -> Receiver | None:
        now = self._tx.now
        which = (W.id == receiver_id) & (W.state == "on") & (W.rest_until <= now)
        which &= (W.fence == fence) if fence else (W.lease_until <= now)
        change = update(webhooks).where(which).values(lease_until=now + lease_ms, fence=fence or W.fence + 1)
        row = self._tx.conn.execute(change.returning(*W)).one_or_none()
        return self._load(row) if row else None

    def release(self, receiver_id: str) -> None:
        self._tx.conn.execute(update(webhooks).where(W.id == receiver_id).values(lease_until=0))

    def put(self, receiver_id: str, rows: Sequence[tuple[int, str]]) -> None:
        made = {"webhook_id": receiver_id, "state": "ready", "due_at": self._tx.now}
        new = [{**made, "seq": seq, "stream": stream} for seq, stream in rows]
        insert_many(self._tx.conn, webhook_deliveries, new, ignore=True)

    def claim(self, receiver_id: str, limit: int) -> Sequence[Delivery]:
        e, earlier = events.c, webhook_deliveries.alias("earlier")
        first = ~exists().where(
            earlier.c.webhook_id == receiver_id,
            earlier.c.state == "ready",
            earlier.c.stream == D.stream,
            earlier.c.seq < D.seq,
        )
        mine = (D.webhook_id == receiver_id) & (D.state == "ready") & (D.due_at <= self._tx.now) & first
        query = (
            select(D.seq, D.attempts, e.at, e.type, e.stream, e.data, cases.c.person_id, people.c.id.label("own"))
            .join(events, e.seq == D.seq)
            .outerjoin(cases, cases.c.id == e.stream)
            .outerjoin(people, people.c.id == e.stream)
            .where(mine)
            .order_by(D.due_at, D.seq)
            .limit(limit)
        )
        found = []
        for r in self._tx.conn.execute(query):
            event = Happened(r.seq, r.at, r.type, data_of(r.data), r.stream)
            found.append(Delivery(event, r.attempts, r.stream if r.person_id else "", r.person_id or r.own or ""))
        return found

    def done(self, receiver_id: str, seqs: Sequence[int]) -> None:
        if seqs:
            mine = (D.webhook_id == receiver_id) & D.seq.in_(seqs)
            self._tx.conn.execute(webhook_deliveries.delete().where(mine))

    def again(self, receiver_id: str, seq: int, due_at: int, code: str) -> None:
        self._mark(receiver_id, seq, due_at=due_at, attempts=D.attempts + 1, last_code=code)

    def give_up(self, receiver_id: str, seq: int, code: str) -> None:
        self._mark(receiver_id, seq, state="dead", due_at=self._tx.now, attempts=D.attempts + 1, last_code=code)

    def _mark(self, receiver_id: str, seq: int, **values: Any) -> None:
        mine = (D.webhook_id == receiver_id) & (D.seq == seq)
        self._tx.conn.execute(update(webhook_deliveries).where(mine).values(**values))

    # ── what was given up ───────────────────────────────────────────────────

    def dead(self, receiver_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
        e = events.c
        query = select(D.seq, e.type, e.at, D.attempts, D.last_code).join(events, e.seq == D.seq)
        query = query.where(D.webhook_id == receiver_id, D.state == "dead").order_by(D.seq).limit(limit)
        return [dict(r._mapping) for r in self._tx.conn.execute(query)]

    def revive(self, receiver_id: str) -> int:
        mine = (D.webhook_id == receiver_id) & (D.state == "dead")
        change = update(webhook_deliveries).where(mine).values(state="ready", due_at=self._tx.now, attempts=0)
        return self._tx.conn.execute(change).rowcount

    def undelivered(self) -> Mapping[str, Undelivered]:
        out: dict[str, Undelivered] = {}
        for receiver_id in self._tx.conn.execute(select(W.id)).scalars():
            query = select(D.state, func.count()).where(D.webhook_id == receiver_id).group_by(D.state)
            counts = {state: int(n) for state, n in self._tx.conn.execute(query)}
            if counts:
                out[receiver_id] = Undelivered(counts.get("ready", 0), counts.get("dead", 0))
        return out

    def purge(self, before: int) -> int:
        gone = 0
        for receiver_id in self._tx.conn.execute(select(W.id)).scalars().all():
            old = (D.webhook_id == receiver_id) & (D.state == "dead") & (D.due_at < before)
            gone += self._tx.conn.execute(webhook_deliveries.delete().where(old)).rowcount
        return gone
