"""Tasks of administrators."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select, text, update

from keyback.application.ports.tasks import Task
from keyback.domain.errors import Refusal
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema_tasks import tasks

# In the words of the partial indexes: SQLite uses none of them for a bound value.
OPEN = text("tasks.state = 'open'")
LOOKING = text("tasks.look_at > 0")
ALWAYS = 1 << 62  # no instant is later; with a bound the index is searched, not walked


class TaskStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def add(self, task: Task) -> None:
        self._tx.conn.execute(tasks.insert().values(_row(task)))

    def get(self, task_id: str, *, lock: bool = True) -> Task | None:
        query = select(tasks).where(tasks.c.id == task_id)
        row = self._tx.conn.execute(query.with_for_update() if self._tx.writes and lock else query).first()
        return _task(row) if row else None

    def of_case(self, case_id: str) -> Sequence[Task]:
        return self._load(tasks.c.case_id == case_id) if case_id else []

    def open_of(self, account_id: str) -> Sequence[Task]:
        return self._load(tasks.c.account_id == account_id, OPEN)

    def _load(self, *where: Any) -> list[Task]:
        query = select(tasks).where(*where).order_by(tasks.c.opened_at, tasks.c.id)
        return [_task(r) for r in self._tx.conn.execute(query)]

    def listed(self, *, state: str | None, limit: int) -> Sequence[Task]:
        query = select(tasks).order_by(tasks.c.opened_at.desc(), tasks.c.id).limit(limit)
        if state:
            query = query.where(tasks.c.state == state)
        return [_task(r) for r in self._tx.conn.execute(query)]

    def page(self, *, waiting: bool, after: tuple[int, str], limit: int) -> Sequence[Task]:
        query, (at, last) = select(tasks).limit(limit), after
        if waiting:
            query = query.where(OPEN).order_by(tasks.c.opened_at, tasks.c.id)
            later = or_(tasks.c.opened_at > at, and_(tasks.c.opened_at == at, tasks.c.id > last))
            query = query.where(tasks.c.opened_at >= at, later) if last else query
        else:
            query = query.order_by(tasks.c.opened_at.desc(), tasks.c.id)
            earlier = or_(tasks.c.opened_at < at, and_(tasks.c.opened_at == at, tasks.c.id > last))
            query = query.where(tasks.c.opened_at <= (at if last else ALWAYS))
            query = query.where(earlier) if last else query
        return [_task(r) for r in self._tx.conn.execute(query)]

    def save(self, task: Task) -> Task:
        """Stores a changed task. Raises Refusal `conflict` when it was changed since it was read."""
        now = dataclasses.replace(task, version=task.version + 1)
        mine: ColumnElement[bool] = (tasks.c.id == task.id) & (tasks.c.version == task.version)
        if self._tx.conn.execute(update(tasks).where(mine).values(_row(now))).rowcount != 1:
            raise Refusal("conflict")
        return now

    def claim(self, limit: int, lease_ms: int) -> Sequence[Task]:
        query = select(tasks).where(LOOKING, tasks.c.look_at <= self._tx.now).order_by(tasks.c.look_at).limit(limit)
        if self._tx.pg:
            query = query.with_for_update(skip_locked=True)
        found = [_task(r) for r in self._tx.conn.execute(query)]
        if found:
            mine = among(tasks.c.id, [t.id for t in found])
            self._tx.conn.execute(update(tasks).where(mine).values(look_at=self._tx.now + lease_ms))
        return found


def _row(task: Task) -> dict[str, Any]:
    values = {f.name: getattr(task, f.name) for f in dataclasses.fields(task)}
    return values | {"verified": json.dumps(task.verified, separators=(",", ":"))}


def _task(row: Row[Any]) -> Task:
    values = dict(row._mapping)
    verified = tuple((str(m), int(at)) for m, at in json.loads(values["verified"]))
    return Task(**values | {"verified": verified, "reminded": bool(values["reminded"])})
