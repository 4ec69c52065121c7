"""One row of an import: every cell checked, or the reason why it cannot be taken."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, cast

from keyback.application.people.csv_file import Record
from keyback.application.ports.storage import ImportedAccount
from keyback.domain.errors import BadInput
from keyback.domain.people.person import MAX_IDENTIFIER, AccountState, Tier, canonicalize

V = TypeVar("V")
Reason = Literal[
    "quotes", "cells", "missing", "not_text", "too_long", "bad_mail", "unknown", "no_system_id", "other_mail",
    "duplicate", "taken",
]  # fmt: skip
STATES: Mapping[str, tuple[AccountState, bool]] = {
    **dict.fromkeys(("active", "enabled", "normal", "在职", "启用", "正常", "已启用"), ("active", False)),
    **dict.fromkeys(("disabled", "inactive", "suspended", "停用", "禁用", "已停用"), ("disabled", False)),
    **dict.fromkeys(("left", "terminated", "离职", "已离职"), ("disabled", True)),
    **dict.fromkeys(("locked", "锁定", "已锁定"), ("locked", False)),
}
TIERS: Mapping[str, Tier] = {
    **dict.fromkeys(("standard", "normal", "普通", "标准"), "standard"),
    **dict.fromkeys(("mfa", "2fa", "twofactor", "双因素", "两步验证"), "mfa"),
    **dict.fromkeys(("privileged", "admin", "administrator", "管理员", "特权"), "privileged"),
}
ORDER: tuple[Tier, ...] = ("standard", "mfa", "privileged")
LISTED = re.compile("[;；、|]")
LOCALES: Mapping[str, str] = {
    **dict.fromkeys(("zh", "zhcn", "zhhans", "zhhanscn", "chinese", "中文", "简体中文", "汉语"), "zh_CN"),
    **dict.fromkeys(("en", "enus", "engb", "english", "英文", "英语"), "en"),
}
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out. `other`: the line it clashes with. `record`: its cells, for the file of bad rows.
    `known`: what might stand there instead."""

    line: int
    reason: Reason
    column: str = ""
    other: int = 0
    record: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    def words(self) -> str:
        """Why, without repeating what stands there."""
        c = self.column
        return {
            "quotes": "its quotation marks are out of place, or one is never closed",
            "cells": "it has more cells than the heading",
            "missing": f"{c} is empty",
            "not_text": f"{c} contains characters that nobody can type",
            "too_long": f"{c} is too long",
            "bad_mail": f"{c} is not a mail address",
            "unknown": f"{c} has a value that is not known here; known are {', '.join(self.known)}",
            "no_system_id": f"{c} is empty; this system needs its own number of the account",
            "other_mail": f"{c} is another one than in line {self.other}, for the same person",
            "duplicate": f"{c} stands in line {self.other} already",
            "taken": "user name or external_id belongs to somebody else in the database",
        }[self.reason]


@dataclass(frozen=True, slots=True)
class Row:
    """A good row. `backups`: canonical to stored address. `left`: the person left the company. `groups`: those of
    theirs that have a tier, as `group_name` writes them."""

    line: int
    name: str
    mail: str
    mail_canonical: str
    backups: Mapping[str, str]
    account: ImportedAccount
    username_canonical: str
    locale: str
    tier: Tier
    left: bool
    record: tuple[str, ...]
    groups: frozenset[str] = frozenset()


class KnownSystems(Protocol):
    @property
    def ids(self) -> frozenset[str]: ...
    @property
    def default_locale(self) -> str: ...
    @property
    def known(self) -> tuple[str, ...]: ...
    @property
    def groups(self) -> Mapping[str, Tier]: ...
    def named(self, text: str) -> str | None: ...


class _Bad(Exception):
    def __init__(self, reason: Reason, column: str, known: tuple[str, ...] = ()) -> None:
        self.reason, self.column, self.known = reason, column, known


def row_key(cells: Mapping[str, str]) -> str:
    """Under which name a row's person is known: the key column, else the canonical main address; empty if neither."""
    if "key" in cells:
        key = unicodedata.normalize("NFKC", cells["key"]).strip()
        return key if key.isprintable() and len(key) <= MAX_IDENTIFIER else ""
    try:
        return canonicalize(cells.get("email", ""))
    except BadInput:
        return ""


