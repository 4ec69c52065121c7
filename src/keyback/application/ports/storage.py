"""What use cases ask of storage: one transaction with its stores. `storage` implements it, tests hold it to a contract.

A transaction is a plain function `fn(tx)`; it cannot wait for a network (ADR 2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from keyback.application.ports.audit_search import AuditSearch
from keyback.application.ports.challenges import Challenges
from keyback.application.ports.desk_stores import DeskStores
from keyback.application.ports.enrolment_storage import AllPeople, Contacts, Devices, Factors, Failures, Happened
from keyback.application.ports.imports import Claim, KnownPerson
from keyback.application.ports.imports import Imported as Imported
from keyback.application.ports.imports import ImportedAccount as ImportedAccount
from keyback.application.ports.imports import ImportOutcome as ImportOutcome
from keyback.application.ports.imports import ImportResult as ImportResult
from keyback.application.ports.outages import StorageDown as StorageDown
from keyback.application.ports.outages import StorageFull as StorageFull
from keyback.application.ports.outages import StorageUnsure as StorageUnsure
from keyback.application.ports.outbox_search import OutboxSearch
from keyback.application.ports.password_ages import PasswordAges
from keyback.application.ports.syncs import Syncs
from keyback.application.ports.watch import Due as Due
from keyback.application.ports.watch import Watch as Watch
from keyback.domain.people.person import Account, Contact, Manager, Person
from keyback.domain.policy.rules import Journey
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import CaseEvent, Note

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Intake:
    """A request as it was written down. `identifier` is canonical; it is sealed in the database.

    Args:
        subject: keyed digest of the identifier, the name under which ghosts are counted.
        agent: the browser's own words, cut; only reduced forms are ever shown.
        state: `new` waits for the worker, `done` was looked up (found or not), `stopped` by its requester.
        tries: wrong codes typed here; the page shows what is left of them.
        fetched_for: the person whose mailbox's reader asked for the mail that is due, beside the quota.
        device: digest of the cookie by which the browser says it is known; whether it is shows a look-up.
        turn: when it is its turn (ms): later than `asked_at` where its network asks for a lot
        (`application.throttling.fairness`).
    """

    handle: str
    identifier: str
    subject: bytes
    journey: Journey
    system: str
    locale: str
    source: str
    agent: str
    asked_at: int
    expires_at: int
    state: Literal["new", "done", "stopped"] = "new"
    tries: int = 0
    sends: int = 1
    case_id: str | None = None
    fetched_for: str | None = None
    device: bytes | None = None
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """A person found for an identifier, with everything that the worker needs to answer."""

    canonical: str
    person: Person
    contacts: tuple[Contact, ...]
    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """What was counted: since the last reset, in the last hour and in the last day, never too few (D15).

    Args:
        day_even: the likely number of the last day if they came evenly; for what flows all day, and is no guess.
        hour_even: the same of the hour.
        hour_ends: when those of the hour, but for the last, are an hour old; 0 where there are none.
    """

    total: int
    hour: int
    day: int
    day_even: int = 0
    hour_ends: int = 0
    hour_even: int = 0


JobKind = Literal["mail", "apply", "remind", "logins", "stop", "bulk", "unlock"]


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the outbox. `fence` is the lease's number; only its holder may finish it."""

    id: str
    kind: JobKind
    body: Mapping[str, Any]
    created_at: int
    expires_at: int
    sealed: bytes | None = None
    due_at: int = 0
    attempts: int = 0
    fence: int = 0
    turn: int = 0  # ms; what is due is taken in this order; 0: when it is due


