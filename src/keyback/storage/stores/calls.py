"""Calls between people and the help desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy import text as sql

from keyback.application.ports.calls import CallerCheck, OutboundCall
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema_calls import caller_checks, outbound_calls
from keyback.storage.sql.statements import insert_many

CHECKS, CALLS = caller_checks.c, outbound_calls.c


def _check(r: Row[Any]) -> CallerCheck:
    return CallerCheck(**{**r._mapping, "digest": bytes(r.digest)})


class CallStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    # ── from people ─────────────────────────────────────────────────────────

    def add_check(self, check: CallerCheck) -> bool:
        insert_many(self._tx.conn, caller_checks, [asdict(check)], ignore=True)
        return self.check(check.id) is not None

    def check(self, check_id: str, *, lock: bool = False) -> CallerCheck | None:
        query = select(caller_checks).where(CHECKS.id == check_id)
        row = self._tx.conn.execute(query.with_for_update() if lock else query).first()
        return _check(row) if row else None

    def newest_check(self, handle: str) -> CallerCheck | None:
        return self._newest(CHECKS.handle == handle)

    def begin_check(self, digest: bytes, operator_id: str, expires_at: int) -> CallerCheck | None:
        here = (CHECKS.digest == digest) & sql("state = 'shown'") & (CHECKS.expires_at > self._tx.now)
        values = {"state": "begun", "operator_id": operator_id, "expires_at": expires_at}
        begun = update(caller_checks).where(here).values(**values).returning(CHECKS.id)
        found = self._tx.conn.execute(begun).scalar()
        return self.check(found) if found else None

    def save_check(self, check: CallerCheck) -> None:
        values = {k: v for k, v in asdict(check).items() if k != "id"}
        self._tx.conn.execute(update(caller_checks).where(CHECKS.id == check.id).values(**values))

    def withdraw(self, handle: str) -> None:
        here = (CHECKS.handle == handle) & sql("state = 'shown'")
        self._tx.conn.execute(update(caller_checks).where(here).values(state="failed", ended_at=self._tx.now))

    def passed(self, case_id: str, operator_id: str, since: int) -> CallerCheck | None:
        here = (CHECKS.case_id == case_id) & sql("case_id <> ''") & (CHECKS.operator_id == operator_id)
        return self._newest(here & (CHECKS.state == "passed") & (CHECKS.ended_at >= since))

    def checks_by(self, operator_id: str, limit: int) -> Sequence[CallerCheck]:
        here = (CHECKS.operator_id == operator_id) & sql("operator_id <> ''")
        query = select(caller_checks).where(here).order_by(CHECKS.created_at.desc()).limit(limit)
        return [_check(r) for r in self._tx.conn.execute(query)]

    def for_manager(self, person_id: str) -> Sequence[CallerCheck]:
        live = (CHECKS.manager_id == person_id) & sql("manager_id <> ''") & (CHECKS.expires_at > self._tx.now)
        query = select(caller_checks).where(live, CHECKS.state == "begun").order_by(CHECKS.created_at).limit(20)
        return [_check(r) for r in self._tx.conn.execute(query)]

    def _newest(self, here: ColumnElement[bool]) -> CallerCheck | None:
        query = select(caller_checks).where(here).order_by(CHECKS.created_at.desc(), CHECKS.ended_at).limit(1)
        row = self._tx.conn.execute(query).first()
        return _check(row) if row else None

    # ── from operators ──────────────────────────────────────────────────────

    def add_call(self, call: OutboundCall) -> None:
        live = (CALLS.person_id == call.person_id) & (CALLS.expires_at > self._tx.now) & (CALLS.ended_at == 0)
        self._tx.conn.execute(update(outbound_calls).where(live).values(ended_at=self._tx.now))
        insert_many(self._tx.conn, outbound_calls, [asdict(call)])

    def call(self, call_id: str) -> OutboundCall | None:
        row = self._tx.conn.execute(select(outbound_calls).where(CALLS.id == call_id)).first()
        return OutboundCall(**row._mapping) if row else None

    def call_to(self, person_id: str) -> OutboundCall | None:
        live = (CALLS.person_id == person_id) & (CALLS.expires_at > self._tx.now) & (CALLS.ended_at == 0)
        query = select(outbound_calls).where(live).order_by(CALLS.created_at.desc()).limit(1)
        row = self._tx.conn.execute(query).first()
        return OutboundCall(**row._mapping) if row else None

    def end_call(self, call_id: str) -> bool:
        live = (CALLS.id == call_id) & (CALLS.ended_at == 0)
        return self._tx.conn.execute(update(outbound_calls).where(live).values(ended_at=self._tx.now)).rowcount == 1

    def purge(self, before: int) -> int:
        gone = 0
        for table in (caller_checks, outbound_calls):
            old = select(table.c.id).where(table.c.expires_at < before).limit(1000)
            some = list(self._tx.conn.execute(old).scalars())
            if some:
                gone += self._tx.conn.execute(table.delete().where(table.c.id.in_(some))).rowcount
        return gone
