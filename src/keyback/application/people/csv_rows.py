"""One row of an import: every cell checked, or the reason why it cannot be taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from keyback.application.people import csv_words
from keyback.application.people.csv_encoding import BAD_BYTE
from keyback.application.people.csv_file import Record
from keyback.application.people.csv_roles import role_of
from keyback.application.people.fields import MAX_NAME, BadField, canonical, mail_address, one_line, phone_numbers
from keyback.application.ports.storage import ImportedAccount
from keyback.domain.characters import are_shown, normalized
from keyback.domain.people.groups import group_name
from keyback.domain.people.person import MAX_IDENTIFIER, AccountState, Tier

Reason = Literal[
    "quotes", "cells", "missing", "not_text", "too_long", "bad_mail", "unknown", "no_system_id", "other_mail",
    "other_name", "duplicate", "taken", "bytes", "conflict", "other_key", "no_key_yet", "no_date",
]  # fmt: skip
ORDER: tuple[Tier, ...] = ("standard", "mfa", "privileged")
LISTED = re.compile("[;；、|]")
NUMBERS = re.compile("[;；、|,，/\n]")  # between phone numbers, which have spaces in them
KNOWN_STATES = (
    "active", "enabled", "disabled", "inactive", "suspended", "deactivated", "blocked", "locked", "left",
    "terminated",
    "在职", "启用", "正常", "试用", "停用", "禁用", "冻结", "锁定", "离职",
)  # fmt: skip
KNOWN_ADMINS = ("yes", "no", "true", "false", "admin", "superuser", "user", "是", "否", "管理员", "普通")
KNOWN_TIERS = ("standard", "mfa", "privileged", "admin", "普通", "双因素", "管理员")
OFF = ("disabled", "left")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out. `other`: the line it clashes with. `record`: its cells, for the file of bad rows.
    `known`: what might stand there instead. `off`: it says that its person may not sign in any more."""

    line: int
    reason: Reason
    column: str = ""
    other: int = 0
    record: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    off: bool = False

    def words(self) -> str:
        """Why, without repeating what stands there."""
        c = self.column
        return {
            "quotes": "its quotation marks are out of place, or one is never closed",
            "bytes": f"{c} contains bytes that aren't text in this encoding" + self._byte(),
            "conflict": f"two columns for {c} say different things",
            "other_name": f"line {self.other} has another name for the same email; give both people a column key",
            "cells": "it has more cells than the heading",
            "missing": f"{c} is empty",
            "not_text": f"{c} contains characters that can't be typed",
            "too_long": f"{c} is too long",
            "bad_mail": f"{c} is not an email address",
            "unknown": f"{c} has an unknown value; known values are {', '.join(self.known)}",
            "no_system_id": f"{c} is empty; this system needs its own ID of the account",
            "other_mail": f"{c} differs from line {self.other}, for the same person",
            "duplicate": f"{c} is already used in line {self.other}",
            "taken": "the username or external_id already belongs to someone else in the database; if it is the same "
            "person, give them the key that they had, else correct it at the source",
            "no_date": f"{c} is not a date that can be read; write it like 2026-11-28, or leave it empty",
            "other_key": f"{c} is the main address of someone of the same name with the key {', '.join(self.known)}; "
            "use that key, or remove that person first (keyback people remove)",
            "no_key_yet": f"{c} is the main address of someone of another name, who was imported without a key; write "
            "the name as keyback people show has it, or remove that person first (keyback people remove)",
        }[self.reason]

    def _byte(self) -> str:
        found = next((m for cell in self.record if (m := BAD_BYTE.search(cell))), None)
        return f" (0x{ord(found[0]) - 0xDC00:02X})" if found else " (\ufffd)"


@dataclass(frozen=True, slots=True)
class Row:
    """A good row. `backups`: canonical to stored address. `left`: the person left the company. `groups`: those of
    theirs that have a tier, as `group_name` writes them. `language`: one that Keyback does not speak. `says`: which of
    `state`, `tier`, `locale` the row says. `off`: the word that takes access away. `phones`: None for numbers that
    cannot be used, and where none are taken. `named`: all groups that the row names, as they stand there."""

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
    language: str = ""
    says: frozenset[str] = frozenset()
    off: str = ""
    phones: tuple[str, ...] | None = None
    named: tuple[str, ...] = ()


class KnownSystems(Protocol):
    @property
    def ids(self) -> frozenset[str]: ...
    @property
    def default_locale(self) -> str: ...
    @property
    def default_system(self) -> str: ...
    @property
    def known(self) -> tuple[str, ...]: ...
    @property
    def groups(self) -> Mapping[str, Tier]: ...
    @property
    def phone_country(self) -> str | None: ...
    def named(self, text: str) -> str | None: ...


class _Bad(Exception):
    def __init__(self, reason: Reason, column: str, known: tuple[str, ...] = ()) -> None:
        self.reason, self.column, self.known = reason, column, known


def row_key(cells: Mapping[str, str]) -> str:
    """Under which name a row's person is known: the key column, else the canonical main address; empty if neither."""
    if "key" in cells:
        key = normalized("NFKC", cells["key"]).strip()
        return key if are_shown(key) and len(key) <= MAX_IDENTIFIER else ""
    try:
        return _mail(cells.get("email", ""), "email")[1]
    except _Bad:
        return ""


def read_row(record: Record, cells: Mapping[str, str], systems: KnownSystems) -> Row | BadRow:
    """Checks one record."""
    try:
        if record.fault:
            raise _Bad(cast(Reason, record.fault), "")
        for mark, reason in _MARKS.items():
            if mark in cells:
                raise _Bad(reason, cells[mark])
        return _row(record, cells, systems)
    except _Bad as bad:
        off = cells.get("=state") in OFF
        return BadRow(record.line, bad.reason, bad.column, 0, record.cells, bad.known, off)