# Why a session is good for nothing but choosing a new password: its age, or a public leak. Empty: it is a full one.
MustChange = Literal["", "due", "breached"]


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in session. `proven`: the second step that was taken in it, `proven_at` when (ms), for step-up."""

    digest: bytes
    person_id: str
    account_id: str
    created_at: int
    seen_at: int
    expires_at: int
    source: str
    device: str
    must_change: MustChange = ""
    proven: str = ""
    proven_at: int = 0


@dataclass(frozen=True, slots=True)
class Credential:
    """When the password of a built-in account was set (ms), and how many reminders of its age were taken up."""

    account_id: str
    changed_at: int
    reminded: int


class People(Protocol):
    def match(self, canonicals: Sequence[str]) -> Mapping[str, Sequence[Match]]: ...
    def person(self, person_id: str) -> Person | None: ...
    def lock(self, person_id: str) -> Person | None: ...
    def people(self, person_ids: Sequence[str]) -> Mapping[str, Person]: ...
    def contacts(self, person_ids: Sequence[str]) -> Mapping[str, Sequence[Contact]]: ...
    def accounts(self, person_ids: Sequence[str]) -> Mapping[str, Sequence[Account]]: ...
    def manager_of(self, person_id: str) -> Manager | None:
        """As the systems say that people are synced from; None where they name nobody active, or different people."""

    def bump_security(self, person_id: str) -> None: ...
    def save_imported(self, people: Sequence[Imported]) -> Sequence[ImportResult]:
        """For seeds: all counts at once, and nobody is told."""

    def import_batch(
        self, people: Sequence[Imported], *, at_once: bool = False, adopt: bool = True, generation: int = 0
    ) -> ImportOutcome:
        """Writes people by their keys, one result for each; a second time everything is `same`. User names may move
        among them: what counts is the state afterwards. `generation`: of the sync that meets new accounts."""

    def main_address_owners(self, canonicals: Collection[str]) -> Mapping[str, Sequence[KnownPerson]]:
        """Whose main address each of these is, or is to become; those that nobody has are left out."""
        ...

    def login_owners(self, claims: Collection[Claim]) -> Mapping[Claim, KnownPerson]:
        """Whose these user names and external ids are; those that nobody has are left out."""
        ...

    def switch_off(self, keys: Sequence[str]) -> int:
        """People of these keys who may sign in may not any more, and their pending links end; how many they were."""
        ...

    def set_account_state(self, account_id: str, state: str) -> None: ...
    def credential_of(self, system: str, external_id: str) -> str | None:
        """The same of an account by its id in its system."""
        ...

    def credential(self, account_id: str) -> str | None: ...
    def sign_in_rows(self, system: str, canonical: str) -> tuple[Account, Person, str | None] | None: ...
    def account_by_username(self, system: str, canonical: str) -> tuple[Account, Person] | None: ...
    def set_credential(self, account_id: str, phc: str, job_id: str, *, keep: int = 0) -> bool:
        """Stores a hash and remembers the newest `keep` of those it replaces, forgetting all others. False when this
        job has stored one already: a repeated job changes nothing."""
        ...

    def hashes(self, account_ids: Sequence[str], history: int) -> Sequence[str]:
        """The current hash of each account and up to `history` before it; accounts without one add nothing."""
        ...

    def changed_at(self, account_id: str) -> int | None: ...
    def replaced(self, account_id: str) -> str | None:
        """The hash before the current one, kept for a month after the change."""
        ...

    def expiring(self, step: int, changed_before: int, limit: int) -> Sequence[Credential]:
        """Passwords set at or before an instant that fewer than `step` reminders were taken up for, oldest first."""
        ...

    def mark_reminded(self, found: Mapping[str, int], step: int) -> set[str]:
        """Takes up a step for accounts whose count is still the one given; each is won by exactly one caller."""
        ...

    def rehash(self, account_id: str, before: str, phc: str) -> None: ...
    def account_by_external_id(self, system: str, external_id: str) -> Account | None: ...
    def account(self, account_id: str) -> Account | None: ...
    def find_accounts(self, system: str, canonical: str) -> Sequence[Account]: ...


class Intakes(Protocol):
    def add(self, intakes: Sequence[Intake]) -> None:
        """Writes new ones down; a handle that is there already is left as it is (idempotency keys)."""
        ...

    def get(self, handle: str, *, lock: bool = False) -> Intake | None: ...
    def claim(self, limit: int) -> Sequence[Intake]: ...
    def count_try(self, handle: str, limit: int) -> int | None:
        """Counts one wrong-or-right try before it is looked at; None when there is none left or it is over."""
        ...

    def give_try_back(self, handle: str) -> None: ...
    def ask_again(self, handle: str, asked_before: int) -> bool: ...
    def fetch(self, handle: str, person_id: str) -> bool:
        """Queues it again for a person who showed that the mailbox is theirs; False when it is proven or over."""

    def stop(self, handle: str) -> bool: ...
    def bind(self, handle: str, case_id: str) -> None: ...
    def waiting(self) -> int: ...
    def oldest(self) -> int | None: ...


class Cases(Protocol):
    def get(self, case_id: str) -> Case | None: ...
    def open_of(self, person_ids: Sequence[str]) -> Mapping[str, Case]: ...
    def act(self, case: Case, events: Sequence[CaseEvent]) -> Case:
        """Folds the events, stores the case and records them. Raises Refusal `conflict` if it was changed meanwhile."""
        ...

    def act_many(
        self, acts: Sequence[tuple[Case, Sequence[CaseEvent]]], folded: Sequence[Case] | None = None
    ) -> Sequence[Case]: ...
    def listed(self, *, state: str | None, limit: int, people: Sequence[str] | None = None) -> Sequence[Case]:
        """The newest first; of these people only where some are named."""

    def overdue(self, limit: int) -> Sequence[Case]: ...
    def holding(self, limit: int) -> Sequence[Case]:
        """Open cases of which some page waits for the end of its hold."""
        ...

    def last_recovery(self, person_id: str) -> int | None: ...


class Counters(Protocol):
    def add(self, keys: Sequence[str]) -> Mapping[str, Count]:
        """Counts one for each key in one statement each and gives the new counts."""
        ...

    def take_back(self, keys: Sequence[str], times: int = 1) -> None:
        """Undoes so many `add` for each key, for what was counted beforehand and then did not happen."""
        ...

    def reset(self, *keys: str) -> None:
        """Sets the consecutive totals to zero; hours and days stay."""
        ...

    def get(self, key: str) -> Count: ...
    def many(self, keys: Sequence[str]) -> Mapping[str, Count]: ...  # without those that never were


class Outbox(OutboxSearch, Protocol):
    def put(self, jobs: Sequence[Job]) -> None: ...
    def claim(self, kind: str, limit: int, lease_ms: int) -> Sequence[Job]: ...
    def done(self, jobs: Sequence[Job]) -> int: ...
    def retry(self, job: Job, due_at: int, code: str) -> bool: ...
    def give_up(self, job: Job, code: str) -> bool: ...
    def renew(self, jobs: Sequence[Job], lease_ms: int) -> bool: ...
    def holds(self, job: Job) -> bool: ...
    def depth(self) -> Mapping[str, int]: ...


class Sessions(Protocol):
    def add(self, session: Session) -> None: ...
    def get(self, digest: bytes) -> Session | None: ...
    def touch(self, digest: bytes) -> None: ...
    def prove(self, digest: bytes, proven: str) -> None: ...
    def end(self, digest: bytes) -> Session | None: ...
    def end_all(self, person_id: str) -> int: ...
    def people(self) -> int: ...
    def next_people(self, after: str, limit: int) -> Sequence[str]: ...
    def of_person(self, person_id: str) -> Sequence[Session]: ...


class Audit(AuditSearch, Protocol):
    def record(self, stream: str, events: Iterable[CaseEvent | Note]) -> None:
        """Adds to the hash chain when the transaction commits, or not at all."""
        ...

    def of_person(self, person_id: str, before: int, limit: int) -> Sequence[Happened]:
        """What happened to a person, in their own stream and in their cases; the newest first, older than `before`."""
        ...


class Seals(Protocol):
    """The keyring, as use cases see it."""

    @property
    def primary(self) -> str: ...
    @property
    def ids(self) -> tuple[str, ...]: ...
    @property
    def chain(self) -> str:
        """The key that the audit log is chained with, also after it was retired from all else."""
        ...

    def derive(self, purpose: str, kid: str | None = None) -> bytes: ...
    def seal(self, plain: bytes, purpose: str, bound_to: str) -> bytes: ...
    def open(self, sealed: bytes, purpose: str, bound_to: str) -> bytes: ...


class Tx(DeskStores, Due, Protocol):
    """One transaction. `now` is the database's clock in ms, the same for the whole transaction."""

    @property
    def now(self) -> int: ...
    @property
    def people(self) -> People: ...
    @property
    def intakes(self) -> Intakes: ...
    @property
    def cases(self) -> Cases: ...
    @property
    def challenges(self) -> Challenges: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def all_people(self) -> AllPeople: ...
    @property
    def contacts(self) -> Contacts: ...
    @property
    def factors(self) -> Factors: ...
    @property
    def devices(self) -> Devices: ...
    @property
    def failures(self) -> Failures: ...
    @property
    def password_ages(self) -> PasswordAges: ...
    @property
    def syncs(self) -> Syncs: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def seals(self) -> Seals: ...

    def new_id(self) -> str: ...
    def random(self, n: int) -> bytes: ...
    def purge(
        self,
        *,
        intakes_before: int,
        challenges_before: int,
        dead_before: int,
        counters_before: int,
        failures_before: int = 0,
        replaced_before: int = 0,
        seen_before: int = 0,
        tasks_before: int = 0,
        requests_before: int = 0,
        answers_before: int = 0,
    ) -> int: ...


class Database(Protocol):
    """Durable transactions: written ones one after another, read ones on a snapshot."""

    async def write(self, fn: Callable[[Tx], T]) -> T: ...
    async def read(self, fn: Callable[[Tx], T]) -> T: ...
    async def write_down(self, intake: Intake) -> None:
        """Makes one intake durable; concurrent ones share a commit."""

    def waker(self, *topics: str) -> asyncio.Event:
        """An event that is set after commits that leave work of these kinds for a worker; without any, of all."""

    def watching(self, case_id: str) -> AbstractContextManager[Watch]:
        """For whoever waits until every system has answered for a case."""

    async def close(self) -> None: ...
