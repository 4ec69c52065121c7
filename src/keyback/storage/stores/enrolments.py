"""Everybody with what they have enrolled, page by page, for looking at all people at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func, select

from keyback.application.ports.enrolment_storage import Everything
from keyback.domain.people.factor import REMOVAL_GRACE, Factor, SavedCode
from keyback.domain.people.person import Account, Contact, Person
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema import accounts, contacts, factors, people, saved_codes
from keyback.storage.stores.people import ACCOUNT, PERSON

T = TypeVar("T", Contact, Factor)


class AllPeopleStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def page(self, after: str, limit: int) -> Sequence[Everything]:
        """The next `limit` active people behind `after` by id, with confirmed contacts, active factors, and those that
        were removed lately. What proves a factor stays sealed; of the saved codes that are good one of each set stands
        for all."""
        behind = (people.c.id > after) & (people.c.state == "active")
        return self._with_all(select(*PERSON).where(behind).order_by(people.c.id).limit(limit))

    def of(self, person_id: str) -> Everything | None:
        found = self._with_all(select(*PERSON).where((people.c.id == person_id) & (people.c.state == "active")))
        return found[0] if found else None

    def accounts_in(self, system: str, after: str, limit: int) -> Sequence[tuple[Account, str]]:
        a = accounts.c
        query = select(*ACCOUNT, people.c.name.label("owner")).join_from(accounts, people)
        query = query.where((a.system == system) & (a.external_id > after), people.c.state == "active")
        rows = self._tx.conn.execute(query.order_by(a.external_id).limit(limit)).mappings()
        return [(Account(**{k: v for k, v in r.items() if k != "owner"}), r["owner"]) for r in rows]

    def _with_all(self, whom: Select[Any]) -> list[Everything]:
        """`whom` is in the order of ids, without gaps."""
        run = self._tx.conn.execute
        rows = run(whom).all()
        if not rows:
            return []
        # A range by the index of each table, not a list of a thousand ids.
        low, high = rows[0].id, rows[-1].id
        c, f, a, s = contacts.c, factors.c, accounts.c, saved_codes.c
        mine = _by_person(
            Contact(**r._mapping)
            for r in run(select(contacts).where(c.person_id.between(low, high) & (c.state == "confirmed")))
        )
        light = select(f.id, f.person_id, f.kind, f.label, f.state, f.added_at, f.usable_from, f.used_at, f.ended_at)
        lately = (f.state == "removed") & (f.ended_at > self._tx.now - 2 * REMOVAL_GRACE)
        found = _by_person(
            Factor(**r._mapping)
            for r in run(light.where(f.person_id.between(low, high) & ((f.state == "active") | lately)))
        )
        good = (
            select(func.min(s.id).label("id"), s.factor_id, f.person_id)
            .join_from(saved_codes, factors)
            .where(f.person_id.between(low, high) & (f.state == "active") & s.used_at.is_(None))
            .group_by(s.factor_id, f.person_id)
        )
        codes: dict[str, list[SavedCode]] = defaultdict(list)
        for r in run(good):
            codes[r.person_id].append(SavedCode(r.id, r.factor_id, "", ""))
        high_up = a.person_id.between(low, high) & a.privileged & (a.state != "disabled")
        privileged = {r.person_id for r in run(select(a.person_id).where(high_up).distinct())}
        return [
            Everything(
                Person(**r._mapping),
                tuple(mine.get(r.id, ())),
                tuple(x for x in found.get(r.id, ()) if x.state == "active"),
                tuple(codes.get(r.id, ())),
                r.id in privileged,
                tuple(x for x in found.get(r.id, ()) if x.state == "removed"),
            )
            for r in rows
        ]


def _by_person(found: Iterable[T]) -> dict[str, list[T]]:
    out: dict[str, list[T]] = defaultdict(list)
    for x in found:
        out[x.person_id].append(x)
    return out
