"""Importing people from a CSV file as companies have them: read twice, so that memory stays small.

The first pass finds the encoding and where each person's last row is; the second checks every row and writes people as
soon as they are complete, a thousand a transaction. What a file does not say is left as it is: a file without a column
for backup mail takes no backup mail away, and one about one system switches nothing off in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

from keyback.application.notifications.account_changes import masked
from keyback.application.people import address_changes
from keyback.application.people.csv_file import Record, Table, Unreadable, digest
from keyback.application.people.csv_rows import ORDER, BadRow, Row, group_name, read_row, row_key
from keyback.application.ports.imports import ImportedPart
from keyback.application.ports.storage import Database, Imported, ImportedAccount, ImportResult, Tx
from keyback.domain.people.addresses import AddressChange
from keyback.domain.people.person import Tier
from keyback.domain.recovery.events import Note

BATCH = 1000
MAX_LINES = 10_000
Progress = Callable[[int, int], None]
__all__ = ["BadRow", "Report", "Systems", "Unreadable", "import_people"]


@dataclass(frozen=True)
class Systems:
    """What a file may speak of.

    Args:
        titles: name and title of the configured systems.
        ids: those whose accounts need the system's own number, the column `external_id`.
        tiers: the tier that the members of a group have at least, by its name (`policy.groups`).
    """

    titles: Mapping[str, str]
    ids: frozenset[str] = frozenset()
    default_locale: str = "en"
    tiers: Mapping[str, Tier] = field(default_factory=dict)

    @cached_property
    def groups(self) -> Mapping[str, Tier]:
        return {group_name(name): tier for name, tier in self.tiers.items()}

    @property
    def known(self) -> tuple[str, ...]:
        """Each system's name and title, for an error."""
        return tuple(n if title == n else f"{n} ({title})" for n, title in self.titles.items())

    def named(self, text: str) -> str | None:
        """The name of the system that a cell means, by name or title."""
        wanted = text.casefold()
        hits = {n for n, title in self.titles.items() if wanted in (n.casefold(), title.casefold())}
        return text if text in self.titles else hits.pop() if len(hits) == 1 else None


@dataclass(frozen=True, slots=True)
class AddressLine:
    """An address that changes, masked. `kind`: see `domain.people.addresses.AddressChange`. `until`: when the new one
    counts
    (ms); 0 where it does already, or never will."""

    name: str
    kind: str
    new: str
    old: str = ""
    until: int = 0


@dataclass(slots=True)
class Report:
    """What an import came to. `added`, `changed`, `same` count people; `rows` and `bad` count rows; `empty_groups`
    have a tier and no member in the file, perhaps because of a slip in their name. `addresses` counts those of people
    who were there already that change; `refused` those that their owners refused or gave up, so that they stay out;
    `lines` names both, masked, up to `MAX_LINES`."""

    sha256: str = ""
    encoding: str = ""
    rows: int = 0
    added: int = 0
    changed: int = 0
    same: int = 0
    bad: int = 0
    unused: tuple[str, ...] = ()
    dry_run: bool = False
    empty_groups: tuple[str, ...] = ()
    addresses: int = 0
    refused: int = 0
    lines: list[AddressLine] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """The rows of one person so far."""

    rows: list[Row] = field(default_factory=list)
    spoilt: bool = False  # a row of theirs was bad: what they lack may stand there


