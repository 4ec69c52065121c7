"""Operators: who they are, what they sign in with, and their sessions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, func, or_, select, update

from keyback.application.ports.desk_storage import OperatorSession, SetUpLink
from keyback.domain.operators.roles import Operator, Permission, Role
from keyback.domain.people.factor import Factor
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema_desk import operator_factors, operator_links, operator_sessions, operators
from keyback.storage.sql.statements import insert_many

PURPOSE = "operator_factor"
IDLE = 15 * 60_000


def _operator(r: Row[Any]) -> Operator:
    scopes = frozenset[Permission]() if r.kind == "program" else None
    return Operator(r.id, r.name, r.mail, Role(r.role), r.state, r.person_id, r.security_version, r.created_at, scopes)


class OperatorStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    # ── who they are ────────────────────────────────────────────────────────

    def add(self, operator: Operator) -> bool:
        if self.by_mail(operator.mail) is not None:
            return False
        values = {
            **{n: getattr(operator, n) for n in ("id", "name", "mail", "state", "person_id", "security_version")},
            "role": operator.role.value,
            "kind": "human" if operator.scopes is None else "program",
            "created_at": self._tx.now,
        }
        insert_many(self._tx.conn, operators, [values], ignore=True)
        return self.get(operator.id) is not None

    def get(self, operator_id: str, *, lock: bool = False) -> Operator | None:
        query = select(operators).where(operators.c.id == operator_id)
        row = self._tx.conn.execute(query.with_for_update() if lock else query).first()
        return _operator(row) if row else None

    def many(self, ids: Sequence[str]) -> Mapping[str, Operator]:
        wanted = [i for i in dict.fromkeys(ids) if i]
        if not wanted:
            return {}
        return {
            r.id: _operator(r) for r in self._tx.conn.execute(select(operators).where(among(operators.c.id, wanted)))
        }

    def by_mail(self, mail: str) -> Operator | None:
        here = (operators.c.mail == mail) & (operators.c.state != "removed")
        row = self._tx.conn.execute(select(operators).where(here)).first()
        return _operator(row) if row else None

    def of_person(self, person_id: str, mails: Sequence[str]) -> Sequence[Operator]:
        same = or_(operators.c.person_id == person_id, among(operators.c.mail, list(mails)))
        query = select(operators).where(same, operators.c.state != "removed").order_by(operators.c.id)
        return [_operator(r) for r in self._tx.conn.execute(query)]

    def listed(self) -> Sequence[Operator]:
        humans = (operators.c.state != "removed") & (operators.c.kind == "human")
        query = select(operators).where(humans).order_by(operators.c.name, operators.c.id)
        return [_operator(r) for r in self._tx.conn.execute(query)]

    def holders(self, role: Role) -> int:
        mine = (operators.c.role == role.value) & (operators.c.state == "active")
        return self._tx.conn.execute(select(func.count()).select_from(operators).where(mine)).scalar() or 0

    def activate(self, operator_id: str, phc: str | None) -> None:
        self._renew(operator_id, "active", phc)

    def invite(self, operator_id: str) -> None:
        self._renew(operator_id, "invited", None)

    def _renew(self, operator_id: str, state: str, phc: str | None) -> None:
        self._end_all(operator_id)
        values = {"state": state, "phc": phc, "security_version": operators.c.security_version + 1}
        self._tx.conn.execute(update(operators).where(operators.c.id == operator_id).values(**values))

    def remove(self, operator_id: str) -> bool:
        here = (operators.c.id == operator_id) & (operators.c.state != "removed")
        values = {
            "state": "removed",
            "phc": None,
            "ended_at": self._tx.now,
            "security_version": operators.c.security_version + 1,
        }
        self._end_all(operator_id)
        return self._tx.conn.execute(update(operators).where(here).values(**values)).rowcount == 1

    def _end_all(self, operator_id: str) -> None:
        f, ended = operator_factors.c, {"state": "removed", "ended_at": self._tx.now, "lookup": None}
        mine = (f.operator_id == operator_id) & (f.state == "active")
        self._tx.conn.execute(update(operator_factors).where(mine).values(**ended))
        self._tx.conn.execute(delete(operator_links).where(operator_links.c.operator_id == operator_id))
        self.end_sessions(operator_id)

    def credential(self, operator_id: str) -> str | None:
        return self._tx.conn.execute(select(operators.c.phc).where(operators.c.id == operator_id)).scalar()

    def rehash(self, operator_id: str, before: str, phc: str) -> None:
        same = (operators.c.id == operator_id) & (operators.c.phc == before)
        self._tx.conn.execute(update(operators).where(same).values(phc=phc))

    # ── set-up links ────────────────────────────────────────────────────────

    def add_link(self, link: SetUpLink) -> None:
        self._tx.conn.execute(delete(operator_links).where(operator_links.c.operator_id == link.operator_id))
        self._tx.conn.execute(
            operator_links.insert().values(**{c.name: getattr(link, c.name) for c in operator_links.c})
        )

    def link(self, digest: bytes) -> SetUpLink | None:
        row = self._tx.conn.execute(select(operator_links).where(operator_links.c.digest == digest)).first()
        return SetUpLink(**{**row._mapping, "digest": bytes(row.digest)}) if row else None

    def count_link_try(self, digest: bytes, most: int) -> int | None:
        """Counts one try before it is looked at; None when there is none left."""
        left = (operator_links.c.digest == digest) & (operator_links.c.tries < most)
        counted = update(operator_links).where(left).values(tries=operator_links.c.tries + 1)
        return self._tx.conn.execute(counted.returning(operator_links.c.tries)).scalar()

    def use_link(self, digest: bytes) -> bool:
        unused = (operator_links.c.digest == digest) & operator_links.c.used_at.is_(None)
        return self._tx.conn.execute(update(operator_links).where(unused).values(used_at=self._tx.now)).rowcount == 1

    # ── factors ─────────────────────────────────────────────────────────────

    def _factor(self, r: Row[Any]) -> Factor:
        data = json.loads(self._tx.seals.open(bytes(r.sealed), PURPOSE, r.id))
        lookup = bytes(r.lookup) if r.lookup is not None else None
        return Factor(
            r.id, r.operator_id, r.kind, r.label, r.state, data, r.counter, r.added_at, r.added_at, r.used_at,
            r.ended_at, lookup,
        )  # fmt: skip

    def add_factor(self, factor: Factor) -> None:
        """Writes one down; its `person_id` is the operator's."""
        names = ("id", "kind", "label", "state", "lookup", "counter", "added_at", "used_at", "ended_at")
        values = {n: getattr(factor, n) for n in names} | {"operator_id": factor.person_id}
        sealed = self._tx.seals.seal(json.dumps(dict(factor.data)).encode(), PURPOSE, factor.id)
        self._tx.conn.execute(operator_factors.insert().values(**values, sealed=sealed))

    def factors(self, operator_id: str) -> Sequence[Factor]:
        """Active ones, oldest first."""
        f = operator_factors.c
        mine = (f.operator_id == operator_id) & (f.state == "active")
        return [
            self._factor(r) for r in self._tx.conn.execute(select(operator_factors).where(mine).order_by(f.added_at))
        ]

    def factor_by_lookup(self, digest: bytes) -> Factor | None:
        row = self._tx.conn.execute(select(operator_factors).where(operator_factors.c.lookup == digest)).first()
        return self._factor(row) if row else None

    def advance(self, factor_id: str, counter: int) -> bool:
        """Takes a TOTP step or signature count that is higher than all before; False when it is not."""
        f = operator_factors.c
        mine = (f.id == factor_id) & (f.state == "active") & (f.counter < counter)
        values = {"counter": counter, "used_at": self._tx.now}
        return self._tx.conn.execute(update(operator_factors).where(mine).values(**values)).rowcount == 1

    def touch_factor(self, factor_id: str) -> bool:
        f = operator_factors.c
        mine = (f.id == factor_id) & (f.state == "active")
        return self._tx.conn.execute(update(operator_factors).where(mine).values(used_at=self._tx.now)).rowcount == 1

    # ── sessions ────────────────────────────────────────────────────────────

    def add_session(self, session: OperatorSession) -> None:
        values = {c.name: getattr(session, c.name) for c in operator_sessions.c}
        self._tx.conn.execute(operator_sessions.insert().values(**values))

    def session(self, digest: bytes) -> OperatorSession | None:
        """The session, None when it is over or has been idle for too long."""
        s, now = operator_sessions.c, self._tx.now
        live = (s.digest == digest) & (s.expires_at > now) & (s.seen_at > now - IDLE)
        row = self._tx.conn.execute(select(operator_sessions).where(live)).first()
        return OperatorSession(**{**row._mapping, "digest": bytes(row.digest)}) if row else None

    def touch(self, digest: bytes) -> None:
        mine = operator_sessions.c.digest == digest
        self._tx.conn.execute(update(operator_sessions).where(mine).values(seen_at=self._tx.now))

    def prove(self, digest: bytes) -> None:
        mine = operator_sessions.c.digest == digest
        self._tx.conn.execute(update(operator_sessions).where(mine).values(proven_at=self._tx.now))

    def end_session(self, digest: bytes) -> OperatorSession | None:
        found = self.session(digest)
        self._tx.conn.execute(delete(operator_sessions).where(operator_sessions.c.digest == digest))
        return found

    def end_sessions(self, operator_id: str) -> int:
        mine = operator_sessions.c.operator_id == operator_id
        return self._tx.conn.execute(delete(operator_sessions).where(mine)).rowcount

    def purge(self, links_before: int) -> int:
        """Deletes sessions that are over and links that were over before an instant (ms)."""
        gone = self._tx.conn.execute(delete(operator_sessions).where(operator_sessions.c.expires_at < self._tx.now))
        old = self._tx.conn.execute(delete(operator_links).where(operator_links.c.expires_at < links_before))
        return gone.rowcount + old.rowcount
