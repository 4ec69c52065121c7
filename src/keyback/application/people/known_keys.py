"""People who are known by a key, in a file that names them otherwise: nobody may become a second person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from keyback.application.people.csv_file import Table, Unreadable
from keyback.application.people.csv_rows import Row, read_row
from keyback.application.people.import_report import Systems
from keyback.application.ports.imports import Claim, ImportedPart, KnownPerson
from keyback.application.ports.storage import Database, Tx
from keyback.domain.people.person import canonicalize, same_name

BATCH = 1000


@dataclass(slots=True)
class _Found:
    """The first row that means somebody with another key, and how many there are."""

    count: int = 0
    line: int = 0
    column: str = ""
    key: str = ""


async def refuse_without_keys(db: Database, table: Table, systems: Systems) -> None:
    """A file without keys, after one with keys, would make everybody a second time, while the first one stays active.

    Raises:
        Unreadable: a row's email, user name or external id belongs to somebody who is known by another key.
    """
    found = _Found()
    rows = _rows(table, systems)
    while batch := list(islice(rows, BATCH)):
        mails, logins = await db.read(_owners_of(batch))
        for row in batch:
            column, owner = _other(row, mails, logins)
            if owner is None:
                continue
            found.count += 1
            if found.count == 1:
                found.line, found.column, found.key = row.line, column, owner.key
    if not found.count:
        return
    more = f", and so do {found.count - 1} more rows" if found.count > 1 else ""
    raise Unreadable(
        f"it has no column for keys, and line {found.line} names someone by {found.column} who is known by the key "
        f"{found.key}{more}; they would become new people, and those who are there would stay active. Nothing was "
        "imported. Add the column key (工号) with the keys of the earlier file"
    )


def _rows(table: Table, systems: Systems) -> Iterator[Row]:
    for record in table.read():
        row = read_row(record, {} if record.fault else table.cells(record), systems)
        if isinstance(row, Row):
            yield row


def _owners_of(
    batch: Sequence[Row],
) -> Callable[[Tx], tuple[Mapping[str, Sequence[KnownPerson]], Mapping[Claim, KnownPerson]]]:
    mails = {row.mail_canonical for row in batch}
    claims = {claim for row in batch for _, claim in _claims(row)}
    return lambda tx: (tx.people.main_address_owners(mails), tx.people.login_owners(claims))


def _claims(row: Row) -> Iterable[tuple[str, Claim]]:
    yield "username", ("username", row.account.system, row.username_canonical)
    if row.account.numbered:
        yield "external_id", ("external_id", row.account.system, row.account.external_id)


def _other(
    row: Row, mails: Mapping[str, Sequence[KnownPerson]], logins: Mapping[Claim, KnownPerson]
) -> tuple[str, KnownPerson | None]:
    """By which column a row names somebody with another key, and who that is."""
    for owner in mails.get(row.mail_canonical, ()):
        if owner.key != row.mail_canonical:
            return "email", owner
    for column, claim in _claims(row):
        found = logins.get(claim)
        if found and found.has_key:  # who is known by an address may hand a name on within a file
            return column, found
    return "", None


def second_selves(
    parts: Iterable[ImportedPart], owners: Mapping[str, Sequence[KnownPerson]], is_in_file: Callable[[str], bool]
) -> Mapping[str, KnownPerson]:
    """Who would be somebody a second time, with a new key and the same main address; by the new key.

    Several people may share a mailbox, also in different files; then they have keys, and different names.
    """
    out = {}
    for part in parts:
        mine = owners.get(canonicalize(part.mails[0]), ())
        if any(owner.key == part.key for owner in mine):
            continue
        for owner in mine:
            same = same_name(owner.name, part.name)
            if not is_in_file(owner.key) and (same if owner.has_key else not same):
                out[part.key] = owner
    return out
