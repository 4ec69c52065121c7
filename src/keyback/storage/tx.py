"""One transaction, with its stores."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar, get_args

from sqlalchemy import Column, Connection, String, bindparam, exists, literal, select, text, union_all, update

from keyback.application.ports.storage import JobKind
from keyback.application.throttling.fairness import Turns
from keyback.storage.keys.keyring import Keyring
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement
from keyback.storage.sql.schema import (
    challenges,
    contacts,
    counters,
    credentials,
    devices,
    factors,
    failures,
    intakes,
    outbox,
    sessions,
    wants,
)
from keyback.storage.sql.schema_before import old_challenges
from keyback.storage.sql.schema_tasks import tasks
from keyback.storage.stores.actions import ActionStore
from keyback.storage.stores.api_keys import ApiKeyStore
from keyback.storage.stores.audit import AuditStore
from keyback.storage.stores.calls import CallStore
from keyback.storage.stores.campaigns import CampaignStore
from keyback.storage.stores.cases import CaseStore
from keyback.storage.stores.challenges import ChallengeStore
from keyback.storage.stores.contacts import ContactStore
from keyback.storage.stores.counters import CounterStore
from keyback.storage.stores.desk import DeskStore
from keyback.storage.stores.documents import DocumentStore
from keyback.storage.stores.enrolments import AllPeopleStore
from keyback.storage.stores.factors import DeviceStore, FactorStore
from keyback.storage.stores.groups import GroupStore
from keyback.storage.stores.help_requests import HelpRequestStore
from keyback.storage.stores.identity import IdentityStore
from keyback.storage.stores.intakes import IntakeStore
from keyback.storage.stores.operators import OperatorStore
from keyback.storage.stores.outbox import OutboxStore
from keyback.storage.stores.password_ages import PasswordAgeStore
from keyback.storage.stores.people import PeopleStore
from keyback.storage.stores.photos import PhotoStore
from keyback.storage.stores.reports import ReportStore
from keyback.storage.stores.sessions import SessionStore
from keyback.storage.stores.siem import SiemPositions
from keyback.storage.stores.syncs import SyncStore
from keyback.storage.stores.system_states import SystemStateStore
from keyback.storage.stores.tasks import TaskStore
from keyback.storage.stores.webhooks import WebhookStore
from keyback.storage.stores.wrong_passwords import FailureStore
from keyback.storage.wakes import INTAKES, WANTS

S = TypeVar("S")
IS_DUE = (outbox.c.due_at <= bindparam("now"), text("outbox.state = 'ready'"))
DUE = Statement(
    union_all(
        *(
            select(literal(topic, String).label("topic")).where(exists().select_from(table).where(*some))
            for topic, table, some in (
                (INTAKES, intakes, (text("intakes.state = 'new'"),)),
                (WANTS, wants, (text("wants.state = 'new'"),)),
                *((kind, outbox, (outbox.c.kind == kind, *IS_DUE)) for kind in get_args(JobKind)),
            )
        )
    )
)


class _Store(Generic[S]):
    """A store of a transaction, made when it is first asked for: most transactions use four of thirty."""

    def __init__(self, make: Callable[[SqlTx], S]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tx: SqlTx, owner: type) -> S:
        made = tx.__dict__[self._name] = self._make(tx)  # found there from now on
        return made


class SqlTx(TxContext):
    """What a transaction function gets (the `Tx` protocol of `application.ports.storage`)."""

    audit = _Store(AuditStore)
    people = _Store(PeopleStore)
    intakes = _Store(IntakeStore)
    cases = _Store(lambda tx: CaseStore(tx, tx.audit))
    challenges = _Store(ChallengeStore)
    counters = _Store(CounterStore)
    outbox = _Store(OutboxStore)
    sessions = _Store(SessionStore)
    all_people = _Store(AllPeopleStore)
    contacts = _Store(ContactStore)
    factors = _Store(FactorStore)
    devices = _Store(DeviceStore)
    failures = _Store(FailureStore)
    tasks = _Store(TaskStore)
    password_ages = _Store(PasswordAgeStore)
    syncs = _Store(SyncStore)
    groups = _Store(GroupStore)
    operators = _Store(OperatorStore)
    desk = _Store(DeskStore)
    calls = _Store(CallStore)
    help_requests = _Store(HelpRequestStore)
    api_keys = _Store(ApiKeyStore)
    campaigns = _Store(CampaignStore)
    actions = _Store(ActionStore)
    documents = _Store(DocumentStore)
    photos = _Store(PhotoStore)
    identity = _Store(IdentityStore)
    reports = _Store(ReportStore)
    webhooks = _Store(WebhookStore)
    siem = _Store(SiemPositions)
    system_states = _Store(SystemStateStore)

    def __init__(
        self,
        conn: Connection,
        now: int,
        seals: Keyring,
        *,
        writes: bool = True,
        turns: Turns | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__(conn, now, seals, writes=writes, turns=turns, shared=shared)
        self._kept_wakes: frozenset[str] = frozenset()

    def due(self) -> frozenset[str]:
        return frozenset(r.topic for r in DUE.all(self.conn, {"now": self.now}))

    def random(self, n: int) -> bytes:
        return os.urandom(n)

    def keep(self) -> None:
        """The function that ran last is part of the commit."""
        self._kept_wakes = frozenset(self.wakes)
        self.audit.keep()

    def forget(self) -> None:
        """The function that ran last was undone; so is what it wanted recorded."""
        self.wakes = set(self._kept_wakes)
        self.audit.forget()

    def flush(self) -> None:
        """Writes what is due at the end of the commit."""
        self.audit.flush()

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
    ) -> int:
        """Deletes old rows, a bounded number of each table."""
        # Consecutive totals of people stay; those of ghosts, networks, and pairs of account and network go.
        ghosts = counters.c.key.like("%/g/%") | counters.c.key.like("pw/%/%") | (counters.c.total == 0)
        for begins in ("h/", "mail/", "sms/", "ask/"):  # of which only the hour or the day counts
            ghosts |= counters.c.key.like(f"{begins}%")
        # What its owner refused or gave up stays, so that the next import does not bring it back.
        gone_long = (contacts.c.state == "removed") & ((contacts.c.origin != "import") | (contacts.c.ended_by != ""))
        rules = (
            (intakes, intakes.c.handle, intakes.c.expires_at < intakes_before),
            (old_challenges, old_challenges.c.id, old_challenges.c.created_at < challenges_before),
            (outbox, outbox.c.id, (outbox.c.state == "dead") & (outbox.c.created_at < dead_before)),
            (sessions, sessions.c.digest, sessions.c.expires_at < self.now),
            (wants, wants.c.handle, wants.c.expires_at < intakes_before),
            (challenges, challenges.c.id, challenges.c.expires_at < challenges_before),
            (contacts, contacts.c.id, gone_long & (contacts.c.ended_at < challenges_before)),
            (contacts, contacts.c.id, (contacts.c.state == "pending") & (contacts.c.added_at < challenges_before)),
            (factors, factors.c.id, (factors.c.state == "pending") & (factors.c.added_at < challenges_before)),
            (counters, counters.c.key, (counters.c.day_from < counters_before) & ghosts),
            (counters, counters.c.key, (counters.c.day_from < seen_before) & counters.c.key.like("seen/%")),
            (tasks, tasks.c.id, tasks.c.opened_at < tasks_before),
        )
        gone = 0
        for table, key, old in rules:
            some = [r[0] for r in self.conn.execute(select(key).where(old).limit(1000))]
            if some:
                gone += self.conn.execute(table.delete().where(key.in_(some))).rowcount
        gone += self.operators.purge(challenges_before)
        gone += self.calls.purge(challenges_before)
        gone += self.documents.purge(tasks_before)
        gone += self.identity.purge(tasks_before)
        gone += self.help_requests.purge(unconfirmed_before=intakes_before, before=requests_before)
        gone += self.api_keys.purge(answers_before)
        gone += self.campaigns.purge(tasks_before)
        gone += self.webhooks.purge(dead_before)
        gone += self._purge_older(devices.c.expires_at, self.now)
        gone += self._purge_older(failures.c.last_at, failures_before)
        old = credentials.c.replaced.is_not(None) & (credentials.c.changed_at < replaced_before)
        self.conn.execute(update(credentials).where(old).values(replaced=None))
        return gone

    def _purge_older(self, at: Column[int], before: int) -> int:
        """Deletes rows of a table whose key has several columns: about a thousand of the oldest."""
        some = select(at).where(at < before).order_by(at).offset(999).limit(1)
        last = self.conn.execute(some).scalar()
        return self.conn.execute(at.table.delete().where(at < before if last is None else at <= last)).rowcount
