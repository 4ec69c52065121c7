"""The address book and the employees of 纷享销客 as its answers have them, and how their spellings are compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keyback.outbound.http import MaybeDone

# What we call what the address book has.
MEMBER = {"id": "openUserId", "account": "account", "mail": "email", "phone": "mobile"}
Row = Mapping[str, Any]


def rows(answer: object, name: str) -> list[Row]:
    """A list of rows out of an answer. Raises `MaybeDone` when there is none."""
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(r, dict) for r in found):
        raise MaybeDone("unavailable", "unexpected answer")
    return found


def text(row: Row, name: str) -> str:
    """What a row says there, without white space around it; empty when it is no text."""
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""


def key(text: str) -> str:
    """What two spellings of one account, address or number have in common."""
    return next(iter(sorted(phones(text), key=len)), text.strip().casefold())


def pair(row: Row) -> tuple[str, str]:
    """By what an employee and a member of the address book are known to be the same."""
    return key(row["mail"]), key(row["phone"])


def by_pair(members: Mapping[str, Row]) -> dict[tuple[str, str], str]:
    """Accounts by mail address and mobile number; those that share both are left out."""
    out: dict[tuple[str, str], str] = {}
    for m in members.values():
        out[pair(m)] = "" if pair(m) in out else m["account"]
    return out


def phones(text: str) -> set[str]:
    """How a mobile number may be written there; empty for what is none. Those of mainland China go without +86."""
    digits = re.sub(r"[ ()./-]", "", text.strip())
    if not re.fullmatch(r"\+?[0-9]{6,17}", digits):
        return set()
    home = re.fullmatch(r"(?:\+86|0086|86)?(1[0-9]{10})", digits)
    return {home[1], f"+86{home[1]}", f"+86-{home[1]}"} if home else {digits, text.strip()}
