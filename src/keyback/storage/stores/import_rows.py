"""Rows of people that an import brings: new ones, and those that are brought up to date in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, update

from keyback.application.ports.storage import Imported
from keyback.domain.people.addresses import Outcome, leads_to
from keyback.domain.people.person import Contact, canonicalize
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema import accounts, contacts, identifiers, people
from keyback.storage.sql.statements import update_many
from keyback.storage.stores.import_owners import CONTACT


def contact_row(c: Contact) -> dict[str, Any]:
    return {column.name: getattr(c, column.name) for column in CONTACT}


def person_row(p: Imported, pid: str, now: int) -> dict[str, Any]:
    return {
        "id": pid, "key": p.key, "name": p.name, "locale": p.locale, "tier": p.tier, "state": p.state, "created_at": now
    }  # fmt: skip


def fill(
    tx: TxContext,
    rows: dict[str, list[dict[str, Any]]],
    p: Imported,
    pid: str,
    kept: dict[tuple[str, str], str],
    own: Iterable[Contact],
) -> None:
    canonicals = {(canonicalize(c.address), "") for c in own if leads_to(c)}
    for a in p.accounts:
        aid = kept.get((a.system, a.external_id)) or tx.new_id()
        canonical = canonicalize(a.username)
        if (a.system, a.external_id) not in kept:
            rows["accounts"].append({
                "id": aid, "person_id": pid, "system": a.system, "external_id": a.external_id, "username": a.username,
                "canonical": canonical, "state": a.state, "privileged": a.privileged, "provider": a.provider,
            })  # fmt: skip
        canonicals.add((canonical, aid))
    rows["identifiers"] += [{"canonical": c, "person_id": pid, "account_id": a} for c, a in sorted(canonicals)]


def update_rows(
    tx: TxContext, rows: dict[str, list[dict[str, Any]]], changed: list[tuple[Imported, dict[str, Any], Outcome]]
) -> None:
    """Brings people up to date in place: accounts and contacts keep their ids, since hashes, cases and evidence hang on
    them."""
    if not changed:
        return
    ids = [mine["id"] for _, mine, _ in changed]
    tx.conn.execute(identifiers.delete().where(identifiers.c.person_id.in_(ids)))
    moved: list[dict[str, Any]] = []
    for p, mine, outcome in changed:
        old = {c.id: c for c in mine["rows"]}
        moved += [contact_row(c) for c in outcome.rows.values() if c.id in old and c != old[c.id]]
        rows["contacts"] += [contact_row(c) for c in outcome.rows.values() if c.id not in old]
        person = update(people).where(people.c.id == bindparam("pid"))
        raised = people.c.security_version + 1
        values = {"name": p.name, "locale": p.locale, "tier": p.tier, "state": p.state, "security_version": raised}
        tx.conn.execute(person.values(**values), {"pid": mine["id"]})
        kept = mine["account_ids"]
        wanted = {(a.system, a.external_id): a for a in p.accounts}
        for which, aid in kept.items():
            a = wanted.get(which)
            row = update(accounts).where(accounts.c.id == aid)
            if a is None:  # gone there: it must not be recovered any more, but its history stays
                tx.conn.execute(row.values(state="disabled"))
                continue
            tx.conn.execute(
                row.values(
                    username=a.username, canonical=canonicalize(a.username), state=a.state, privileged=a.privileged,
                    provider=a.provider,
                )
            )  # fmt: skip
        fill(tx, rows, p, mine["id"], kept, outcome.rows.values())
    update_many(tx.conn, contacts, moved, [{"id": c["id"]} for c in moved])
