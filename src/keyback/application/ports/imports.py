"""People as an import or a seed brings them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Imported:
    """A person as an import or a seed brings them."""

    key: str
    name: str
    locale: str
    tier: Literal["standard", "mfa", "privileged"]
    state: Literal["active", "disabled"]
    mails: tuple[str, ...]
    accounts: tuple[ImportedAccount, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class ImportedAccount:
    system: str
    external_id: str
    username: str
    state: Literal["active", "disabled", "locked"] = "active"
    privileged: bool = False
    provider: str = ""


ImportResult = Literal["added", "changed", "same", "username_taken"]


@dataclass(frozen=True, slots=True)
class ImportedPart(Imported):
    """A person as a file brings them that does not speak for everything.

    Args:
        systems: systems that the file speaks for; accounts elsewhere are left alone.
        given: what the file has columns for, of `locale`, `tier`, `privileged`, `state`, `backup`, `provider`; the rest
            is left as it is for people who are there already.
    """

    systems: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