_MARKS: Mapping[str, Reason] = {"=byte": "bytes", "=quote": "quotes", "=conflict": "conflict"}


def _row(record: Record, cells: Mapping[str, str], systems: KnownSystems) -> Row:
    if "key" in cells and not row_key(cells):
        raise _Bad("not_text" if cells["key"] else "missing", "key")
    name = _text(cells, "name", MAX_NAME)
    mail, mail_canonical = _mail(_filled(cells, "email"), "email")
    backups = {}
    for one in cells.get("backup", "").translate(dict.fromkeys(map(ord, ";；、，,"), " ")).split():
        address, folded = _mail(one, "backup_email")
        backups[folded] = address
    username = _filled(cells, "username") if "username" in cells else mail
    username_canonical = _canonical(username, "username")
    named = systems.named(_filled(cells, "system")) if "system" in cells else systems.default_system
    if named is None:
        raise _Bad("unknown", "system", systems.known)
    external_id = _text(cells, "external_id", MAX_IDENTIFIER, needed=False)
    if not external_id and named in systems.ids:
        raise _Bad("no_system_id", "external_id")
    state = cells.get("=state", "")
    if state == "no_date":
        raise _Bad("no_date", cells["=word"])
    if state == "unknown":
        raise _Bad("unknown", "state", KNOWN_STATES)
    said = _tier(cells)
    in_groups = tuple(LISTED.split(cells["group"])) if cells.get("group") else ()
    groups = frozenset(g for g in map(group_name, in_groups) if g in systems.groups)
    language = cells.get("locale", "")
    locale = csv_words.locale_of(language) if language else None
    says = {"state"} if state else set()
    says |= {"tier"} if said else set()
    says |= {"locale"} if locale else set()
    return Row(
        line=record.line,
        name=name,
        mail=mail,
        mail_canonical=mail_canonical,
        backups=backups,
        account=ImportedAccount(
            system=named,
            external_id=external_id or username_canonical,
            username=username,
            state=_ACCOUNT.get(state, "active"),
            privileged=said == "privileged",
            provider=_provider(cells),
            numbered=bool(external_id),
            says=frozenset(says | ({"username"} & cells.keys())),
        ),
        username_canonical=username_canonical,
        locale=locale or systems.default_locale,
        tier=max((said or "standard", *(systems.groups[g] for g in groups)), key=ORDER.index),
        left=state == "left",
        record=record.cells,
        groups=groups,
        language="" if locale else language,
        says=frozenset(says),
        off=cells.get("=word", "") if state not in ("", "active") else "",
        phones=_phones(cells, systems.phone_country),
        named=in_groups,
    )


# Who was not there yet cannot sign in; the next file says when they can.
_ACCOUNT: Mapping[str, AccountState] = {
    "pending": "disabled",
    "disabled": "disabled",
    "left": "disabled",
    "locked": "locked",
}


def _tier(cells: Mapping[str, str]) -> Tier | None:
    """None where the row does not say it."""
    found: list[Tier] = []
    if text := cells.get("tier", ""):
        tier = csv_words.TIERS.get(csv_words.plain(text))
        if tier is None:
            raise _Bad("unknown", "tier", KNOWN_TIERS)
        found.append(tier)
    for text in filter(None, map(str.strip, LISTED.split(cells.get("admin", "")))):
        yes = csv_words.yes_or_no(text)
        tier = csv_words.TIERS.get(csv_words.plain(text)) or role_of(text)
        if yes is None and tier is None:
            raise _Bad("unknown", "admin", KNOWN_ADMINS)
        found.append(cast(Tier, tier) if yes is None else "privileged" if yes else "standard")
    if (text := cells.get("role", "")) and (role := role_of(text)):
        found.append(role)
    return max(found, key=ORDER.index, default=None)


def _phones(cells: Mapping[str, str], country: str | None) -> tuple[str, ...] | None:
    if country is None or "phone" not in cells:
        return None
    return phone_numbers(NUMBERS.split(cells["phone"]), country)


def _provider(cells: Mapping[str, str]) -> str:
    """Who holds the password; empty for nobody else."""
    text = _text(cells, "provider", 80, needed=False)
    named = csv_words.provider_of(text) if text else ""
    if named or "sso" not in cells:
        return named
    said = [csv_words.sso_of(part.strip()) for part in LISTED.split(_text(cells, "sso", 400, needed=False))]
    if None in said:
        raise _Bad("unknown", "sso", ("yes", "no", "SSO", "SAML", "password", "是", "否", "单点登录", "密码"))
    return next(filter(None, said), "")


def _filled(cells: Mapping[str, str], column: str) -> str:
    text = cells.get(column, "")
    if not text:
        raise _Bad("missing", column)
    return text


def _text(cells: Mapping[str, str], column: str, most: int, *, needed: bool = True) -> str:
    """Text on one line, without marks that nobody sees."""
    try:
        return one_line(_filled(cells, column) if needed else cells.get(column, ""), most)
    except BadField as e:
        raise _Bad(e.why, column) from None


def _canonical(text: str, column: str) -> str:
    try:
        return canonical(text)
    except BadField as e:
        raise _Bad(e.why, column) from None


def _mail(text: str, column: str) -> tuple[str, str]:
    try:
        return mail_address(text)
    except BadField as e:
        raise _Bad(e.why, column) from None