def read_row(record: Record, cells: Mapping[str, str], systems: KnownSystems) -> Row | BadRow:
    """Checks one record."""
    try:
        if record.fault:
            raise _Bad(cast(Reason, record.fault), "")
        return _row(record, cells, systems)
    except _Bad as bad:
        return BadRow(record.line, bad.reason, bad.column, 0, record.cells, bad.known)


def _row(record: Record, cells: Mapping[str, str], systems: KnownSystems) -> Row:
    if "key" in cells and not row_key(cells):
        raise _Bad("not_text" if cells["key"] else "missing", "key")
    name = _text(cells, "name", MAX_NAME)
    mail, mail_canonical = _mail(_filled(cells, "email"), "email")
    backups = {}
    for one in cells.get("backup", "").translate(dict.fromkeys(map(ord, ";；、，,"), " ")).split():
        address, canonical = _mail(one, "backup_email")
        backups[canonical] = address
    username = _filled(cells, "username") if "username" in cells else mail
    username_canonical = _canonical(username, "username")
    named = systems.named(_filled(cells, "system")) if "system" in cells else "builtin"
    if named is None:
        raise _Bad("unknown", "system", systems.known)
    external_id = _text(cells, "external_id", MAX_IDENTIFIER, needed=False)
    if not external_id:
        if named in systems.ids:
            raise _Bad("no_system_id", "external_id")
        external_id = username_canonical
    state, left = _one_of(cells, "state", STATES, ("active", False))
    said = _one_of(cells, "tier", TIERS, "standard")
    groups = frozenset(g for g in map(group_name, LISTED.split(cells.get("group", ""))) if g in systems.groups)
    return Row(
        line=record.line,
        name=name,
        mail=mail,
        mail_canonical=mail_canonical,
        backups=backups,
        account=ImportedAccount(
            system=named,
            external_id=external_id,
            username=username,
            state=state,
            privileged=said == "privileged",
            provider=_text(cells, "provider", 80, needed=False),
        ),
        username_canonical=username_canonical,
        locale=_one_of(cells, "locale", LOCALES, systems.default_locale),
        tier=max((said, *(systems.groups[g] for g in groups)), key=ORDER.index),
        left=left,
        record=record.cells,
        groups=groups,
    )


def group_name(text: str) -> str:
    """The one form in which groups are compared: NFKC, case folded, each run of white space one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _filled(cells: Mapping[str, str], column: str) -> str:
    text = cells.get(column, "")
    if not text:
        raise _Bad("missing", column)
    return text


def _text(cells: Mapping[str, str], column: str, most: int, *, needed: bool = True) -> str:
    text = " ".join((_filled(cells, column) if needed else cells.get(column, "")).split())
    if not all(c.isprintable() or c in "\u200c\u200d" for c in text):
        raise _Bad("not_text", column)
    if len(text) > most:
        raise _Bad("too_long", column)
    return text


def _canonical(text: str, column: str) -> str:
    try:
        return canonicalize(text)
    except BadInput as e:
        raise _Bad("too_long" if e.code == "too_long" else "not_text", column) from None


def _mail(text: str, column: str) -> tuple[str, str]:
    """Address and canonical form. Company-internal domains such as `firm.lan` are fine, a bare host name is not."""
    from email_validator import EmailNotValidError, validate_email  # here: the server never needs it

    if len(text) > MAX_IDENTIFIER:
        raise _Bad("too_long", column)
    try:
        validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise _Bad("bad_mail", column) from None
    if "." not in text.rpartition("@")[2]:
        raise _Bad("bad_mail", column)
    return text, _canonical(text, column)


def _one_of(cells: Mapping[str, str], column: str, known: Mapping[str, V], default: V) -> V:
    text = "".join(c for c in unicodedata.normalize("NFKC", cells.get(column, "")).casefold() if c.isalnum())
    if not text:
        return default
    if text not in known:
        raise _Bad("unknown", column, tuple(known))
    return known[text]
