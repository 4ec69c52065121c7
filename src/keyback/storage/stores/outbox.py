"""Work committed together with the state that asked for it, done later, at least once (ADR 12).

A claim is a lease: it ends by itself, and its number (the fence) must still be current when the work is marked done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from sqlalchemy import Row, Select, and_, bindparam, func, or_, select, text, update

from keyback.application.ports.outbox_search import Heap, OutboxRow
from keyback.application.ports.storage import Job, JobKind
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement, many, marked, rows_of, run
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import outbox
from keyback.storage.sql.statements import in_order, insert_many

SOON = 3_600_000  # what is due later is planned, and waits for nobody
SEEN = {n: n for n in ("id", "kind", "state", "body", "created_at", "due_at", "expires_at", "attempts")}
SEEN["last_code"] = "code"  # as `OutboxRow` has it
# In the words of the partial indexes: SQLite uses none of them for a bound value.
DEAD, READY, FAILED = text("state = 'dead'"), text("state = 'ready'"), text("last_code <> ''")

CLAIM = """UPDATE outbox SET due_at = :until, attempts = attempts + 1, fence = fence + 1
 WHERE id {pick} RETURNING id, kind, body, sealed, created_at, expires_at, due_at, attempts, fence, turn"""
# What is due by turn; then, in what room is left, what is due before its turn. A turn is never earlier than the job is
# due, but while it is leased, so neither pick reads much more than it takes.
DUE = """WITH by_turn AS (SELECT id FROM outbox WHERE kind = :kind AND state = 'ready' AND turn <= :now
 AND due_at <= :now ORDER BY turn LIMIT :n{lock}), early AS (SELECT id FROM outbox WHERE kind = :kind
 AND state = 'ready' AND due_at <= :now AND turn > :now ORDER BY due_at
 LIMIT (SELECT CASE WHEN count(*) < :n THEN :n - count(*) ELSE 0 END FROM by_turn){lock})
 SELECT id FROM by_turn UNION ALL SELECT id FROM early"""
CLAIM_SQLITE = CLAIM.format(pick=f"IN ({DUE.format(lock='')})")
CLAIM_PG = marked(CLAIM.format(pick=f"= ANY(ARRAY({DUE.format(lock=' FOR UPDATE SKIP LOCKED')}))"), n="int")
DONE_PG = """DELETE FROM outbox o USING unnest(%s::text[], %s::int[]) AS d(id, fence)
 WHERE o.id = d.id AND o.fence = d.fence"""
DONE_SQLITE = "DELETE FROM outbox WHERE id = ? AND fence = ?"
HELD = Statement(
    select(outbox.c.id)
    .where(outbox.c.id == bindparam("id"), outbox.c.fence == bindparam("fence"), outbox.c.state == "ready")
    .with_for_update()
)
LOAD = ("id", "kind", "body", "sealed", "created_at", "expires_at", "due_at", "attempts", "fence", "turn")


class OutboxStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def put(self, jobs: Sequence[Job]) -> None:
        rows = [
            {
                "id": j.id,
                "kind": j.kind,
                "state": "ready",
                "body": json.dumps(dict(j.body), ensure_ascii=True, separators=(",", ":")),
                "sealed": j.sealed,
                "created_at": j.created_at,
                "due_at": j.due_at or self._tx.now,
                "expires_at": j.expires_at,
                "turn": max(j.turn, j.due_at or self._tx.now),
            }
            for j in jobs
        ]
        insert_many(self._tx.conn, outbox, rows)
        self._tx.wakes |= {j.kind for j in jobs if j.due_at <= self._tx.now}

    def claim(self, kind: str, limit: int, lease_ms: int) -> Sequence[Job]:
        """Leases up to `limit` due jobs for `lease_ms`; a lease that ran out is claimed again with a higher fence."""
        values = {"kind": kind, "now": self._tx.now, "n": limit, "until": self._tx.now + lease_ms}
        with in_order(self._tx.conn):
            rows = rows_of(self._tx.conn, CLAIM_PG if self._tx.pg else CLAIM_SQLITE, values)
        return sorted((_job(r) for r in rows), key=lambda j: j.created_at)

    def done(self, jobs: Sequence[Job]) -> int:
        """Forgets finished jobs, each only while its lease is still ours; how many were."""
        if not jobs:
            return 0
        if self._tx.pg:
            return int(run(self._tx.conn, DONE_PG, ([j.id for j in jobs], [j.fence for j in jobs])).rowcount)
        return many(self._tx.conn, DONE_SQLITE, [(j.id, j.fence) for j in jobs])

    def retry(self, job: Job, due_at: int, code: str) -> bool:
        return self._mark(job, due_at=due_at, turn=max(due_at, job.turn), last_code=code)

    def give_up(self, job: Job, code: str) -> bool:
        """Takes the job out of the way for good; what it had sealed is erased."""
        return self._mark(job, state="dead", last_code=code, sealed=None)

    def _mark(self, job: Job, **values: Any) -> bool:
        mine = (outbox.c.id == job.id) & (outbox.c.fence == job.fence)
        return self._tx.conn.execute(update(outbox).where(mine).values(**values)).rowcount == 1

    def renew(self, jobs: Sequence[Job], lease_ms: int) -> bool:
        """Leases of these jobs from now on; False, and nothing changed, when one is no longer ours."""
        for j in sorted(jobs, key=lambda j: j.id):
            if not self.holds(j):
                return False
        until = self._tx.now + lease_ms
        ids = among(outbox.c.id, [j.id for j in jobs])
        self._tx.conn.execute(update(outbox).where(ids).values(due_at=until))
        return True

    def holds(self, job: Job) -> bool:
        """Whether the lease is still ours; the row stays locked until the commit."""
        return HELD.first(self._tx.conn, {"id": job.id, "fence": job.fence}) is not None

    def rows(self, heap: Heap, after: tuple[int, str], limit: int) -> Sequence[OutboxRow]:
        """Given up, failing, or waiting and due within the hour; the oldest first, behind an instant and an id."""
        c, (at, last) = outbox.c, after
        query = select(*(c[name] for name in SEEN)).limit(limit)
        if heap == "waiting":
            return self._waiting(query, after, limit)
        query = query.where(*((DEAD,) if heap == "dead" else (READY, FAILED))).order_by(c.created_at, c.id)
        query = query.where(c.created_at >= at, or_(c.created_at > at, and_(c.created_at == at, c.id > last)))
        return [_seen(r) for r in self._tx.conn.execute(query)]

    def _waiting(self, query: Select[Any], after: tuple[int, str], limit: int) -> list[OutboxRow]:
        """By kind, as the index has them, each by when it is due; then together."""
        c, (at, last), found = outbox.c, after, []
        due = query.where(READY, c.last_code == "", c.due_at <= self._tx.now + SOON).order_by(c.due_at, c.id)
        due = due.where(c.due_at >= at, or_(c.due_at > at, and_(c.due_at == at, c.id > last)))
        for kind in get_args(JobKind):
            found += [_seen(r) for r in self._tx.conn.execute(due.where(c.kind == kind))]
        return sorted(found, key=lambda r: (r.due_at, r.id))[:limit]

    def row(self, job_id: str) -> OutboxRow | None:
        query = select(*(outbox.c[name] for name in SEEN)).where(outbox.c.id == job_id)
        found = self._tx.conn.execute(query.with_for_update() if self._tx.writes else query).first()
        return _seen(found) if found else None

    def revive(self, job_id: str, expires_at: int) -> bool:
        """Has a job that was given up done once more, as if never tried; whether it still was given up."""
        now = self._tx.now
        fresh = {"state": "ready", "attempts": 0, "last_code": "", "due_at": now, "turn": now, "expires_at": expires_at}
        mine = (outbox.c.id == job_id) & DEAD
        query = update(outbox).where(mine).values(**fresh, fence=outbox.c.fence + 1).returning(outbox.c.kind)
        kinds = set(self._tx.conn.execute(query).scalars())
        self._tx.wakes |= kinds
        return bool(kinds)

    def depth(self) -> Mapping[str, int]:
        """What is due or tried again within the hour, and what is dead; messages planned for later are no backlog."""
        soon = (outbox.c.due_at <= self._tx.now + SOON) | (outbox.c.state == "dead")
        query = select(outbox.c.kind, outbox.c.state, func.count()).where(soon).group_by("kind", "state")
        rows = self._tx.conn.execute(query)
        return {f"{kind}/{state}": n for kind, state, n in rows}


def _job(row: Sequence[Any]) -> Job:
    values = dict(zip(LOAD, row, strict=True))
    sealed = values["sealed"]
    return Job(**{**values, "body": _body(values["body"]), "sealed": bytes(sealed) if sealed is not None else None})


def _seen(row: Row[Any]) -> OutboxRow:
    values: dict[str, Any] = dict(zip(SEEN.values(), row, strict=True))
    return OutboxRow(**{**values, "body": _body(values["body"])})


def _body(stored: str) -> dict[str, Any]:
    """Empty when it cannot be read: the row then ends as a dead letter instead of holding up the others (Q10)."""
    try:
        body = json.loads(stored)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
