"""Identities that somebody else was asked to verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy import text as sql

from keyback.application.ports.identity import IdentityCheck
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema import cases, people
from keyback.storage.sql.schema_identity import identity_checks
from keyback.storage.stores.documents import ENDED

C = identity_checks.c


def _load(r: Row[Any]) -> IdentityCheck:
    values = dict(r._mapping)
    for name in ("subject", "name_digest"):
        values[name] = bytes(values[name]) if values[name] is not None else None
    return IdentityCheck(**values)


class IdentityStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def _row(self, check: IdentityCheck) -> dict[str, Any]:
        return {c.name: getattr(check, c.name) for c in C}

    def add(self, check: IdentityCheck) -> None:
        self._tx.conn.execute(identity_checks.insert().values(**self._row(check)))

    def get(self, check_id: str, *, lock: bool = False) -> IdentityCheck | None:
        query = select(identity_checks).where(C.id == check_id)
        row = self._tx.conn.execute(query.with_for_update() if lock else query).first()
        return _load(row) if row else None

    def save(self, check: IdentityCheck) -> None:
        values = {k: v for k, v in self._row(check).items() if k != "id"}
        self._tx.conn.execute(update(identity_checks).where(C.id == check.id).values(**values))

    def of_page(self, handle: str) -> IdentityCheck | None:
        query = select(identity_checks).where(C.handle == handle).order_by(C.created_at.desc(), C.id.desc()).limit(1)
        row = self._tx.conn.execute(query).first()
        return _load(row) if row else None

    def of_case(self, case_id: str) -> Sequence[IdentityCheck]:
        query = select(identity_checks).where(C.case_id == case_id).order_by(C.created_at, C.id)
        return [_load(r) for r in self._tx.conn.execute(query)]

    def used_by_another(self, subject: bytes, person_id: str) -> bool:
        query = select(C.id).where(C.subject == subject, C.person_id != person_id).limit(1)
        return self._tx.conn.execute(query).first() is not None

    def has_namesake(self, person_id: str, name: str) -> bool:
        query = select(people.c.id).where(people.c.name == name, people.c.id != person_id).limit(1)
        return self._tx.conn.execute(query).first() is not None

    def forget_names(self, before: int) -> int:
        over = (C.answered_at < before) | cases.c.state.in_(ENDED)
        some = select(C.id).join(cases, cases.c.id == C.case_id).where(sql("name_digest IS NOT NULL"), over).limit(500)
        ids = list(self._tx.conn.execute(some).scalars())
        if ids:
            self._tx.conn.execute(update(identity_checks).where(C.id.in_(ids)).values(name_digest=None))
        return len(ids)

    def purge(self, before: int) -> int:
        """Forgets what came of them, with the digests."""
        old = select(C.id).where(C.created_at < before).order_by(C.created_at).limit(500)
        ids = list(self._tx.conn.execute(old).scalars())
        return self._tx.conn.execute(delete(identity_checks).where(C.id.in_(ids))).rowcount if ids else 0
