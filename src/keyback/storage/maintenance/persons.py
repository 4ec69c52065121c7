"""What is stored about people, and forgetting one for good: every row about them, but for the audit log, whose ids then
refer to nobody."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, or_, select, update

from keyback.application.handles import subject_of
from keyback.domain.recovery.events import Note
from keyback.storage.sql import schema as s
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema_desk import operators
from keyback.storage.sql.schema_documents import documents
from keyback.storage.sql.schema_requests import help_requests
from keyback.storage.tx import SqlTx

KIND = "person_removed"
KEPT = frozenset({"events", "audit_head", "installation", "operators"})


def listed(tx: SqlTx, state: str | None, limit: int) -> list[dict[str, Any]]:
    """People by name, with what an import knows them by."""
    p = s.people.c
    query = select(p.id, p.key, p.name, p.state, p.tier, p.locale).order_by(p.name, p.id).limit(limit)
    return [dict(r._mapping) for r in tx.conn.execute(query.where(p.state == state) if state else query)]


def details(tx: SqlTx, person_id: str) -> dict[str, list[dict[str, Any]]]:
    """Second steps, known browsers and recoveries of a person, without anything secret."""
    f, d, c = s.factors.c, s.devices.c, s.cases.c
    queries = {
        "factors": select(f.kind, f.label, f.state, f.added_at).where(f.person_id == person_id),
        "devices": select(d.words, d.source, d.seen_at).where(d.person_id == person_id),
        "recoveries": select(c.id, c.journey, c.state, c.opened_at).where(c.person_id == person_id),
    }
    return {what: [dict(r._mapping) for r in tx.conn.execute(query)] for what, query in queries.items()}


def erase(tx: SqlTx, person_id: str, reason: str) -> dict[str, int]:
    """Deletes a person with accounts, contacts, second steps, sessions, recoveries and messages; how many rows of each.

    What others have of them stays: a recovery contact that somebody else named. A sealed backup forgets them when it is
    replaced.
    """
    accounts = _ids(tx, s.accounts, s.accounts.c.person_id == person_id)
    ids = {
        "person_id": [person_id],
        "account_id": accounts,
        "factor_id": _ids(tx, s.factors, s.factors.c.person_id == person_id),
        "contact_id": _ids(tx, s.contacts, s.contacts.c.person_id == person_id),
        "case_id": _ids(tx, s.cases, s.cases.c.person_id == person_id),
        "document_id": _ids(tx, documents, documents.c.person_id == person_id),
    }
    names = tx.conn.execute(select(s.identifiers.c.canonical).where(s.identifiers.c.person_id == person_id)).scalars()
    subjects = [subject_of(tx.seals, name) for name in names]
    tx.conn.execute(update(s.intakes).where(s.intakes.c.fetched_for == person_id).values(fetched_for=None))
    tx.conn.execute(update(operators).where(operators.c.person_id == person_id).values(person_id=""))
    out: dict[str, int] = {}
    for table in reversed(s.metadata.sorted_tables):
        if table.name in KEPT or table is s.people:
            continue
        mine = [among(table.c[n], some) for n, some in ids.items() if n in table.c and some]
        if table in (s.intakes, help_requests):
            mine += [table.c.subject == subject for subject in subjects]
        if table is s.outbox:
            mine += [s.outbox.c.body.contains(one, autoescape=True) for some in ids.values() for one in some]
        if table is s.counters:
            mine += [s.counters.c.key.contains(one, autoescape=True) for some in ids.values() for one in some]
        if table is s.failures:
            mine += [s.failures.c.name.contains(one, autoescape=True) for one in accounts]
        if mine and (n := tx.conn.execute(table.delete().where(or_(*mine))).rowcount) > 0:
            out[table.name] = n
    tx.conn.execute(s.people.delete().where(s.people.c.id == person_id))
    tx.audit.record(person_id, [Note(KIND, {"by": "operator", "reason": reason})])
    return out


def _ids(tx: SqlTx, table: Table, mine: ColumnElement[bool]) -> list[str]:
    return list(tx.conn.execute(select(table.c.id).where(mine)).scalars())
