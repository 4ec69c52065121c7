"""People with their contacts, accounts and identifiers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, func, select, union, union_all, update

from keyback.application.ports.imports import Claim, KnownPerson
from keyback.application.ports.storage import Imported, ImportOutcome, ImportResult, Match
from keyback.domain.people.person import Account, Contact, Manager, Person, canonicalize
from keyback.domain.people.phone_identifier import PREFIX, is_phone, names_of
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts, contacts, credentials, identifiers, people
from keyback.storage.stores.import_owners import login_owners, main_address_owners
from keyback.storage.stores.imports import save_imported
from keyback.storage.stores.password_hashes import HashStore

PERSON = [people.c[n] for n in ("id", "name", "locale", "tier", "state", "security_version")]
ACCOUNT = [
    accounts.c[n] for n in ("id", "person_id", "system", "external_id", "username", "state", "privileged", "provider")
]
# Made once, since all that follows a request or a reset asks these.
BY_ID = Statement(select(*PERSON).where(among(people.c.id, named="ids")))
LOCKED = Statement(select(*PERSON).where(people.c.id == bindparam("id")).with_for_update(key_share=True))
OWN_CONTACTS = Statement(
    select(contacts)
    .where(among(contacts.c.person_id, named="ids"), contacts.c.state == "confirmed", contacts.c.role != "recovery")
    .order_by(contacts.c.channel != "mail", contacts.c.role.desc(), contacts.c.id)
)
ACCOUNTS = Statement(select(*ACCOUNT).where(among(accounts.c.person_id, named="ids")).order_by(accounts.c.system))
ONE_ACCOUNT = Statement(select(*ACCOUNT).where(accounts.c.id == bindparam("id")))
OUTSIDE = Statement(
    select(*ACCOUNT).where(accounts.c.system == bindparam("system"), accounts.c.external_id == bindparam("id"))
)
KNOWN_AS = Statement(
    select(*ACCOUNT)
    .where(
        accounts.c.system == bindparam("system"),
        accounts.c.person_id.in_(
            select(identifiers.c.person_id).where(identifiers.c.canonical == bindparam("canonical"))
        ),
    )
    .order_by(accounts.c.id)
)
BUMP = Statement(
    update(people).where(people.c.id == bindparam("who")).values(security_version=people.c.security_version + 1)
)


def _account(row: Row[Any]) -> Account:
    return Account(**{**row._mapping, "privileged": bool(row.privileged)})


class PeopleStore(HashStore):
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def match(self, canonicals: Sequence[str]) -> Mapping[str, Sequence[Match]]:
        """Who is meant by each canonical identifier; identifiers that nobody has are left out."""
        meant: dict[str, set[str]] = defaultdict(set)
        for c in canonicals:
            for name in names_of(c):
                meant[name].add(c)
        query: Any = select(identifiers.c.canonical, identifiers.c.person_id).where(
            among(identifiers.c.canonical, sorted(meant))
        )
        if numbers := sorted(c.removeprefix(PREFIX) for c in canonicals if is_phone(c)):
            query = union_all(query, self._reached_at(numbers))
        hits = {(c, r.person_id) for r in self._tx.conn.execute(query) for c in meant[r.canonical]}
        ids = sorted({p for _, p in hits})
        persons, all_contacts, all_accounts = self.people(ids), self.contacts(ids), self.accounts(ids)
        out: dict[str, list[Match]] = defaultdict(list)
        for canonical, pid in sorted(hits):
            person = persons[pid]
            usable = [c for c in all_contacts.get(pid, ()) if c.channel == "mail" and c.usable_from <= self._tx.now]
            out[canonical].append(Match(canonical, person, tuple(usable), tuple(all_accounts.get(pid, ()))))
        return out

    def _reached_at(self, numbers: Sequence[str]) -> Any:
        """Whose phone numbers these are: confirmed ones that may recover, never one that was only typed."""
        c = contacts.c
        mine = among(c.address, numbers) & (c.channel == "sms") & (c.state == "confirmed")
        return select(c.address, c.person_id).where(mine, c.role != "recovery", c.usable_from <= self._tx.now)

    def person(self, person_id: str) -> Person | None:
        return self.people([person_id]).get(person_id)

    def lock(self, person_id: str) -> Person | None:
        """The person, whose row stays locked until the commit: whoever counts or changes what is theirs comes after.

        `FOR NO KEY UPDATE`, so that new rows which only refer to the person wait for nobody.
        """
        if not self._tx.writes:
            return self.person(person_id)
        self._tx.alone()
        row = LOCKED.first(self._tx.conn, {"id": person_id})
        return Person(**row._mapping) if row else None

    def people(self, person_ids: Sequence[str]) -> Mapping[str, Person]:
        return self._tx.once(("people", *person_ids), lambda: self._people(person_ids))

    def _people(self, person_ids: Sequence[str]) -> Mapping[str, Person]:
        if not person_ids:
            return {}
        rows = BY_ID.all(self._tx.conn, {"ids": list(person_ids)})
        return {r.id: Person(**r._mapping) for r in rows}

    def contacts(self, person_ids: Sequence[str]) -> Mapping[str, Sequence[Contact]]:
        """Confirmed contacts of people's own, mail first and the primary one before others."""
        return self._tx.once(("own contacts", *person_ids), lambda: self._contacts(person_ids))

    def _contacts(self, person_ids: Sequence[str]) -> Mapping[str, Sequence[Contact]]:
        out: dict[str, list[Contact]] = defaultdict(list)
        if person_ids:
            for r in OWN_CONTACTS.all(self._tx.conn, {"ids": list(person_ids)}):
                out[r.person_id].append(Contact(**r._mapping))
        return out

    def accounts(self, person_ids: Sequence[str]) -> Mapping[str, Sequence[Account]]:
        return self._tx.once(("accounts", *person_ids), lambda: self._accounts(person_ids))

    def _accounts(self, person_ids: Sequence[str]) -> Mapping[str, Sequence[Account]]:
        out: dict[str, list[Account]] = defaultdict(list)
        if person_ids:
            for r in ACCOUNTS.all(self._tx.conn, {"ids": list(person_ids)}):
                out[r.person_id].append(_account(r))
        return out

    def manager_of(self, person_id: str) -> Manager | None:
        own, theirs = accounts.alias("own"), accounts.alias("theirs")
        both = (theirs.c.system == own.c.system) & (theirs.c.external_id == own.c.manager)
        query = (
            select(*PERSON, func.min(own.c.manager_since).label("since"))
            .select_from(own.join(theirs, both).join(people, people.c.id == theirs.c.person_id))
            .where(own.c.person_id == person_id, own.c.manager != "", own.c.state != "disabled")
            .where(theirs.c.person_id != person_id, theirs.c.state != "disabled", people.c.state == "active")
            .group_by(*PERSON)
        )
        rows = self._tx.conn.execute(query).all()
        if len(rows) != 1:
            return None
        found = dict(rows[0]._mapping)
        return Manager(since=int(found.pop("since")), person=Person(**found))

    def bump_security(self, person_id: str) -> None:
        """Ends every pending link and code of this person (C17)."""
        self._tx.alone()
        BUMP.run(self._tx.conn, {"who": person_id})

    def save_imported(self, new: Sequence[Imported]) -> Sequence[ImportResult]:
        return self.import_batch(new, at_once=True).results

    def import_batch(
        self, new: Sequence[Imported], *, at_once: bool = False, adopt: bool = True, generation: int = 0
    ) -> ImportOutcome:
        return save_imported(self._tx, new, at_once=at_once, adopt=adopt, generation=generation)

    def main_address_owners(self, canonicals: Collection[str]) -> Mapping[str, Sequence[KnownPerson]]:
        return main_address_owners(self._tx, canonicals)

    def login_owners(self, claims: Collection[Claim]) -> Mapping[Claim, KnownPerson]:
        return login_owners(self._tx, claims)

    def switch_off(self, keys: Sequence[str]) -> int:
        mine = among(people.c.key, keys) & (people.c.state == "active")
        raised = people.c.security_version + 1
        change = update(people).where(mine).values(state="disabled", security_version=raised)
        return self._tx.conn.execute(change).rowcount

    def set_account_state(self, account_id: str, state: str) -> None:
        self._tx.conn.execute(update(accounts).where(accounts.c.id == account_id).values(state=state))

    # ── the built-in system ─────────────────────────────────────────────────

    def account(self, account_id: str) -> Account | None:
        row = ONE_ACCOUNT.first(self._tx.conn, {"id": account_id})
        return _account(row) if row else None

    def account_by_external_id(self, system: str, external_id: str) -> Account | None:
        row = OUTSIDE.first(self._tx.conn, {"system": system, "id": external_id})
        return _account(row) if row else None

    def account_by_username(self, system: str, canonical: str) -> tuple[Account, Person] | None:
        """By user name, else by mail address when exactly one account has it."""
        hit = self.sign_in_rows(system, canonical)
        return (hit[0], hit[1]) if hit else None

    def sign_in_rows(self, system: str, canonical: str) -> tuple[Account, Person, str | None] | None:
        """Account, person and hash for a sign-in, chosen as above, in one statement: a second one that only known
        names need would show in the time (L10). By index: an OR of name and person would read all accounts."""
        names = names_of(canonical)
        here = accounts.c.system == system
        found = [select(accounts.c.id).where(here & accounts.c.canonical.in_(names))]
        theirs = identifiers.c.person_id == accounts.c.person_id
        found.append(select(accounts.c.id).where(here & theirs & identifiers.c.canonical.in_(names)))
        if is_phone(canonical):
            owners = self._reached_at([canonical.removeprefix(PREFIX)]).subquery()
            found.append(select(accounts.c.id).where(here & (owners.c.person_id == accounts.c.person_id)))
        mine = union(*found).subquery()
        query = (
            select(*ACCOUNT, *(c.label(f"p_{c.name}") for c in PERSON), credentials.c.phc, accounts.c.canonical)
            .join_from(accounts, people)
            .join(credentials, credentials.c.account_id == accounts.c.id, isouter=True)
            .join(mine, mine.c.id == accounts.c.id)
        )
        rows = self._tx.conn.execute(query).all()
        exact = [r for r in rows if r.canonical in names]
        row = exact[0] if len(exact) == 1 else rows[0] if len(rows) == 1 else None
        if row is None:
            return None
        account = Account(**{c.name: getattr(row, c.name) for c in ACCOUNT})
        person = Person(**{c.name: getattr(row, f"p_{c.name}") for c in PERSON})
        return account, person, row.phc

    def find_accounts(self, system: str, canonical: str) -> Sequence[Account]:
        """Accounts of one system whose user name or whose person's mail address is this."""
        rows = [_account(r) for r in KNOWN_AS.all(self._tx.conn, {"system": system, "canonical": canonical})]
        exact = [a for a in rows if canonicalize(a.username) == canonical]
        return exact or rows
