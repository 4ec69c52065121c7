"""What use cases ask of storage about what people enrolled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from keyback.domain.people.factor import Device, Factor, FactorState, SavedCode
from keyback.domain.people.person import Contact, ContactState, Person


@dataclass(frozen=True, slots=True)
class Everything:
    """A person with all that is enrolled: confirmed contacts, active factors (without what proves them), one saved code
    of each set that has good ones (without its hash). `privileged`: one of their accounts is. `removed`: factors that
    were taken away lately (`domain.people.factor.REMOVAL_GRACE`)."""

    person: Person
    contacts: tuple[Contact, ...] = ()
    factors: tuple[Factor, ...] = ()
    codes: tuple[SavedCode, ...] = ()
    privileged: bool = False
    removed: tuple[Factor, ...] = ()


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as it stands in the audit log. `seq` is its place in the chain."""

    seq: int
    at: int
    type: str
    data: Mapping[str, Any]
    stream: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A wrong password for one name from one far end, however often it was repeated.

    Args:
        name: the counters' name of an account, or of a name that nobody has.
        network: digest of the network, or of the browser where it is one of the owner's.
        tried: tells whether the same was tried again, and no more; random while a try is being looked at.
        count: how often; 0 while it is being looked at.
        previous: whether it is the password before the current one; None when nobody looked.
    """

    name: str
    network: str
    tried: bytes = field(repr=False)
    source: str
    device: str
    count: int
    first_at: int
    last_at: int
    previous: bool | None = None


class AllPeople(Protocol):
    def page(self, after: str, limit: int) -> Sequence[Everything]:
        """The next active people behind this id, in the order of ids."""
        ...


class Contacts(Protocol):
    def many(self, ids: Sequence[str]) -> Mapping[str, Contact]: ...
    def of_people(
        self, person_ids: Sequence[str], *, states: Sequence[ContactState] = ("confirmed",)
    ) -> Mapping[str, Sequence[Contact]]: ...
    def of_person(self, person_id: str, *, states: Sequence[ContactState] = ("confirmed",)) -> Sequence[Contact]: ...
    def add(self, contact: Contact) -> bool: ...
    def confirm(self, contact_id: str, usable_from: int) -> bool: ...
    def renew(self, contact_id: str) -> bool: ...
    def vouched_by(self, address: str, person_id: str) -> int: ...
    def colleagues(self, over: int, limit: int) -> Sequence[tuple[str, int]]: ...
    def take_up(self, step: int, before: int, limit: int) -> Sequence[Contact]: ...
    def make_primary(self, contact_id: str) -> None: ...
    def remove(self, contact_id: str) -> bool: ...
    def refuse(self, contact_id: str) -> Contact | None: ...
    def due_places(self, limit: int) -> Sequence[str]: ...
    def take_places(self, person_ids: Sequence[str]) -> Sequence[tuple[Contact, Contact | None]]: ...


class Factors(Protocol):
    def add(self, factor: Factor) -> None: ...
    def get(self, factor_id: str) -> Factor | None: ...
    def by_lookup(self, digest: bytes) -> Factor | None: ...
    def of_person(self, person_id: str, *, states: Sequence[FactorState] = ("active",)) -> Sequence[Factor]: ...
    def of_people(
        self, person_ids: Sequence[str], *, states: Sequence[FactorState] = ("active",)
    ) -> Mapping[str, Sequence[Factor]]: ...
    def turn(self, factor_id: str, before: FactorState, after: FactorState) -> bool: ...
    def advance(self, factor_id: str, counter: int) -> bool:
        """True when the counter was lower before: a step or count is taken once."""
        ...

    def touch(self, factor_id: str) -> bool: ...
    def put_codes(self, codes: Sequence[SavedCode]) -> None: ...
    def codes(self, factor_ids: Sequence[str]) -> Sequence[SavedCode]: ...
    def use_code(self, code_id: str) -> bool: ...


class Devices(Protocol):
    def remember(self, device: Device, before: bytes = b"") -> None: ...
    def of_person(self, person_id: str) -> Sequence[Device]: ...
    def owners(self, digest: bytes) -> frozenset[str]:
        """Whoever signed in with this browser, and trusts it still."""
        ...

    def pairs(self, digests: Sequence[bytes]) -> frozenset[tuple[bytes, str]]:
        """Each of these browsers with everybody who signed in with it and trusts it still."""
        ...

    def forget(self, person_id: str, digest: bytes | None = None) -> int: ...


class Failures(Protocol):
    def of(self, name: str, network: str) -> Sequence[Failure]: ...
    def of_names(self, names: Sequence[str]) -> Sequence[Failure]: ...
    def names(self, kind: str, since: int) -> int: ...
    def touched(self, kind: str, since: int, after: str, limit: int) -> Sequence[str]:
        """Names of this kind for which something was tried in vain since then, in their order, behind `after`; not
        those that nobody has."""
        ...

    def begin(self, failure: Failure) -> None: ...
    def settle(self, name: str, network: str, mark: bytes, tried: bytes, previous: bool | None = None) -> bool: ...
    def forget(self, name: str, network: str, mark: bytes, tried: bytes) -> None: ...
