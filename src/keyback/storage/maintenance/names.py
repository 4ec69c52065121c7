"""Names whose canonical form changes with a version: indexed again, so that nobody loses the name they are found by."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import idna
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DBAPIError

from keyback.domain.errors import BadInput
from keyback.domain.people.addresses import leads_to
from keyback.domain.people.person import Contact, canonicalize
from keyback.storage.engine import make_engine
from keyback.storage.faults import down
from keyback.storage.sql.schema import accounts, contacts, identifiers, people
from keyback.storage.sql.statements import insert_many
from keyback.storage.stores.imports import PARKED

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Clash:
    """A name that could not be indexed again, because another account of its system, or another person, has its form.
    It keeps the form it had.

    Args:
        system: of the account; empty where it is the name by which an import knows a person.
    """

    system: str
    name: str


def reindex(conn: Connection) -> None:
    """Writes the canonical forms of today's rules; for a migration."""
    for _ in range(2):  # the second time for forms that others have given up in the first
        for a in list(_accounts(conn)):
            _rename(conn, a)
    _addresses(conn)
    _keys(conn)


def clashes(conn: Connection) -> list[Clash]:
    """Names that are found by an older form still; the first hundred."""
    out = [Clash(a.system, a.username) for a in _accounts(conn)]
    for p in _people(conn):
        if (new := _new_key(conn, p)) is not None and _has_key(conn, new):
            out.append(Clash("", p.key))
    return out[:100]


def clashes_in(url: str) -> list[Clash]:
    """`clashes` of a database that nobody has opened yet. Raises StorageDown."""
    engine = make_engine(url)
    try:
        with engine.connect() as conn:
            return clashes(conn)
    except DBAPIError as e:
        raise down(e) from None
    finally:
        engine.dispose()


def _accounts(conn: Connection) -> Iterator[Any]:
    """Accounts whose canonical form is not that of their name."""
    c, after = accounts.c, ""
    while True:
        page = (
            select(c.id, c.person_id, c.system, c.username, c.canonical).where(c.id > after).order_by(c.id).limit(PAGE)
        )
        rows = conn.execute(page).all()
        for a in rows:
            if not a.username.isascii() and not a.canonical.startswith(PARKED) and _form(a.username) != a.canonical:
                yield a
        if not rows:
            return
        after = rows[-1].id


def _form(name: str) -> str | None:
    try:
        return canonicalize(name)
    except BadInput:
        return None


def _rename(conn: Connection, a: Any) -> None:
    new = _form(a.username)
    if new is None:
        return
    taken = select(accounts.c.id).where(accounts.c.system == a.system, accounts.c.canonical == new)
    if conn.execute(taken).first() is None:
        conn.execute(update(accounts).where(accounts.c.id == a.id).values(canonical=new))
    # Found by both: whoever types the name is sent on to the person by the new form, also where it clashes.
    row = {"canonical": new, "person_id": a.person_id, "account_id": a.id}
    old = (identifiers.c.person_id == a.person_id) & (identifiers.c.account_id == a.id)
    conn.execute(identifiers.delete().where(old))
    insert_many(conn, identifiers, [row], ignore=True)


def _addresses(conn: Connection) -> None:
    """Has people found by the forms of their addresses, where those are not plain ASCII."""
    odd: dict[str, list[str]] = defaultdict(list)
    c = contacts.c
    query = select(c.id, c.person_id, c.channel, c.address, c.role, c.state, c.origin, c.ended_by).order_by(c.person_id)
    mine: dict[str, list[Contact]] = defaultdict(list)
    for r in conn.execute(query.where(c.channel == "mail")).yield_per(PAGE):
        mine[r.person_id].append(Contact(**r._mapping))
        if not r.address.isascii():
            odd[r.person_id].append(r.address)
    for pid in odd:
        forms = {f for x in mine[pid] if leads_to(x) and (f := _form(x.address)) is not None}
        own = (identifiers.c.person_id == pid) & (identifiers.c.account_id == "")
        conn.execute(identifiers.delete().where(own))
        insert_many(conn, identifiers, [{"canonical": f, "person_id": pid, "account_id": ""} for f in sorted(forms)])


# ── the names by which imports know people ──────────────────────────────────


def _keys(conn: Connection) -> None:
    for p in list(_people(conn)):
        new = _new_key(conn, p)
        if new is not None and not _has_key(conn, new):
            conn.execute(update(people).where(people.c.id == p.id).values(key=new))


def _people(conn: Connection) -> Iterator[Any]:
    """People whose main address is not plain ASCII, with it."""
    c = contacts.c
    main = (c.channel == "mail") & (c.role == "primary") & (c.state == "confirmed")
    query = select(people.c.id, people.c.key, c.address).join_from(people, contacts, c.person_id == people.c.id)
    yield from (p for p in conn.execute(query.where(main)) if p.key and not p.address.isascii())


def _new_key(conn: Connection, p: Any) -> str | None:
    """The key of a person who was known by the older form of their address; None for all others."""
    new = _form(p.address)
    return new if new is not None and p.key != new and p.key == _older(p.address) else None


def _has_key(conn: Connection, key: str) -> bool:
    return conn.execute(select(people.c.id).where(people.c.key == key)).first() is not None


def _older(address: str) -> str:
    """The form before migration 0011, which folded a domain before IDNA saw it."""
    folded = unicodedata.normalize("NFKC", address).casefold()
    local, at, domain = unicodedata.normalize("NFKC", folded).strip().rpartition("@")
    try:
        return f"{local}{at}{domain if domain.isascii() else idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return ""
