"""The age of passwords in other systems."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sqlalchemy import exists, select, update

from keyback.application.ports.password_ages import PasswordAge
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts
from keyback.storage.sql.schema_ages import password_ages
from keyback.storage.sql.statements import insert_many


class PasswordAgeStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def take_up(self, system: str, limit: int) -> int:
        a, p = accounts.c, password_ages.c
        mine = (a.system == system) & (a.state != "disabled") & (a.provider == "")
        missing = ~exists(select(p.account_id).where(p.account_id == a.id))
        # Two nodes may find the same ones: the row of the account is locked, so the second finds none.
        query = select(a.id).where(mine, missing).order_by(a.id).limit(limit)
        query = query.with_for_update(skip_locked=True) if self._tx.pg else query
        ids = list(self._tx.conn.execute(query).scalars())
        rows = [{"account_id": i, "system": system, "look_at": self._tx.now} for i in ids]
        insert_many(self._tx.conn, password_ages, rows)
        return len(rows)

    def claim(self, system: str, limit: int, lease_ms: int) -> Sequence[PasswordAge]:
        p = password_ages.c
        query = select(password_ages).where(p.system == system, p.look_at <= self._tx.now)
        query = query.order_by(p.look_at).limit(limit)
        query = query.with_for_update(skip_locked=True) if self._tx.pg else query
        until = self._tx.now + lease_ms
        found = [dataclasses.replace(PasswordAge(**r._mapping), look_at=until) for r in self._tx.conn.execute(query)]
        if found:
            these = among(p.account_id, [x.account_id for x in found])
            self._tx.conn.execute(update(password_ages).where(these).values(look_at=until))
        return found

    def save(self, age: PasswordAge, before: PasswordAge) -> bool:
        p = password_ages.c
        mine = (p.account_id == before.account_id) & (p.look_at == before.look_at)
        values = dataclasses.asdict(age)
        return self._tx.conn.execute(update(password_ages).where(mine).values(values)).rowcount == 1
