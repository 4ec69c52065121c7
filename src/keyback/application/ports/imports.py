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
