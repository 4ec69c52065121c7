"""How calls to connected systems went, and what waits for each (`application.ports.system_states`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from keyback.application.ports.system_states import CheckStatus, SystemHealth, SystemWork
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts, outbox
from keyback.storage.sql.schema_systems import system_states
from keyback.storage.sql.schema_tasks import tasks
from keyback.storage.stores.outbox import DEAD, READY

LONGEST = 600  # characters of what a check said
KINDS = ("apply", "stop", "unlock")


class SystemStateStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def all(self) -> Mapping[str, SystemHealth]:
        rows = self._tx.conn.execute(select(system_states))
        return {r.system: SystemHealth(**r._mapping) for r in rows}

    def reached(self, system: str, good_at: int, failing_since: int) -> None:
        self._put(system, {"good_at": good_at, "failing_since": failing_since})

    def checked(self, system: str, status: CheckStatus, words: str, step: str) -> None:
        said = {"check_status": status, "check_words": words[:LONGEST], "check_next": step[:LONGEST]}
        self._put(system, {"checked_at": self._tx.now, **said})

    def _put(self, system: str, values: Mapping[str, Any]) -> None:
        query = update(system_states).where(system_states.c.system == system).values(**values)
        if self._tx.conn.execute(query).rowcount:
            return
        try:
            with self._tx.conn.begin_nested():
                self._tx.conn.execute(system_states.insert().values(system=system, **values))
        except IntegrityError:  # another node was first
            self._tx.conn.execute(query)

    def work(self, limit: int) -> tuple[Mapping[str, SystemWork], bool]:
        c = outbox.c
        query = select(c.state, c.last_code, c.created_at, c.body).order_by(c.created_at).limit(limit + 1)
        asked = [query.where(c.kind == kind, rows) for kind in KINDS for rows in (READY, DEAD)]  # each has an index
        rows = [r for one in asked for r in self._tx.conn.execute(one)]
        rows.sort(key=lambda r: r.created_at)
        named = [(r, str(_account(r.body))) for r in rows[:limit]]
        ids = sorted({a for _, a in named if a})
        found = self._tx.conn.execute(select(accounts.c.id, accounts.c.system).where(among(accounts.c.id, ids)))
        systems: dict[str, str] = {r.id: r.system for r in found} if ids else {}
        out: dict[str, SystemWork] = {}
        for r, account in named:
            if account in systems:
                out[systems[account]] = _counted(out.get(systems[account], SystemWork()), r)
        return out, len(rows) > limit

    def open_tasks(self, limit: int) -> tuple[Sequence[tuple[str, str, int]], bool]:
        c = tasks.c
        query = select(c.system, c.kind, c.opened_at).where(c.state == "open").order_by(c.opened_at).limit(limit + 1)
        rows = [(r.system, r.kind, r.opened_at) for r in self._tx.conn.execute(query)]
        return rows[:limit], len(rows) > limit


def _counted(before: SystemWork, row: Any) -> SystemWork:
    dead, failing = row.state == "dead", row.state != "dead" and bool(row.last_code)
    waits = not dead
    return SystemWork(
        before.waiting + (waits and not failing),
        before.failing + failing,
        before.dead + dead,
        row.last_code or before.code,
        before.oldest or (row.created_at if waits else 0),
    )


def _account(body: str) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("account", "")) if isinstance(found, dict) else ""
