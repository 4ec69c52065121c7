"""Groups that people are in, as files and systems name them (`application.ports.groups`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, select

from keyback.domain.people.groups import group_name
from keyback.domain.people.person import Person
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts, people
from keyback.storage.sql.schema_groups import person_groups
from keyback.storage.sql.statements import insert_many

P = person_groups.c
A_FILE = ""  # says so, and no account's system
PERSON = [people.c[n] for n in ("id", "name", "locale", "tier", "state", "security_version")]
Owner = tuple[str, str]  # person, account


SAID = person_groups.outerjoin(accounts, accounts.c.id == P.account_id)
# Of a row: a file says so, or the system of an account that is not switched off. As a join: PostgreSQL might read all
# accounts for a subquery beside an OR.
COUNTS: ColumnElement[bool] = func.coalesce(accounts.c.state, "") != "disabled"


def is_in(person_id: ColumnElement[str], canonical: str) -> ColumnElement[bool]:
    """Whether somebody is in a group."""
    a = accounts.alias("saying")
    said = person_groups.outerjoin(a, a.c.id == P.account_id)
    mine = (P.canonical == canonical) & (P.person_id == person_id) & (func.coalesce(a.c.state, "") != "disabled")
    return exists(select(P.person_id).select_from(said).where(mine).correlate(people))


def put_of_file(tx: TxContext, said: Mapping[str, Sequence[str]]) -> set[str]:
    """What a file says of these people; those of whom it is something new."""
    if not said:
        return set()
    mine = among(P.person_id, sorted(said)) & (P.account_id == A_FILE)
    return {p for p, _ in _put(tx, {(p, A_FILE): names for p, names in said.items()}, mine)}


def _put(tx: TxContext, said: Mapping[Owner, Sequence[str]], mine: ColumnElement[bool]) -> set[Owner]:
    had: dict[Owner, set[str]] = defaultdict(set)
    for r in tx.conn.execute(select(P.person_id, P.account_id, P.canonical).where(mine)):
        had[r.person_id, r.account_id].add(r.canonical)
    now = {owner: {group_name(n): n for n in names} for owner, names in said.items()}
    changed = {owner for owner, names in now.items() if names.keys() != had[owner]}
    if gone := [p for p, a in changed if a == A_FILE]:
        tx.conn.execute(delete(person_groups).where(among(P.person_id, sorted(gone)) & (P.account_id == A_FILE)))
    if gone := [a for _, a in changed if a != A_FILE]:
        tx.conn.execute(delete(person_groups).where(among(P.account_id, sorted(gone))))
    rows = [
        {"person_id": p, "account_id": a, "canonical": c, "name": n}
        for p, a in sorted(changed)
        for c, n in sorted(now[p, a].items())
    ]
    insert_many(tx.conn, person_groups, rows)
    return changed


class GroupStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def put_of_accounts(self, system: str, said: Mapping[str, Sequence[str]]) -> int:
        if not said:
            return 0
        here = (accounts.c.system == system) & among(accounts.c.external_id, sorted(said))
        found = self._tx.conn.execute(select(accounts.c.id, accounts.c.person_id, accounts.c.external_id).where(here))
        owners = {(r.person_id, r.id): said[r.external_id] for r in found}
        return len(_put(self._tx, owners, among(P.account_id, sorted(a for _, a in owners))))

    def of_people(self, person_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        query = select(P.person_id, P.canonical, func.min(P.name).label("name")).group_by(P.person_id, P.canonical)
        query = query.select_from(SAID).where(among(P.person_id, list(person_ids)) & COUNTS).order_by(P.canonical)
        out: dict[str, list[str]] = defaultdict(list)
        for r in self._tx.conn.execute(query):
            out[r.person_id].append(r.name)
        return out

    def named(self, after: str = "", limit: int = 100) -> Sequence[str]:
        # From one name to the next by the index, however many people are in each.
        def following(last: Any) -> Any:
            return select(func.min(P.canonical)).where(P.canonical > last).scalar_subquery()

        walk = select(following(after).label("canonical")).cte("walk", recursive=True)
        walk = walk.union_all(select(following(walk.c.canonical)).where(walk.c.canonical.is_not(None)))
        name = select(P.name).where(P.canonical == walk.c.canonical).limit(1).scalar_subquery()
        query = select(name).where(walk.c.canonical.is_not(None)).limit(limit)
        return list(self._tx.conn.execute(query).scalars())

    def known(self, canonical: str) -> str:
        query = select(P.name).select_from(SAID).where((P.canonical == canonical) & COUNTS).limit(1)
        return str(self._tx.conn.execute(query).scalar() or "")

    def members(self, canonical: str, after: str = "", limit: int = 50) -> Sequence[Person]:
        inside: Select[Any] = select(P.person_id).select_from(SAID).distinct()
        inside = inside.where((P.canonical == canonical) & (P.person_id > after) & COUNTS)
        ids = list(self._tx.conn.execute(inside.order_by(P.person_id).limit(limit)).scalars())
        found = self._tx.conn.execute(select(*PERSON).where(among(people.c.id, ids)).order_by(people.c.id))
        return [Person(**r._mapping) for r in found]
