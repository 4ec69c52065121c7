"""Keys of the admin API, and what acts through it were answered with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, select, update

from keyback.application.ports.api_keys import Answer
from keyback.domain.operators.keys import ApiKey
from keyback.domain.operators.roles import Permission
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema_desk import api_answers, operator_keys
from keyback.storage.sql.statements import insert_many

KEYS, ANSWERS = operator_keys.c, api_answers.c
KNOWN = frozenset(p.value for p in Permission)


def _key(r: Row[Any]) -> ApiKey:
    # What a later version knows and this one doesn't opens nothing here.
    scopes = frozenset(Permission(s) for s in json.loads(r.scopes) if s in KNOWN)
    return ApiKey(**{**r._mapping, "digest": bytes(r.digest), "scopes": scopes})


class ApiKeyStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def add(self, key: ApiKey) -> None:
        values = {**asdict(key), "scopes": json.dumps(sorted(s.value for s in key.scopes))}
        self._tx.conn.execute(operator_keys.insert().values(**values))

    def get(self, key_id: str) -> ApiKey | None:
        return next(iter(self._some(KEYS.id == key_id)), None)

    def by_prefix(self, prefix: str) -> ApiKey | None:
        return next(iter(self._some(KEYS.prefix == prefix)), None)

    def of(self, operator_id: str) -> Sequence[ApiKey]:
        return self._some((KEYS.operator_id == operator_id) & (KEYS.ended_at == 0))

    def listed(self) -> Sequence[ApiKey]:
        return self._some(KEYS.ended_at == 0)

    def _some(self, which: ColumnElement[bool]) -> list[ApiKey]:
        query = select(operator_keys).where(which).order_by(KEYS.created_at.desc(), KEYS.id)
        return [_key(r) for r in self._tx.conn.execute(query)]

    def end(self, key_id: str) -> bool:
        here = (KEYS.id == key_id) & (KEYS.ended_at == 0)
        return self._tx.conn.execute(update(operator_keys).where(here).values(ended_at=self._tx.now)).rowcount == 1

    def shorten(self, operator_id: str, until: int) -> None:
        longer = (KEYS.operator_id == operator_id) & (KEYS.ended_at == 0) & (KEYS.expires_at > until)
        self._tx.conn.execute(update(operator_keys).where(longer).values(expires_at=until))

    def used(self, key_id: str, source: str) -> None:
        values = {"used_at": self._tx.now, "used_from": source[:45]}
        self._tx.conn.execute(update(operator_keys).where(KEYS.id == key_id).values(**values))

    # ── answers ─────────────────────────────────────────────────────────────

    def claim_answer(self, answer: Answer) -> Answer:
        insert_many(self._tx.conn, api_answers, [{**asdict(answer), "at": self._tx.now}], ignore=True)
        r = self._tx.conn.execute(select(api_answers).where(ANSWERS.digest == answer.digest)).one()
        return Answer(bytes(r.digest), r.id, bytes(r.request), r.status, r.body)

    def save_answer(self, answer: Answer) -> None:
        mine = ANSWERS.digest == answer.digest
        self._tx.conn.execute(update(api_answers).where(mine).values(status=answer.status, body=answer.body))

    def purge(self, answers_before: int) -> int:
        """Deletes about a thousand of the oldest answers from before an instant (ms)."""
        old = select(ANSWERS.at).where(ANSWERS.at < answers_before).order_by(ANSWERS.at).limit(1000).subquery()
        last = self._tx.conn.execute(select(func.max(old.c.at))).scalar()
        if last is None:
            return 0
        return self._tx.conn.execute(delete(api_answers).where(ANSWERS.at <= last)).rowcount
