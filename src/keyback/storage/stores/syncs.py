"""Runs of syncs, accounts by whom they met, and doubtful links (`application.ports.syncs`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select, update
from sqlalchemy.exc import IntegrityError

from keyback.application.ports.syncs import (
    KnownAccount,
    LinkState,
    PersonLink,
    RunState,
    SyncBusy,
    SyncLost,
    SyncRun,
)
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts, identifiers, people
from keyback.storage.sql.schema_sync import person_links, sync_runs
from keyback.storage.sql.statements import insert_many, update_many
from keyback.storage.stores.imports import PARKED

KNOWN = [
    *(accounts.c[n] for n in ("id", "external_id", "username", "canonical", "state", "generation", "person_id")),
    people.c.key,
    people.c.state.label("person_state"),
    accounts.c.manager,
]  # in the order of `KnownAccount`
LINK = [person_links.c[f] for f in PersonLink.__slots__]


def _run(row: Row[Any], *, resumed: bool = False) -> SyncRun:
    return SyncRun(
        row.system, row.generation, row.state, row.started_at, row.ended_at, row.lease_until, row.done_at,
        row.live, row.code, json.loads(row.counts), resumed, row.cursor, row.full_at,
    )  # fmt: skip


def _link(row: Row[Any]) -> PersonLink:
    return PersonLink(**{**row._mapping, "privileged": bool(row.privileged)})


class SyncStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    # ── runs ────────────────────────────────────────────────────────────────

    def run(self, system: str) -> SyncRun | None:
        row = self._tx.conn.execute(select(sync_runs).where(sync_runs.c.system == system)).first()
        return _run(row) if row else None

    def runs(self) -> Sequence[SyncRun]:
        return [_run(r) for r in self._tx.conn.execute(select(sync_runs).order_by(sync_runs.c.system))]

    def begin(self, system: str, owner: str, lease_ms: int, resume_ms: int) -> SyncRun:
        now, conn = self._tx.now, self._tx.conn
        mine = sync_runs.c.system == system
        row = conn.execute(select(sync_runs).where(mine).with_for_update()).first()
        if row is not None and row.state == "running" and row.lease_until > now and row.owner != owner:
            raise SyncBusy(row.lease_until)
        resumed = row is not None and row.state in ("running", "broken") and row.started_at > now - resume_ms
        values = {"state": "running", "owner": owner, "lease_until": now + lease_ms, "ended_at": 0, "code": ""}
        if not resumed:
            values |= {"generation": (row.generation if row else 0) + 1, "started_at": now, "counts": "{}", "mark": ""}
            values["live"] = self.live(system)
        if row is None:
            try:
                conn.execute(sync_runs.insert().values(system=system, **values))
            except IntegrityError:  # somebody else began at the same moment
                raise SyncBusy(now + lease_ms) from None
        else:
            conn.execute(update(sync_runs).where(mine).values(**values))
        return _run(conn.execute(select(sync_runs).where(mine)).one(), resumed=resumed)

    def renew(self, system: str, owner: str, lease_ms: int) -> None:
        mine = (sync_runs.c.system == system) & (sync_runs.c.owner == owner) & (sync_runs.c.state == "running")
        done = self._tx.conn.execute(update(sync_runs).where(mine).values(lease_until=self._tx.now + lease_ms))
        if not done.rowcount:
            raise SyncLost

    def put_mark(self, system: str, mark: str) -> None:
        mine = (sync_runs.c.system == system) & (sync_runs.c.mark == "")
        self._tx.conn.execute(update(sync_runs).where(mine).values(mark=mark))

    def end(
        self, system: str, owner: str, state: RunState, code: str, counts: Mapping[str, int], *, full: bool = True
    ) -> None:
        c = sync_runs.c
        values: dict[str, Any] = {
            "state": state,
            "code": code[:40],
            "counts": json.dumps(dict(counts)),
            "ended_at": self._tx.now,
        }
        if state == "done":
            values |= {"done_at": self._tx.now, "cursor": c.mark} | ({"full_at": c.started_at} if full else {})
        mine = (c.system == system) & (c.owner == owner)
        self._tx.conn.execute(update(sync_runs).where(mine).values(lease_until=0, **values))

    # ── accounts ────────────────────────────────────────────────────────────

    def known(self, system: str, external_ids: Sequence[str]) -> Mapping[str, KnownAccount]:
        rows = self._accounts(system).where(among(accounts.c.external_id, external_ids))
        return {a.external_id: a for a in self._read(rows)}

    def named(self, system: str, canonicals: Sequence[str]) -> Mapping[str, KnownAccount]:
        rows = self._accounts(system).where(among(accounts.c.canonical, canonicals))
        return {a.canonical: a for a in self._read(rows)}

    def keys(self, person_ids: Sequence[str]) -> Mapping[str, str]:
        rows = self._tx.conn.execute(select(people.c.id, people.c.key).where(among(people.c.id, person_ids)))
        return {r.id: r.key for r in rows}

    def of_people(self, system: str, person_ids: Sequence[str]) -> Sequence[KnownAccount]:
        return self._read(self._accounts(system).where(among(accounts.c.person_id, person_ids)))

    def _accounts(self, system: str) -> Select[Any]:
        return select(*KNOWN).join_from(accounts, people).where(accounts.c.system == system)

    def _read(self, query: Select[Any]) -> list[KnownAccount]:
        return [KnownAccount(*r) for r in self._tx.conn.execute(query)]

    def release_names(self, released: Sequence[KnownAccount]) -> None:
        if not released:
            return
        ids = [a.id for a in released]
        self._tx.conn.execute(identifiers.delete().where(among(identifiers.c.account_id, ids)))
        # Off until the run meets them: without a name of their own nobody could be told apart by it.
        rows = [{"canonical": f"{PARKED}{i}", "state": "disabled"} for i in ids]
        update_many(self._tx.conn, accounts, rows, [{"id": i} for i in ids])

    def renumber(self, account_id: str, external_id: str) -> None:
        self._tx.conn.execute(update(accounts).where(accounts.c.id == account_id).values(external_id=external_id))

    def put_managers(self, system: str, managers: Mapping[str, str], *, ago: int = 0) -> None:
        rows = [{"manager": m, "manager_since": self._tx.now - ago if m else 0} for m in managers.values()]
        update_many(self._tx.conn, accounts, rows, [{"system": system, "external_id": i} for i in managers])

    def met(self, system: str, external_ids: Sequence[str], generation: int) -> None:
        if not external_ids:
            return
        mine = (accounts.c.system == system) & among(accounts.c.external_id, external_ids)
        self._tx.conn.execute(update(accounts).where(mine).values(generation=generation))

    def live(self, system: str) -> int:
        return int(self._tx.conn.execute(select(func.count()).select_from(accounts).where(_live(system))).scalar_one())

    def live_accounts(self, system: str, after: str, limit: int) -> Sequence[KnownAccount]:
        query = self._accounts(system).where(_live(system), accounts.c.id > after)
        return self._read(query.order_by(accounts.c.id).limit(limit))

    def count_missing(self, system: str, generation: int) -> int:
        query = select(func.count()).select_from(accounts).where(_missing(system, generation))
        return int(self._tx.conn.execute(query).scalar_one())

    def missing(self, system: str, generation: int, limit: int) -> Sequence[KnownAccount]:
        return self._read(self._accounts(system).where(_missing(system, generation)).limit(limit))

    def switch_off(self, gone: Sequence[KnownAccount], people_ids: Sequence[str]) -> None:
        conn, raised = self._tx.conn, people.c.security_version + 1
        conn.execute(update(accounts).where(among(accounts.c.id, [a.id for a in gone])).values(state="disabled"))
        theirs = among(people.c.id, sorted({a.person_id for a in gone}))
        conn.execute(update(people).where(theirs).values(security_version=raised))
        conn.execute(update(people).where(among(people.c.id, sorted(set(people_ids)))).values(state="disabled"))

    # ── doubtful links ──────────────────────────────────────────────────────

    def links(self, system: str = "", state: LinkState | None = "open") -> Sequence[PersonLink]:
        query = select(*LINK).order_by(person_links.c.created_at, person_links.c.id)
        query = query.where(person_links.c.system == system) if system else query
        query = query.where(person_links.c.state == state) if state else query
        return [_link(r) for r in self._tx.conn.execute(query)]

    def link(self, link_id: str) -> PersonLink | None:
        row = self._tx.conn.execute(select(*LINK).where(person_links.c.id == link_id)).first()
        return _link(row) if row else None

    def links_of(self, system: str, external_ids: Sequence[str]) -> Mapping[str, PersonLink]:
        mine = (person_links.c.system == system) & among(person_links.c.external_id, external_ids)
        return {r.external_id: _link(r) for r in self._tx.conn.execute(select(*LINK).where(mine))}

    def put_links(self, links: Sequence[PersonLink]) -> None:
        there: dict[str, PersonLink] = {}
        for system in {x.system for x in links}:
            there |= self.links_of(system, [x.external_id for x in links if x.system == system])
        rows = [{f: getattr(x, f) for f in PersonLink.__slots__} for x in links]
        insert_many(self._tx.conn, person_links, [r for r in rows if r["external_id"] not in there])
        old = [r for r in rows if r["external_id"] in there]
        kept = [{k: v for k, v in r.items() if k not in ("id", "state", "created_at")} for r in old]
        update_many(self._tx.conn, person_links, kept, [{"id": there[r["external_id"]].id} for r in old])

    def reject_link(self, link_id: str) -> None:
        self._tx.conn.execute(update(person_links).where(person_links.c.id == link_id).values(state="rejected"))

    def drop_links(self, system: str, external_ids: Sequence[str]) -> None:
        mine = (person_links.c.system == system) & among(person_links.c.external_id, external_ids)
        self._tx.conn.execute(person_links.delete().where(mine))

    def drop_old_links(self, system: str, generation: int) -> None:
        old = (person_links.c.system == system) & (person_links.c.generation != generation)
        self._tx.conn.execute(person_links.delete().where(old))


def _live(system: str) -> ColumnElement[bool]:
    return (accounts.c.system == system) & (accounts.c.state != "disabled")


def _missing(system: str, generation: int) -> ColumnElement[bool]:
    return _live(system) & accounts.c.generation.not_in((0, generation))
