"""A CSV file as spreadsheets and other systems write it: encoding, separator and headings are found out, rows are
streamed."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from keyback.application.people import csv_words
from keyback.application.people.csv_encoding import BAD_BYTE, Unreadable, find_encoding, lines_of
from keyback.application.people.csv_headings import (
    ACCESS,
    ADMINS,
    HARMLESS,
    JOBS,
    OWN_NAMES,
    Field,
    field_of,
    is_last_first,
    is_suspect,
    plain,
    rank,
)
from keyback.application.people.csv_records import Record, records_of
from keyback.application.people.csv_roles import role_of

__all__ = ["Column", "Record", "Table", "Unreadable", "digest"]

SEPARATORS: Final = ",;\t|"
LOOK_AT: Final = 60  # records among which the headings are
DISTINCT: Final = 60  # values of a column that is not known; one with more says no state
SEP_LINE: Final = re.compile(r"\s*\"?sep=(.|\\t)\"?[,;\t ]*\s*", re.IGNORECASE)
# Around a cell: what spreadsheets and browsers leave there, and nobody sees.
_AROUND: Final = " \t\r\n\0\xa0\u3000\ufeff\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u00ad"
_FORMULA: Final = re.compile(r'="(.*)"\Z', re.DOTALL)
_MARKED: Final = re.compile(r"'[=+\-@\d]")
# Beside these, a column "State" is about a place.
_PLACES: Final = frozenset(("city", "country", "street", "streetaddress", "zip", "zipcode", "postalcode", "postcode",
                            "countryregion", "countryorregion", "address", "usagelocation"))  # fmt: skip
_EITHER: Final[Mapping[str, Field]] = {"state": "state", "level": "tier", "级别": "tier", "等级": "tier"}
# Of these every column counts: the strictest, or all of them.
ALL_COUNT: Final[tuple[Field, ...]] = ("backup", "group", "admin", "role", "sso", "phone")
ONE_VALUE: Final[tuple[Field, ...]] = ("key", "name", "email", "username", "system", "external_id")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its place from 0, its heading as it stands there and as it is compared."""

    place: int
    heading: str
    plain: str


@dataclass(slots=True)
class _Values:
    """What stands in a column that is not understood by its heading: each value once, with its first line."""

    first: dict[str, int] = field(default_factory=dict)
    many: bool = False

    def take(self, text: str, line: int) -> None:
        if not self.many and text and text not in self.first:
            self.first[text] = line
            self.many = len(self.first) > DISTINCT


