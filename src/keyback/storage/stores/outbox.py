"""Work committed together with the state that asked for it, done later, at least once (ADR 12).

A claim is a lease: it ends by itself, and its number (the fence) must still be current when the work is marked done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, func, select, text, update

from keyback.application.ports.storage import Job
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import outbox
from keyback.storage.sql.statements import in_order, insert_many

CLAIM = """UPDATE outbox SET due_at = :until, attempts = attempts + 1, fence = fence + 1
 WHERE id {pick} RETURNING id, kind, body, sealed, created_at, expires_at, due_at, attempts, fence, turn"""
# What is due by turn; then, in what room is left, what is due before its turn. A turn is never earlier than the job is
# due, but while it is leased, so neither pick reads much more than it takes.
DUE = """WITH by_turn AS (SELECT id FROM outbox WHERE kind = :kind AND state = 'ready' AND turn <= :now
 AND due_at <= :now ORDER BY turn LIMIT :n{lock}), early AS (SELECT id FROM outbox WHERE kind = :kind
 AND state = 'ready' AND due_at <= :now AND turn > :now ORDER BY due_at
 LIMIT (SELECT CASE WHEN count(*) < :n THEN :n - count(*) ELSE 0 END FROM by_turn){lock})
 SELECT id FROM by_turn UNION ALL SELECT id FROM early"""
DONE_PG = """DELETE FROM outbox o USING unnest(%s::text[], %s::int[]) AS d(id, fence)
 WHERE o.id = d.id AND o.fence = d.fence"""
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
        self._tx.wakes = self._tx.wakes or bool(jobs)

    def claim(self, kind: str, limit: int, lease_ms: int) -> Sequence[Job]:
        """Leases up to `limit` due jobs for `lease_ms`; a lease that ran out is claimed again with a higher fence."""
        due = DUE.format(lock=" FOR UPDATE SKIP LOCKED" if self._tx.pg else "")
        pick = f"= ANY(ARRAY({due}))" if self._tx.pg else f"IN ({due})"
        values = {"kind": kind, "now": self._tx.now, "n": limit, "until": self._tx.now + lease_ms}
        with in_order(self._tx.conn):
            rows = self._tx.conn.execute(text(CLAIM.format(pick=pick)), values).all()
        return sorted((_job(r) for r in rows), key=lambda j: j.created_at)

    def done(self, jobs: Sequence[Job]) -> None:
        """Forgets finished jobs, each only while its lease is still ours."""
        if not jobs:
            return
        if self._tx.pg:
            self._tx.conn.exec_driver_sql(DONE_PG, ([j.id for j in jobs], [j.fence for j in jobs]))
        else:
            mine = (outbox.c.id == bindparam("i")) & (outbox.c.fence == bindparam("f"))
            self._tx.conn.execute(outbox.delete().where(mine), [{"i": j.id, "f": j.fence} for j in jobs])

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
        mine = (outbox.c.id == job.id) & (outbox.c.fence == job.fence) & (outbox.c.state == "ready")
        return self._tx.conn.execute(select(outbox.c.id).where(mine).with_for_update()).first() is not None

    def depth(self) -> Mapping[str, int]:
        """What is due or tried again within the hour, and what is dead; messages planned for later are no backlog."""
        soon = (outbox.c.due_at <= self._tx.now + 3_600_000) | (outbox.c.state == "dead")
        query = select(outbox.c.kind, outbox.c.state, func.count()).where(soon).group_by("kind", "state")
        rows = self._tx.conn.execute(query)
        return {f"{kind}/{state}": n for kind, state, n in rows}


def _job(row: Row[Any]) -> Job:
    values = dict(zip(LOAD, row, strict=True))
    sealed = values["sealed"]
    return Job(**{**values, "body": _body(values["body"]), "sealed": bytes(sealed) if sealed is not None else None})


def _body(stored: str) -> dict[str, Any]:
    """Empty when it cannot be read: the row then ends as a dead letter instead of holding up the others (Q10)."""
    try:
        body = json.loads(stored)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
