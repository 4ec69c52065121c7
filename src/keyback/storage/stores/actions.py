"""What operators ask for and do about people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, and_, or_, select, update
from sqlalchemy import text as sql

from keyback.application.ports.desk_actions import Action, ActionState
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema_actions import desk_actions

PURPOSE = "desk_action"
WAITING = sql("desk_actions.state = 'waiting'")


class ActionStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def add(self, action: Action) -> None:
        values = asdict(action)
        sealed = self._tx.seals.seal(values.pop("reason").encode(), PURPOSE, action.id)
        self._tx.conn.execute(desk_actions.insert().values(**values, sealed=sealed))

    def get(self, action_id: str) -> Action | None:
        row = self._tx.conn.execute(select(desk_actions).where(desk_actions.c.id == action_id)).first()
        return self._action(row) if row else None

    def end(self, action_id: str, state: ActionState, by: str, *, broke_glass: bool = False) -> bool:
        here = (desk_actions.c.id == action_id) & WAITING
        values = {"state": state, "decided_by": by, "decided_at": self._tx.now, "broke_glass": broke_glass}
        return self._tx.conn.execute(update(desk_actions).where(here).values(**values)).rowcount == 1

    def go_on(self, action_id: str, page: str) -> bool:
        here = (desk_actions.c.id == action_id) & (desk_actions.c.state == "done") & (desk_actions.c.page == "")
        return self._tx.conn.execute(update(desk_actions).where(here).values(page=page)).rowcount == 1

    def waiting(self, *, after: tuple[int, str], limit: int) -> Sequence[Action]:
        c, (at, last) = desk_actions.c, after
        later = or_(c.asked_at > at, and_(c.asked_at == at, c.id > last))
        query = select(desk_actions).where(WAITING, c.expires_at > self._tx.now, c.asked_at >= at, later)
        return [self._action(r) for r in self._tx.conn.execute(query.order_by(c.asked_at, c.id).limit(limit))]

    def of_person(self, person_id: str, limit: int) -> Sequence[Action]:
        c = desk_actions.c
        query = select(desk_actions).where(c.person_id == person_id).order_by(c.asked_at.desc(), c.id).limit(limit)
        return [self._action(r) for r in self._tx.conn.execute(query)]

    def _action(self, row: Row[Any]) -> Action:
        values = dict(row._mapping)
        reason = self._tx.seals.open(bytes(values.pop("sealed")), PURPOSE, row.id).decode()
        return Action(**{**values, "broke_glass": bool(row.broke_glass), "reason": reason})
