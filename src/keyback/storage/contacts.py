"""Contacts that people keep themselves: added, confirmed, removed. An import has its own way (`imports`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from keyback.domain.person import Contact, ContactState, canonicalize
from keyback.storage.among import among
from keyback.storage.schema import contacts, identifiers
from keyback.storage.sql import insert_many

if TYPE_CHECKING:
    from keyback.storage.tx import SqlTx


class ContactStore:
    def __init__(self, tx: SqlTx) -> None:
        self._tx = tx

    def many(self, ids: Sequence[str]) -> Mapping[str, Contact]:
        """By id, in any state: a removed one is told about its removal."""
        if not ids:
            return {}
        rows = self._tx.conn.execute(select(contacts).where(among(contacts.c.id, ids)))
        return {r.id: Contact(**r._mapping) for r in rows}

    def of_people(
        self, person_ids: Sequence[str], *, states: Sequence[ContactState] = ("confirmed",)
    ) -> Mapping[str, Sequence[Contact]]:
        """All roles, recovery contacts too; oldest first."""
        out: dict[str, list[Contact]] = defaultdict(list)
        if person_ids:
            mine = contacts.c.person_id.in_(person_ids) & contacts.c.state.in_(states)
            for r in self._tx.conn.execute(select(contacts).where(mine).order_by(contacts.c.added_at, contacts.c.id)):
                out[r.person_id].append(Contact(**r._mapping))
        return out

    def of_person(self, person_id: str, *, states: Sequence[ContactState] = ("confirmed",)) -> Sequence[Contact]:
        return self.of_people([person_id], states=states).get(person_id, ())

    def add(self, contact: Contact) -> bool:
        """Writes a new one down; one that was removed, or never confirmed, makes room. False when it is there."""
        mine = (contacts.c.person_id == contact.person_id) & (contacts.c.channel == contact.channel)
        mine &= contacts.c.address == contact.address
        self._tx.conn.execute(contacts.delete().where(mine & (contacts.c.state != "confirmed")))
        if self._tx.conn.execute(select(contacts.c.id).where(mine)).first():
            return False
        self._tx.conn.execute(contacts.insert().values({c.name: getattr(contact, c.name) for c in contacts.c}))
        return True

    def confirm(self, contact_id: str, usable_from: int) -> bool:
        """Pending to confirmed; True for exactly one caller (N-R7)."""
        mine = (contacts.c.id == contact_id) & (contacts.c.state == "pending")
        values = {"state": "confirmed", "usable_from": usable_from}
        return self._tx.conn.execute(update(contacts).where(mine).values(**values)).rowcount == 1

    def make_primary(self, contact_id: str) -> None:
        """It takes the place of the primary address, and its person is found by it from now on."""
        row = self._tx.conn.execute(select(contacts).where(contacts.c.id == contact_id)).one()
        self._tx.conn.execute(update(contacts).where(contacts.c.id == contact_id).values(role="primary"))
        mine = {"canonical": canonicalize(row.address), "person_id": row.person_id, "account_id": ""}
        insert_many(self._tx.conn, identifiers, [mine], ignore=True)

    def remove(self, contact_id: str) -> bool:
        """It can do nothing any more but hear about its removal."""
        mine = (contacts.c.id == contact_id) & (contacts.c.state != "removed")
        values = {"state": "removed", "ended_at": self._tx.now}
        return self._tx.conn.execute(update(contacts).where(mine).values(**values)).rowcount == 1
