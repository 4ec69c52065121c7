"""Whose addresses and logins are that a file of people names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields

from sqlalchemy import select

from keyback.application.ports.imports import Claim, KnownPerson
from keyback.domain.people import addresses
from keyback.domain.people.person import Contact, canonicalize
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts, contacts, identifiers, people

CONTACT = [contacts.c[f.name] for f in fields(Contact)]
WHO = (people.c.key, people.c.name, people.c.state)


def main_address_owners(tx: TxContext, canonicals: Collection[str]) -> Mapping[str, Sequence[KnownPerson]]:
    """Whose main address each of these is, or is to become after its wait; those that nobody has are left out."""
    asked = frozenset(canonicals)
    wanted = among(identifiers.c.canonical, sorted(asked)) & (identifiers.c.account_id == "")
    query = select(people.c.id, *WHO).join(identifiers, identifiers.c.person_id == people.c.id).where(wanted)
    known = {r.id: KnownPerson(r.key, r.name, r.state) for r in tx.conn.execute(query.distinct())}
    rows: dict[str, list[Contact]] = defaultdict(list)
    mine = among(contacts.c.person_id, sorted(known)) & (contacts.c.channel == "mail")
    for c in tx.conn.execute(select(*CONTACT).where(mine)) if known else ():
        rows[c.person_id].append(Contact(*c))
    out: dict[str, list[KnownPerson]] = defaultdict(list)
    for pid, person in sorted(known.items()):
        main = {c.address for c in rows[pid] if addresses.waits(c) or (c.role == "primary" and addresses.leads_to(c))}
        for canonical in {canonicalize(a) for a in main} & asked:
            out[canonical].append(person)
    return out


def login_owners(tx: TxContext, claims: Collection[Claim]) -> Mapping[Claim, KnownPerson]:
    """Whose these user names and external ids are; those that nobody has are left out."""
    out: dict[Claim, KnownPerson] = {}
    for which, column in (("username", accounts.c.canonical), ("external_id", accounts.c.external_id)):
        wanted: dict[str, set[str]] = defaultdict(set)
        for kind, system, value in claims:
            if kind == which:
                wanted[system].add(value)
        for system, values in sorted(wanted.items()):
            query = select(column.label("value"), *WHO).join(people).where(accounts.c.system == system)
            for r in tx.conn.execute(query.where(among(column, sorted(values)))):
                out[which, system, r.value] = KnownPerson(r.key, r.name, r.state)
    return out
