"""People as an import or a seed brings them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from keyback.domain.people.addresses import AddressChange


@dataclass(frozen=True, slots=True)
class Imported:
    """A person as an import or a seed brings them.

    Args:
        phones: numbers as `domain.people.phone.e164` writes them; None leaves those that are there alone.
        groups: that a file says they are in, tidied (`domain.people.groups`); None leaves what it said before alone.
    """

    key: str
    name: str
    locale: str
    tier: Literal["standard", "mfa", "privileged"]
    state: Literal["active", "disabled"]
    mails: tuple[str, ...]
    accounts: tuple[ImportedAccount, ...] = field(default=())
    phones: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ImportedAccount:
    """A login of a person.

    Args:
        external_id: the system's own number; where it gives none, the canonical user name.
        numbered: whether the system gave it. Without, the account keeps the number it has, also under another name.
        says: which of `state`, `tier` and `username` the file says of this account; the rest stays as it is.
    """

    system: str
    external_id: str
    username: str
    state: Literal["active", "disabled", "locked"] = "active"
    privileged: bool = False
    provider: str = ""
    numbered: bool = True
    says: frozenset[str] = frozenset({"state", "tier", "username"})


Claim = tuple[str, str, str]  # what may have one owner only: (`username` or `external_id`, system, value)


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """Somebody who is there already, as an import needs to know them."""

    key: str
    name: str
    state: str

    @property
    def has_key(self) -> bool:
        """Whether a file gave them a key. Without one, people are known by their address."""
        return "@" not in self.key


ImportResult = Literal["added", "changed", "same", "username_taken"]


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What a batch came to.

    Args:
        results: one for each person.
        changes: of the addresses and numbers of people who were there already.
        owners: of people who were left out (`username_taken`), the keys of those who have what they want.
    """

    results: Sequence[ImportResult]
    changes: Sequence[AddressChange]
    owners: Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class ImportedPart(Imported):
    """A person as a file or a system brings them that does not speak for everything. Of people who are there already,
    an empty name and no addresses at all leave both as they are.

    Args:
        systems: systems that the file speaks for; accounts elsewhere are left alone.
        given: what the file has columns for, of `locale`, `tier`, `privileged`, `state`, `backup`, `provider`; the rest
            is left as it is for people who are there already.
    """

    systems: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
