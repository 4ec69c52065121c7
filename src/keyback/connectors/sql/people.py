"""What rows of the table of users say of people."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from keyback.application.ports.connectors import FoundAccount
from keyback.connectors.base import numbers_in, texts_in
from keyback.connectors.sql.dialects import DIALECTS
from keyback.connectors.sql.options import LockRule, PrivilegedRule, Rule, SqlOptions, fits
from keyback.connectors.sql.port import Transaction

MANY: Final = 20
PAGE: Final = 500
_BYTES: Final = re.compile(r"0x(?:[0-9a-f]{2}){1,150}\Z")


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """A row. `key` is the id as the database has it, `hash` what stands in the hash's column after its prefix."""

    account: FoundAccount
    key: Any
    hash: str


class People:
    """Reads people in the transactions of others."""

    def __init__(self, options: SqlOptions) -> None:
        self._options, self._dialect = options, DIALECTS[options.kind]
        o = options
        named = [o.id_column, o.username_column, o.hash_column, o.mail_column, o.name_column]
        named += [o.mobile_column, o.group_column]
        named += [r.column for r in (*o.disabled, *(r for r in o.privileged if r.table is None))]
        named += [r.column for r in o.locked]
        self.columns = tuple(dict.fromkeys(c for c in named if c))

    def named(self, t: Transaction, name: str, *, usernames_only: bool = False) -> list[Person]:
        """People with exactly this username or mail address. Databases compare more loosely, by accents for one."""
        o = self._options
        columns = [c for c in (o.username_column, None if usernames_only else o.mail_column) if c]
        found = self._read(t, self._dialect.named(columns), (name, name.lower()) * len(columns), limit=MANY)
        wanted = name.casefold()
        return [
            p
            for p in found
            if wanted == p.account.username.casefold()
            or (not usernames_only and wanted == (p.account.mail or "").casefold())
        ]

    def with_id(self, t: Transaction, external_id: str, *, lock: bool = False) -> list[Person]:
        """Those whose key is exactly this: MySQL would take 12 for “12 or more”."""
        where = self._dialect.equal(self._options.id_column)
        found = self._read(t, where, (external_id,), limit=2, lock=lock)
        if not found and _BYTES.match(external_id):
            found = self._read(t, where, (bytes.fromhex(external_id[2:]),), limit=2, lock=lock)
        return [p for p in found if p.account.external_id == external_id]

    def page(self, t: Transaction, after: Any) -> list[Person]:
        """The next ones by id; `after` is the last one's key, None to begin."""
        key = self._options.id_column
        where, values = ("1 = 1", ()) if after is None else (f"{self._dialect.name(key)} > %s", (after,))
        return self._read(t, where, values, limit=PAGE, order=key)

    def _read(
        self, t: Transaction, where: str, values: Sequence[Any], *, limit: int, order: str = "", lock: bool = False
    ) -> list[Person]:
        rows = t.rows(
            *self._dialect.select(self.columns, self._options.table, where, values, limit=limit, order=order, lock=lock)
        )
        found = [dict(zip(self.columns, row, strict=True)) for row in rows]
        return self._told(found, self._privileged_elsewhere(t, found))

    def _privileged_elsewhere(self, t: Transaction, rows: Sequence[dict[str, Any]]) -> set[str]:
        """Ids of those whom a rule with a table of its own makes privileged."""
        out: set[str] = set()
        keys = [r[self._options.id_column] for r in rows]
        for rule in self._options.privileged if keys else ():
            if rule.table is None or rule.by is None:
                continue
            among = self._dialect.among(rule.by, len(keys))
            limit = 1_000_000  # people have few roles; nobody may be left out
            columns = (rule.by, rule.column)
            for key, value in t.rows(*self._dialect.select(columns, rule.table, among, keys, limit=limit)):
                if _holds(rule, value):
                    out.add(id_text(key))
        return out

    def _told(self, rows: Sequence[dict[str, Any]], privileged: set[str]) -> list[Person]:
        o = self._options
        out = []
        for row in rows:
            key = row[o.id_column]
            if key is None:
                continue
            stored = as_text(row[o.hash_column])
            disabled = any(_holds(rule, row[rule.column]) for rule in o.disabled)
            locked = any(_locks(rule, row[rule.column]) for rule in o.locked)
            account = FoundAccount(
                id_text(key),
                as_text(row[o.username_column]),
                (as_text(row[o.mail_column]) or None) if o.mail_column else None,
                self._name(row),
                state="disabled" if disabled else "locked" if locked else "active",
                privileged=id_text(key) in privileged
                or any(_holds(rule, row[rule.column]) for rule in o.privileged if rule.table is None),
                sso_only=not stored or stored.startswith("!"),  # “!” is Django's mark of no password
                phones=numbers_in(as_text(row[o.mobile_column])) if o.mobile_column else None,
                groups=texts_in(*(as_text(row[o.group_column]) or "").split(";")) if o.group_column else None,
            )
            out.append(Person(account, key, stored.removeprefix(o.hash_prefix)))
        return out

    def _name(self, row: dict[str, Any]) -> str | None:
        o = self._options
        return (as_text(row[o.name_column]) or None) if o.name_column else None


def _holds(rule: Rule, value: Any) -> bool:
    """Whether a rule holds. For privileges, an empty column counts: what nobody says is no leave."""
    if rule.filled:
        return value is not None and as_text(value) != ""
    if value is None:
        return isinstance(rule, PrivilegedRule) or bool(rule.except_values)
    if rule.at_least is not None:
        number = _number(value)
        return number >= rule.at_least if number is not None else isinstance(rule, PrivilegedRule)
    return not fits(value, rule.except_values) if rule.except_values else fits(value, rule.values)


def _locks(rule: LockRule, value: Any) -> bool:
    if value is None:
        return False
    if rule.until:
        moment = _moment(value)
        return moment is None or moment > time.time()
    if rule.at_least is not None:
        return (_number(value) or 0) >= rule.at_least
    return fits(value, rule.values)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _moment(value: Any) -> float | None:
    """Seconds since 1970; a time without a zone is UTC, and a large number is in milliseconds."""
    number = None if isinstance(value, datetime.datetime) else _number(value)
    if number is not None:
        return number / 1000 if number > 1e11 else number
    try:
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value).strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def id_text(value: Any) -> str:
    """A key as text; one of bytes, such as a UUID in BINARY(16), in hexadecimal."""
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        return as_text(raw) if text.isprintable() and text else f"0x{raw.hex()}"
    return as_text(value)


def as_text(value: Any) -> str:
    """A column as text; fixed-width ones are filled with spaces."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace").rstrip(" \0")
    return str(value).rstrip(" ")
