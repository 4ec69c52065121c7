"""Contacts that people keep themselves: added, confirmed, removed; and what becomes of addresses that an import brought
(it writes them itself, see `imports`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

from sqlalchemy import ColumnElement, bindparam, case, false, func, or_, select, update

from keyback.domain.people.addresses import leads_to, take_place
from keyback.domain.people.person import Bounce, Contact, ContactState, canonicalize
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import contacts, identifiers
from keyback.storage.sql.statements import insert_many

PLACED = ("role", "state", "ended_at", "ended_by", "replaces", "confirmed_at", "reminded")
WILD = str.maketrans({c: f"\\{c}" for c in "\\%_"})

MANY = Statement(select(contacts).where(among(contacts.c.id, named="ids")))
ACCEPTED = Statement(
    update(contacts)
    .where(among(contacts.c.id, named="ids"), contacts.c.bounce == "refused")
    .values(bounce="", bounce_at=bindparam("now"))
)


@lru_cache(maxsize=16)
def _in_states(states: tuple[ContactState, ...]) -> Statement:
    mine = among(contacts.c.person_id, named="ids") & or_(false(), *(contacts.c.state == s for s in states))
    return Statement(select(contacts).where(mine).order_by(contacts.c.added_at, contacts.c.id))


class ContactStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def many(self, ids: Sequence[str]) -> Mapping[str, Contact]:
        """By id, in any state: a removed one is told about its removal."""
        if not ids:
            return {}
        rows = MANY.all(self._tx.conn, {"ids": list(ids)})
        return {r.id: Contact(**r._mapping) for r in rows}

    def of_people(
        self, person_ids: Sequence[str], *, states: Sequence[ContactState] = ("confirmed",)
    ) -> Mapping[str, Sequence[Contact]]:
        """All roles, recovery contacts too; oldest first."""
        return self._tx.once(("contacts", tuple(states), *person_ids), lambda: self._of_people(person_ids, states))

    def _of_people(self, person_ids: Sequence[str], states: Sequence[ContactState]) -> Mapping[str, Sequence[Contact]]:
        out: dict[str, list[Contact]] = defaultdict(list)
        if person_ids:
            for r in _in_states(tuple(states)).all(self._tx.conn, {"ids": list(person_ids)}):
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
        values = {"state": "confirmed", "usable_from": usable_from, "confirmed_at": self._tx.now, "reminded": 0}
        return self._tx.conn.execute(update(contacts).where(mine).values(**values)).rowcount == 1

    def renew(self, contact_id: str) -> bool:
        """It was shown to be its owner's, now."""
        mine = (contacts.c.id == contact_id) & (contacts.c.state == "confirmed")
        values = {"confirmed_at": self._tx.now, "reminded": 0, "bounce": "", "bounce_at": self._tx.now}
        return self._tx.conn.execute(update(contacts).where(mine).values(**values)).rowcount == 1

    def bounced(self, contact_id: str, how: Bounce, written_at: int) -> bool:
        """A message written at an instant (ms) did not arrive; False where the owner was reached since, or where a
        later one did not arrive either."""
        c = contacts.c
        mine = (c.id == contact_id) & (c.state != "removed")
        mine &= (c.bounce_at <= written_at) & (c.confirmed_at <= written_at)
        values = {"bounce": how, "bounce_at": max(self._tx.now, written_at + 1)}  # the same report counts once
        return self._tx.conn.execute(update(contacts).where(mine).values(**values)).rowcount == 1

    def reached(self, contact_id: str) -> bool:
        """Its owner has just answered by what was sent there; True where messages had come back before."""
        row = self._tx.conn.execute(select(contacts.c.bounce).where(contacts.c.id == contact_id)).first()
        values = {"bounce": "", "bounce_at": self._tx.now}
        self._tx.conn.execute(update(contacts).where(contacts.c.id == contact_id).values(**values))
        return bool(row and row.bounce)

    def accepted(self, contact_ids: Sequence[str]) -> None:
        """The next hop took messages to these, so it refuses them no more; whether they arrive it doesn't say."""
        ACCEPTED.run(self._tx.conn, {"ids": sorted(set(contact_ids)), "now": self._tx.now})

    def take_up(self, step: int, before: int, limit: int) -> Sequence[Contact]:
        """Backup contacts confirmed at or before an instant (ms) whose owner was asked fewer than `step` times since,
        oldest first; each is taken up by one caller, with the others of its person."""
        c = contacts.c
        undated = (
            (c.role == "backup") & (c.reminded == 0) & (c.confirmed_at == 0)
        )  # as a node of the version before does
        since = case((c.added_at > 0, c.added_at), else_=self._tx.now)
        self._tx.conn.execute(update(contacts).where(undated).values(confirmed_at=since))
        due = (c.role == "backup") & (c.reminded < step) & (c.confirmed_at <= before) & (c.confirmed_at > 0)
        some = select(c.person_id).where(due, c.state == "confirmed").order_by(c.confirmed_at).limit(limit)
        if self._tx.pg:
            some = some.with_for_update(skip_locked=True)
        people = sorted({r.person_id for r in self._tx.conn.execute(some)})
        if not people:
            return []
        mine = due & (c.state == "confirmed") & among(c.person_id, people)
        rows = self._tx.conn.execute(update(contacts).where(mine).values(reminded=step).returning(*c))
        return [Contact(**r._mapping) for r in rows]

    def vouched_by(self, address: str, person_id: str) -> int:
        """For how many others than this person whoever has this mailbox is a recovery contact; all mail addresses of
        people who are found by it count as theirs, and so does what they add to one behind a plus sign."""
        canonical = {canonicalize(address), whose(address)}
        query = select(identifiers.c.person_id).where(among(identifiers.c.canonical, sorted(canonical)))
        ids = sorted({r.person_id for r in self._tx.conn.execute(query)})
        own = [x for xs in self.of_people(ids).values() for x in xs if x.channel == "mail" and x.role != "recovery"]
        mine = {whose(address), *(whose(x.address) for x in own)}
        c = contacts.c
        helpers = (c.role == "recovery") & (c.state == "confirmed") & (c.person_id != person_id)
        near = or_(*(func.lower(c.address).like(start, escape="\\") for start in sorted(map(_begins, mine))))
        rows = self._tx.conn.execute(select(c.person_id, c.address).where(helpers, near))
        return len({r.person_id for r in rows if whose(r.address) in mine})

    def colleagues(self, over: int, limit: int) -> Sequence[tuple[str, int]]:
        """Mailboxes that confirm for more than so many people, with their number; the most first."""
        c = contacts.c
        found: dict[str, set[str]] = defaultdict(set)
        mine = (c.role == "recovery") & (c.state == "confirmed")
        for r in self._tx.conn.execute(select(c.address, c.person_id).where(mine)):
            found[whose(r.address)].add(r.person_id)
        many = sorted((-len(people), address) for address, people in found.items() if len(people) > over)
        return [(address, -n) for n, address in many[:limit]]

    def make_primary(self, contact_id: str) -> None:
        """It takes the place of the primary address, and its person is found by it from now on."""
        row = self._tx.conn.execute(select(contacts).where(contacts.c.id == contact_id)).one()
        self._tx.conn.execute(update(contacts).where(contacts.c.id == contact_id).values(role="primary"))
        mine = {"canonical": canonicalize(row.address), "person_id": row.person_id, "account_id": ""}
        insert_many(self._tx.conn, identifiers, [mine], ignore=True)

    def remove(self, contact_id: str) -> bool:
        """It can do nothing any more but hear about its removal. What was to take its place takes nobody's."""
        mine = (contacts.c.id == contact_id) & (contacts.c.state != "removed")
        values = {"state": "removed", "ended_at": self._tx.now, "replaces": ""}
        if self._tx.conn.execute(update(contacts).where(mine).values(**values)).rowcount != 1:
            return False
        self._let_go(contact_id)
        return True

    def _let_go(self, contact_id: str) -> None:
        heir = (contacts.c.replaces != "") & (contacts.c.replaces == contact_id)
        self._tx.conn.execute(update(contacts).where(heir).values(replaces=""))

    # ── addresses that an import changed ────────────────────────────────────

    def refuse(self, contact_id: str) -> Contact | None:
        """Removes what an import brought and what may not recover yet; None when it may, or is gone. For one caller."""
        c = contacts.c
        mine = (c.id == contact_id) & (c.state == "confirmed") & (c.origin == "import") & (c.usable_from > self._tx.now)
        values = {"state": "removed", "ended_at": self._tx.now, "ended_by": "", "replaces": ""}
        row = self._tx.conn.execute(update(contacts).where(mine).values(**values).returning(*c)).first()
        if row is None:
            return None
        self._let_go(contact_id)
        self._identify(row.person_id)
        return Contact(**row._mapping)

    def due_places(self, limit: int) -> Sequence[str]:
        """People of whom up to `limit` addresses have waited long enough to take another's place."""
        c = contacts.c
        query = select(c.person_id).where(self._due()).order_by(c.usable_from).limit(limit)
        return list(dict.fromkeys(self._tx.conn.execute(query).scalars()))

    def _due(self) -> ColumnElement[bool]:
        c = contacts.c
        return (c.replaces != "") & (c.usable_from <= self._tx.now) & (c.role == "backup")

    def take_places(self, person_ids: Sequence[str]) -> Sequence[tuple[Contact, Contact | None]]:
        """Puts these people's addresses whose wait is over where an import wants them; each with what it replaced."""
        c = contacts.c
        query = select(contacts).where(self._due() & among(c.person_id, person_ids)).order_by(c.usable_from, c.id)
        if self._tx.pg:
            query = query.with_for_update()
        found = [Contact(**r._mapping) for r in self._tx.conn.execute(query)]
        mine = self.of_people([n.person_id for n in found])
        out = []
        for new in found:
            own = {x.id: x for x in mine.get(new.person_id, ()) if x.role != "recovery"}
            old = own.get(new.replaces)
            alone = not any(x.role == "primary" for x in own.values())
            new, gone = take_place(new, old, self._tx.now, alone=alone)
            for x in (new, gone):
                if x is not None:
                    values = {n: getattr(x, n) for n in PLACED}
                    self._tx.conn.execute(update(contacts).where(c.id == x.id).values(**values))
            self._identify(new.person_id)
            out.append((new, gone))
        return out

    def _identify(self, person_id: str) -> None:
        """Has a person found by the addresses that they have now."""
        query = select(contacts).where(contacts.c.person_id == person_id)
        mine = [Contact(**r._mapping) for r in self._tx.conn.execute(query)]
        known = {canonicalize(c.address) for c in mine if leads_to(c)}
        own = (identifiers.c.person_id == person_id) & (identifiers.c.account_id == "")
        self._tx.conn.execute(identifiers.delete().where(own))
        rows = [{"canonical": k, "person_id": person_id, "account_id": ""} for k in sorted(known)]
        insert_many(self._tx.conn, identifiers, rows)


def whose(address: str) -> str:
    """The mailbox that an address leads to, as far as anybody can tell from outside: without what stands behind a plus
    sign, which most servers leave to its owner."""
    local, at, domain = canonicalize(address).rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}"


def _begins(mailbox: str) -> str:
    """A pattern for how addresses of this mailbox may begin in lower case: databases fold no more than ASCII alike."""
    local = mailbox.rpartition("@")[0]
    plain = next((local[:i] for i, char in enumerate(local) if not char.isascii()), local)
    return f"{plain.translate(WILD)}%"
