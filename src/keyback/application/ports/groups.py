"""What use cases ask of storage about the groups that people are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from keyback.domain.people.person import Person


class Groups(Protocol):
    """As a file says, and each account whose system tells. Names come tidied (`domain.people.groups`); `canonical` is
    one as `group_name` writes it. Accounts that are switched off say nothing."""

    def put_of_accounts(self, system: str, said: Mapping[str, Sequence[str]]) -> int:
        """What a system says of these accounts, by their external ids; of how many that is something new."""
        ...

    def of_people(self, person_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Their names in order; people in none are left out."""
        ...

    def named(self, after: str = "", limit: int = 100) -> Sequence[str]:
        """Names of groups, in order, behind the canonical form of one. Costs by how many are asked for."""
        ...

    def known(self, canonical: str) -> str:
        """Its name, if somebody is in it; else empty."""
        ...

    def members(self, canonical: str, after: str = "", limit: int = 50) -> Sequence[Person]:
        """Who is in it, by their ids, behind `after`."""
        ...