async def import_people(
    db: Database,
    path: Path,
    systems: Systems,
    *,
    on_bad: Callable[[BadRow], None],
    dry_run: bool = False,
    moved: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Imports a CSV file; a second time it changes nothing.

    Args:
        on_bad: told every row that was left out, roughly in the order of the file.
        dry_run: does all the work, undoes every transaction and records nothing.
        moved: the company moved its addresses: those that changed count at once. Everybody is told all the same.
        progress: told (rows done, rows in all).

    Raises:
        Unreadable: the file as a whole cannot be used; its text says why. Nothing was written.
        StorageDown: the database did not take a batch; earlier batches stay, and running it again goes on from there.
    """
    table = Table.of(path)
    _fits(table, systems)
    column = table.fields.get("group")
    unused = table.unused if column is None or systems.groups else (*table.unused, table.heading[column])
    report = Report(table.sha256, table.encoding, unused=unused, dry_run=dry_run)
    last, scope = _survey(table, systems)
    reader = _Reader(table, systems, last, scope, report, on_bad)
    total = table.records
    if not dry_run:
        facts = {"file": table.sha256, "rows": total, **({"addresses_moved": True} if moved else {})}
        await db.write(lambda tx: tx.audit.record("import", [Note("people_import_started", facts)]))
    people = reader.people()
    while batch := list(islice(people, BATCH)):
        results, lines = await _save(db, [p for p, _ in batch], dry_run=dry_run, moved=moved)
        _count(report, lines)
        for (_, rows), result in zip(batch, results, strict=True):
            if result == "username_taken":
                for row in rows:
                    reader.reject(BadRow(row.line, "taken", "username", record=row.record))
            else:
                setattr(report, result, getattr(report, result) + 1)
        if progress:
            progress(report.rows, total)
    if progress:
        progress(total, total)
    if "group" in table.fields:
        report.empty_groups = tuple(g for g in systems.tiers if group_name(g) not in reader.groups)
    if not dry_run:
        counts = {k: getattr(report, k) for k in ("added", "changed", "same", "bad")}
        counts |= {k: n for k in ("addresses", "refused") if (n := getattr(report, k))}
        await db.write(
            lambda tx: tx.audit.record("import", [Note("people_imported", {"file": table.sha256, **counts})])
        )
    return report


Saved = tuple[Sequence[ImportResult], Sequence[AddressLine]]


class _Undo(Exception):
    def __init__(self, saved: Saved) -> None:
        self.saved = saved


async def _save(db: Database, people: Sequence[Imported], *, dry_run: bool, moved: bool) -> Saved:
    def fn(tx: Tx) -> Saved:
        results, changes = tx.people.import_batch(people, at_once=moved)
        address_changes.notify_address_changes(tx, changes)
        saved = results, _lines(tx, changes)
        if dry_run:
            raise _Undo(saved)
        return saved

    try:
        return await db.write(fn)
    except _Undo as undone:
        return undone.saved


def _lines(tx: Tx, changes: Sequence[AddressChange]) -> list[AddressLine]:
    people = tx.people.people(sorted({c.new.person_id for c in changes}))
    out = []
    for c in changes:
        until = c.new.usable_from if c.kind in ("moving", "added") and c.new.usable_from > tx.now else 0
        name = people[c.new.person_id].name
        out.append(AddressLine(name, c.kind, masked(c.new), masked(c.old) if c.old else "", until))
    return out


def _count(report: Report, lines: Sequence[AddressLine]) -> None:
    refused = sum(line.kind == "refused" for line in lines)
    report.refused += refused
    report.addresses += len(lines) - refused
    report.lines += lines[: MAX_LINES - len(report.lines)]


def _fits(table: Table, systems: Systems) -> None:
    if "system" not in table.fields and "builtin" not in systems.titles:
        raise Unreadable("there is no column for the system, and no system is called builtin; add a column `system`")


def _survey(table: Table, systems: Systems) -> tuple[dict[bytes, int], frozenset[str]]:
    """First pass: each person's last record, and the systems that the file speaks for.

    It speaks for none while a row cannot be told whose it is, since what somebody lacks may stand in that row; nor
    without a column for keys, since one slip in a mail address would split a person in two.
    """
    last: dict[bytes, int] = {}
    said: set[str] = set()
    whole = "key" in table.fields
    for n, record in enumerate(table.read()):
        table.records = n + 1
        cells = {} if record.fault else table.cells(record)
        key = row_key(cells)
        if key:
            last[digest(key)] = n
        else:
            whole = False
        said.add(cells.get("system", ""))
    found = {systems.named(s) for s in said} if "system" in table.fields else {"builtin"}
    return last, frozenset(s for s in found if s) if whole else frozenset()


class _Reader:
    """Second pass: checks rows, groups them by person, and gives people away once their last row has come."""

    def __init__(
        self,
        table: Table,
        systems: Systems,
        last: dict[bytes, int],
        scope: frozenset[str],
        report: Report,
        on_bad: Callable[[BadRow], None],
    ) -> None:
        self._table, self._systems, self._last, self._scope = table, systems, last, scope
        self._report, self._on_bad = report, on_bad
        self._names: dict[bytes, int] = {}  # user names and external ids of this file, and their lines
        self._given = frozenset({"locale", "tier", "state", "backup", "provider"} & table.fields.keys())
        if "tier" in self._given:  # of the account, too; a group speaks for its people only
            self._given |= {"privileged"}
        elif "group" in table.fields and systems.groups:
            self._given |= {"tier"}
        self.groups: set[str] = set()

    def reject(self, bad: BadRow) -> None:
        self._report.bad += 1
        self._on_bad(bad)

    def people(self) -> Iterator[tuple[ImportedPart, list[Row]]]:
        open_: dict[bytes, _Group] = {}
        for n, record in enumerate(self._table.read()):
            self._report.rows += 1
            cells = {} if record.fault else self._table.cells(record)
            key = row_key(cells)
            name = digest(key) if key else b""
            group = open_.setdefault(name, _Group()) if key else _Group()
            row = self._checked(record, cells, key, group)
            if isinstance(row, BadRow):
                group.spoilt = True
                self.reject(row)
            else:
                group.rows.append(row)
                self.groups |= row.groups
            if key and self._last[name] == n:
                del open_[name]
                if group.rows:
                    yield self._person(key, group), group.rows

    def _checked(self, record: Record, cells: dict[str, str], key: str, group: _Group) -> Row | BadRow:
        row = read_row(record, cells, self._systems)
        if isinstance(row, BadRow):
            return row
        first = group.rows[0] if group.rows else None
        if first and first.mail_canonical != row.mail_canonical:
            return BadRow(row.line, "other_mail", "email", first.line, record.cells)
        a = row.account
        unique = {
            "username": f"u\0{a.system}\0{row.username_canonical}",
            "external_id": f"x\0{a.system}\0{a.external_id}",
        }
        for column, value in unique.items():
            earlier = self._names.get(digest(value))
            if earlier is not None:
                return BadRow(row.line, "duplicate", column, earlier, record.cells)
        for value in unique.values():
            self._names[digest(value)] = row.line
        return row

    def _person(self, key: str, group: _Group) -> ImportedPart:
        rows = group.rows
        first = rows[0]
        mails = {first.mail_canonical: first.mail} | {
            c: m for row in rows for c, m in row.backups.items() if c != first.mail_canonical
        }
        left = any(r.left for r in rows) or all(r.account.state == "disabled" for r in rows)
        state: Literal["active", "disabled"] = "disabled" if left else "active"
        accounts: tuple[ImportedAccount, ...] = tuple(r.account for r in rows)
        return ImportedPart(
            key=key,
            name=first.name,
            locale=first.locale,
            tier=max((r.tier for r in rows), key=ORDER.index),
            state=state,
            mails=tuple(mails.values()),
            accounts=accounts,
            systems=frozenset() if group.spoilt else self._scope,
            given=self._given,
        )
