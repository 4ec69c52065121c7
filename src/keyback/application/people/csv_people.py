"""People out of rows: checked, grouped by person, and given away once their last row has come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal

from keyback.application.people.csv_file import Record, Table, digest
from keyback.application.people.csv_headings import ACCESS
from keyback.application.people.csv_rows import ORDER, BadRow, Row, read_row, row_key
from keyback.application.people.fields import MAX_PHONES
from keyback.application.people.import_report import Report, Systems
from keyback.application.people.saving import MAX_LINES
from keyback.application.ports.imports import ImportedPart
from keyback.application.ports.storage import ImportedAccount
from keyback.domain.people.groups import tidy_groups
from keyback.domain.people.person import same_name

Part = tuple[ImportedPart, list[Row]]


@dataclass(slots=True)
class _Group:
    """The rows of one person so far."""

    rows: list[Row] = field(default_factory=list)
    spoilt: bool = False  # a row of theirs was bad: what they lack may stand there
    off: bool = False  # and one of these says that they have no access any more
    other_name: bool = False  # two names behind one address, and nothing tells whether they are one person


def survey(table: Table, systems: Systems, report: Report) -> tuple[dict[bytes, int], frozenset[str]]:
    """Second pass: each person's last record, and the systems that the file speaks for.

    It speaks for none while a row cannot be told whose it is, since what somebody lacks may stand in that row; nor
    without a column for keys, since one slip in a mail address would split a person in two.
    """
    last: dict[bytes, int] = {}
    said: set[str] = set()
    whole = "key" in table.columns
    for n, record in enumerate(table.survey()):
        cells = {} if record.fault else table.cells(record)
        key = row_key(cells)
        if key:
            last[digest(key)] = n
        else:
            whole = False
        said.add(cells.get("system", ""))
        if not report.sample and not cells.get("name", "").isascii() and "=byte" not in cells:
            report.sample, report.sample_line = cells["name"][:80], record.line
    found = {systems.named(s) for s in said} if "system" in table.columns else {systems.default_system}
    return last, frozenset(s for s in found if s) if whole else frozenset()


class Reader:
    """Third pass: checks rows, groups them by person, and gives people away once their last row has come.

    Attributes:
        groups: those with a tier that have members.
        off: keys of people none of whose rows could be taken, though one says that they have no access any more.
    """

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
        has = table.columns.keys()
        self._given = frozenset({"locale", "tier", "backup", "provider"} & has)
        self._given |= {"state"} if has & set(ACCESS) else set()
        self._given |= {"provider"} if "sso" in has else set()
        self._by_tier = bool(has & {"tier", "admin", "role"})
        if self._by_tier:  # of the account, too; a group speaks for its people only
            self._given |= {"tier", "privileged"}
        elif "group" in has and systems.groups:
            self._given |= {"tier"}
        self._phones = "phone" in has and systems.phone_country is not None
        self._groups = "group" in has
        self.keyed = "key" in has
        self.groups: set[str] = set()
        self.off: list[str] = []

    def reject(self, bad: BadRow) -> None:
        self._report.bad += 1
        self._on_bad(bad)

    def names(self, key: str) -> bool:
        """Whether the file has somebody with this key."""
        return digest(key) in self._last

    def again(self, keys: Collection[str]) -> Iterator[Part]:
        """Once more those people, without a word about bad rows."""
        other = Reader(self._table, self._systems, self._last, self._scope, Report(), lambda _: None)
        wanted = {digest(k) for k in keys}
        return ((p, rows) for p, rows in other.people() if digest(p.key) in wanted)

    def people(self) -> Iterator[Part]:
        open_: dict[bytes, _Group] = {}
        for n, record in enumerate(self._table.read()):
            self._report.rows += 1
            cells = {} if record.fault else self._table.cells(record)
            key = row_key(cells)
            name = digest(key) if key else b""
            group = open_.setdefault(name, _Group()) if key else _Group()
            row = self._checked(record, cells, group)
            if isinstance(row, BadRow):
                group.spoilt = True
                group.off |= row.off
                self.reject(row)
            else:
                group.rows.append(row)
                self.groups |= row.groups
            if key and self._last[name] == n:
                del open_[name]
                if group.other_name:
                    self._refuse_names(group)
                elif group.rows:
                    yield self._person(key, group), group.rows
                if group.off and not group.rows:
                    self.off.append(key)

    def _refuse_names(self, group: _Group) -> None:
        first, second = group.rows[0].line, group.rows[-1].line
        for row in group.rows:
            other = second if row.line == first else first
            self.reject(BadRow(row.line, "other_name", "name", other, row.record))
        group.rows.clear()

    def _checked(self, record: Record, cells: dict[str, str], group: _Group) -> Row | BadRow:
        row = read_row(record, cells, self._systems)
        if isinstance(row, BadRow):
            return row
        first = group.rows[0] if group.rows else None
        off = bool(row.off)
        if first and first.mail_canonical != row.mail_canonical:
            return BadRow(row.line, "other_mail", "email", first.line, record.cells, off=off)
        if first and "key" not in cells and not same_name(first.name, row.name):
            group.other_name = True
        a = row.account
        unique = {"username": f"u\0{a.system}\0{row.username_canonical}"}
        if a.numbered:
            unique["external_id"] = f"x\0{a.system}\0{a.external_id}"
        for column, value in unique.items():
            earlier = self._names.get(digest(value))
            if earlier is not None:
                return BadRow(row.line, "duplicate", column, earlier, record.cells, off=off)
        for value in unique.values():
            self._names[digest(value)] = row.line
        return row

    def _person(self, key: str, group: _Group) -> ImportedPart:
        rows = group.rows
        first = rows[0]
        mails = {first.mail_canonical: first.mail} | {
            c: m for row in rows for c, m in row.backups.items() if c != first.mail_canonical
        }
        said = [r for r in rows if "state" in r.says] or rows
        left = any(r.left for r in rows) or all(r.account.state == "disabled" for r in said)
        state: Literal["active", "disabled"] = "disabled" if left else "active"
        accounts: tuple[ImportedAccount, ...] = tuple(r.account for r in rows)
        silent = {name for name in ("state", "tier", "locale") if not any(name in r.says for r in rows)}
        if not self._by_tier:
            silent.discard("tier")  # a column for groups says that somebody is in none
        return ImportedPart(
            key=key,
            name=first.name,
            locale=next((r.locale for r in rows if "locale" in r.says), first.locale),
            tier=max((r.tier for r in rows), key=ORDER.index),
            state=state,
            mails=tuple(mails.values()),
            accounts=accounts,
            systems=frozenset() if group.spoilt else self._scope,
            given=self._given - silent,
            phones=None if group.spoilt else self._numbers(rows),
            groups=None if group.spoilt else self._named(rows),
        )

    def _named(self, rows: list[Row]) -> tuple[str, ...] | None:
        """All groups that the rows of one person name; None where the file has no column for them."""
        if not self._groups:
            return None
        kept, left_out = tidy_groups(name for row in rows for name in row.named)
        self._report.groups_left_out += left_out
        return kept

    def _numbers(self, rows: list[Row]) -> tuple[str, ...] | None:
        """All that the rows of one person name; None, and a word in the report, where one cannot be used."""
        bad = [row.line for row in rows if row.phones is None] if self._phones else []
        self._report.bad_phones += len(bad)
        self._report.bad_phone_lines += bad[: MAX_LINES - len(self._report.bad_phone_lines)]
        if bad or not self._phones:
            return None
        return tuple(dict.fromkeys(n for row in rows for n in row.phones or ()))[:MAX_PHONES]