@dataclass(slots=True)
class Table:
    """A file whose shape is known. `records` is filled by `survey`.

    Attributes:
        columns: by field, the preferred one first.
        unused: columns that mean nothing here.
        warnings: columns that may take access away and were not understood; sentences.
        notes: what else was decided about columns; sentences.
    """

    path: Path
    sha256: str
    encoding: str
    separator: str
    heading: tuple[str, ...]
    heading_line: int
    columns: dict[Field, list[Column]]
    unused: list[Column]
    today: datetime.date = datetime.date.max
    records: int = 0
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _values: dict[int, _Values] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, encoding: str = "", today: datetime.date = datetime.date.max) -> Table:
        """Finds encoding, separator and headings.

        Args:
            encoding: what somebody said that it is; empty to find out.
            today: what dates of leaving are compared with.

        Raises:
            Unreadable: not text, no headings, or none for name and mail address.
        """
        found = find_encoding(path, encoding)
        try:
            separator, heading = _heading(path, found.encoding)
        except (UnicodeError, ValueError) as e:
            if isinstance(e, Unreadable):
                raise
            raise Unreadable(f"it cannot be read as {found.encoding}; save it as CSV (UTF-8)") from None
        columns: dict[Field, list[Column]] = defaultdict(list)
        unused = []
        for n, text in enumerate(heading.cells):
            column = Column(n, " ".join(text.split())[:40], plain(text))
            known = field_of(text)
            if known is None:
                unused.append(column)
            else:
                columns[known].append(column)
        for name, several in columns.items():
            several.sort(key=lambda c: (rank(heading.cells[c.place], name), c.place))
        table = cls(
            path, found.sha256, found.encoding, separator, heading.cells, heading.line, dict(columns), unused, today
        )
        table._complete()
        return table

    def _complete(self) -> None:
        has = self.columns
        if "name" in has and "last" in has and "first" not in has and has["name"][0].plain in ("name", "名字"):
            has["first"] = has.pop("name")  # "Name, Surname"
        missing = [] if has.keys() & {"name", "first", "last"} else ["name"]
        if "email" not in has and "username" not in has:
            missing.append("email")
        if missing:
            raise Unreadable(f"it has no column for {' and '.join(missing)}; known names are {OWN_NAMES}")
        if "email" not in has:
            self.notes.append(f"The column {has['username'][0].heading} is taken for the email address as well.")
        for name, several in has.items():
            if len(several) > 1 and name not in (*ACCESS, *ALL_COUNT):
                rest = ", ".join(c.heading for c in several[1:])
                self.notes.append(f"For {name}, {several[0].heading} counts before {rest}.")

    # ── what the values say about the columns ───────────────────────────────

    def survey(self) -> Iterator[Record]:
        """Every record, while the values of doubtful columns are looked at; decides about these at the end."""
        doubtful = [c for cs in self.columns.values() for c in cs if c.plain in _EITHER]
        doubtful += [*self.columns.get("role", ()), *self.unused]
        self._values = {c.place: _Values() for c in doubtful if c.heading}
        watched = list(self._values.items())
        self.records = 0
        for record in self.read():
            self.records += 1
            if not record.fault:
                for place, values in watched:
                    if place < len(record.cells):
                        values.take(clean(record.cells[place]), record.line)
            yield record
        self._settle()

    def _settle(self) -> None:
        for name in ("state", "tier"):
            for column in list(self.columns.get(name, ())):
                if column.plain in _EITHER:
                    self._decide(name, column)
        for column in self.columns.get("role", ()):
            self._check_roles(column)
        for column in list(self.unused):
            values = self._values.get(column.place)
            if values and values.first:
                self._doubt(column, values)

    def _decide(self, name: Field, column: Column) -> None:
        """A heading that may mean something else: it does where no value is a state, or a tier."""
        values = self._values[column.place]
        known = [
            v
            for v in values.first
            if (csv_words.state_of(v) if name == "state" else csv_words.plain(v) in csv_words.TIERS)
        ]
        if known or not values.first:
            return
        elsewhere = any(len(self.columns.get(f, ())) > (f == name) for f in ACCESS)
        place = elsewhere or any(c.plain in _PLACES for c in self.unused)
        if name == "state" and not place:
            return  # every row is refused, since nobody knows whether they may sign in
        self.columns[name].remove(column)
        if not self.columns[name]:
            del self.columns[name]
        self.unused.append(column)
        what = "is taken for a part of a country" if name == "state" else "has no tier that is known, and was not used"
        self.notes.append(f"The column {column.heading} {what} (“{next(iter(values.first))[:40]}”).")
        self._values[column.place] = _Values()

    def _doubt(self, column: Column, values: _Values) -> None:
        states = {v: csv_words.state_of(v) for v in values.first}
        gone = next((v for v, s in states.items() if s in ("disabled", "left", "locked")), None)
        all_known = not values.many and all(states.values())
        yes_no = not values.many and all(csv_words.yes_or_no(v) is not None for v in values.first)
        if yes_no and ADMINS.search(column.plain) and not HARMLESS.search(column.plain):
            self.columns.setdefault("admin", []).append(column)
            self.unused.remove(column)
            self.notes.append(f"The column {column.heading} is taken to say who is an administrator.")
        elif is_suspect(column.heading):
            if all_known and "sso" not in column.plain and "单点" not in column.plain:
                self.columns.setdefault("state", []).append(column)
                self.unused.remove(column)
                self.notes.append(f"The column {column.heading} is taken for the state.")
                return
            word, line = next((v, n) for v, n in values.first.items() if gone in (None, v))
            self._warn(column, word, line, "may say who may sign in, and how")
        elif gone is not None and (
            all_known or csv_words.plain(gone) in ("离职", "已离职", "terminated", "deactivated")
        ):
            self._warn(column, gone, values.first[gone], "speaks of people who left")
        else:
            self._doubt_rights(column, values)

    def _doubt_rights(self, column: Column, values: _Values) -> None:
        """A column that no list knows, with administrators in it."""
        admins = [v for v in values.first if role_of(v) == "privileged"]
        if not admins or (values.many and len(admins) * 2 < len(values.first)):
            return
        what = f"The column {column.heading} names administrators (“{admins[0][:40]}”, line {values.first[admins[0]]})"
        if JOBS.search(column.plain):
            self.notes.append(f"{what}, and was not used. If they have more rights, say so in a column role or tier.")
        else:
            self.warnings.append(f"{what}, and was not used. Call it role if it does, or leave it out with --ignore.")

    def _check_roles(self, column: Column) -> None:
        """Says aloud which roles were not understood, and by which ones people count as administrators."""
        values = self._values[column.place]
        roles = {v: role_of(v) for v in values.first}
        unknown = [v for v, role in roles.items() if role is None]
        admin = next((v for v, role in roles.items() if role == "privileged"), None)
        if admin is not None:
            self.notes.append(
                f"By the column {column.heading}, people count as administrators (“{admin[:40]}”, line "
                f"{values.first[admin]}): their tier is privileged."
            )
        if unknown:
            rest = f" and {len(unknown) - 1}{' or more' if values.many else ''} others" if len(unknown) > 1 else ""
            self.warnings.append(
                f"The column {column.heading} has roles that were not understood (“{unknown[0][:40]}”, line "
                f"{values.first[unknown[0]]}{rest}); new people with them count as standard. If some are "
                f"administrators, say so in a column tier; else leave it out with --ignore {column.heading}."
            )

    def _warn(self, column: Column, word: str, line: int, why: str) -> None:
        self.warnings.append(
            f"The column {column.heading} {why} (“{word[:40]}”, line {line}), and was not understood. Call it state,"
            " active, disabled or sso if it does, or leave it out with --ignore."
        )

    # ── rows ────────────────────────────────────────────────────────────────

    def ignore(self, names: Sequence[str]) -> None:
        """Leaves columns out that somebody named. Raises Unreadable where there is none of that name."""
        for name in names:
            mine = [
                c for c in (*self.unused, *(c for cs in self.columns.values() for c in cs)) if c.plain == plain(name)
            ]
            if not mine:
                raise Unreadable(f"there is no column {name} to ignore")
            self.unused = [c for c in self.unused if c not in mine]
            self.columns = {f: left for f, cs in self.columns.items() if (left := [c for c in cs if c not in mine])}
        if names:
            self._complete()

    def read(self) -> Iterator[Record]:
        """Every record behind the heading; blank lines, and headings that come once more, are left out."""
        width = len(self.heading)
        for record in records_of(lines_of(self.path, self.encoding), self.separator, width):
            if record.line <= self.heading_line or tuple(c.strip(_AROUND) for c in record.cells) == self.heading:
                continue
            more = not record.fault and any(clean(c) for c in record.cells[width:])
            yield Record(record.line, record.cells, "cells") if more else record

    def cells(self, record: Record) -> dict[str, str]:
        """The record's known cells by field, without what spreadsheets put around them.

        `=state` is what all columns about access come to (`unknown` where one is not understood), `=word` the cell that
        says so, `=conflict` a field that stands there twice with different values, `=byte` a cell that is no text.
        """
        out: dict[str, str] = {}
        twice = ""
        for name, columns in self.columns.items():
            if name in ACCESS:
                continue
            if len(columns) == 1:  # nearly always, and it runs for every cell of a file
                text = self._cell(record, columns[0])
                out[name] = _first_last(text) if name == "name" and is_last_first(columns[0].heading) else text
                continue
            filled = {t: c for c in columns if (t := self._cell(record, c))}
            if name == "name":
                filled = {(_first_last(t) if is_last_first(c.heading) else t): c for t, c in filled.items()}
            out[name] = next(iter(filled), "")
            if name in ALL_COUNT:
                out[name] = "; ".join(filled)
            elif name in ONE_VALUE and len({c.plain for c in filled.values()}) < len(filled):
                twice = name
        self._names(out)
        if twice:
            out["=conflict"] = twice
        if "email" not in self.columns:
            out["email"] = out.get("username", "")
        if any(f in self.columns for f in ACCESS):
            out["=state"], out["=word"] = self._access(record)
        for cell, text in list(out.items()):
            if cell != "phone" and not text.isascii() and ("\ufffd" in text or BAD_BYTE.search(text)):
                out["=byte"] = cell
                break
            if text.count('"') % 2 and cell in ("key", "name", "email", "username"):
                out["=quote"] = cell
        return out

    def _cell(self, record: Record, column: Column) -> str:
        return clean(record.cells[column.place]) if column.place < len(record.cells) else ""

    def _names(self, out: dict[str, str]) -> None:
        """One name of its parts, in the order of its language."""
        first, last = " ".join(filter(None, (out.pop("first", ""), out.pop("middle", "")))), out.pop("last", "")
        if out.get("name") or not (first or last):
            out.setdefault("name", "")
            return
        if last and last in first.split():  # "Name" beside "Surname" is sometimes the whole one
            out["name"] = first
        elif re.search("[\u3040-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]", last + first):
            out["name"] = last + first
        else:
            out["name"] = " ".join(filter(None, (first, last)))

    def _access(self, record: Record) -> tuple[str, str]:
        states: list[csv_words.State] = []
        worst = ""
        for name in ACCESS:
            for column in self.columns.get(name, ()):
                text = self._cell(record, column)
                said = csv_words.access(name, column.plain, text, self.today)
                if said == "unknown":
                    return ("no_date" if name == "gone_at" else "unknown"), column.heading
                if said:
                    states.append(said)
                    shown = text if name == "state" else f"{column.heading}: {text}"
                    worst = shown if said == csv_words.together(states) else worst
        return csv_words.together(states) or "", worst


def clean(cell: str) -> str:
    """A cell without what spreadsheets put around it: white space, marks that nobody sees, `="00123"`, `'00123`."""
    text = cell.strip(_AROUND)
    if text[:1] not in ("=", "'"):  # nearly always
        return text
    if text[:2] == '="' and (m := _FORMULA.match(text)):
        text = m[1].strip(_AROUND)
    return text[1:].strip() if _MARKED.match(text) else text


def _first_last(name: str) -> str:
    """`Lee, Ann M.` as she is called."""
    last, comma, first = name.partition(",")
    return f"{first.strip()} {last.strip()}" if comma and first.strip() else name


def digest(text: str) -> bytes:
    """A short name of a text, so that tables of a hundred thousand of them stay small."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _heading(path: Path, encoding: str) -> tuple[str, Record]:
    """The separator and the record with the headings: the one that names most of what we know; titles may be above."""
    first = next((line for line in lines_of(path, encoding) if line.strip(_AROUND)), None)
    if first is None:
        raise Unreadable("the file is empty")
    said = SEP_LINE.fullmatch(first)
    separators = [said[1].replace("\\t", "\t")] if said else list(SEPARATORS)
    best: tuple[int, int, str, Record] | None = None
    for separator in separators:
        for n, record in enumerate(islice(records_of(lines_of(path, encoding), separator), LOOK_AT)):
            if record.fault or (said and n == 0):
                continue
            fields = {f for c in record.cells if (f := field_of(c.strip(_AROUND)))}
            complete = bool(fields & {"name", "first", "last"}) and bool(fields & {"email", "username"})
            score = len(fields) + 100 * complete
            if fields and (best is None or score > best[0]):
                best = score, n, separator, record
    if best is None:
        raise Unreadable(f"it has no column for name and email; known names are {OWN_NAMES}")
    return best[2], Record(best[3].line, tuple(c.strip(_AROUND) for c in best[3].cells))
