"""What an operator sees of a person: their accounts, methods, recoveries, and what keeps them out.

A person is found by exactly what is typed, never by a part of it. Addresses and user names are masked for whoever has
not passed a caller check; every look is in the audit log, which the person reads too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from keyback.application.desk import unlocking
from keyback.application.desk.cases import gate_until, obstacle
from keyback.application.desk.notices import STREAM
from keyback.application.desk.sessions import Actor
from keyback.application.enrolment.tier import tier_of
from keyback.application.notifications.account_changes import masked
from keyback.application.policy.coverage import Offer, Way, evidence_of, tier_under, way_back
from keyback.application.ports.desk_actions import Action
from keyback.application.ports.storage import Tx
from keyback.application.signin.sessions import people_named
from keyback.application.throttling import lockouts
from keyback.application.throttling.lockouts import Lock, StalePasswordSource
from keyback.domain.errors import Refusal
from keyback.domain.operators.actions import between
from keyback.domain.operators.roles import Obstacle, Operator
from keyback.domain.passwords.rules import Rules
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import Account, Contact, Person, Tier
from keyback.domain.policy.rules import Policy
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note

FINDS_AN_HOUR = 60  # that one operator may try: more is no work with people who call
CASES = 10
ACTIONS = 20
MANY = 2000  # people that one page of those without a way back looks through
SHOWN = 50


@dataclass(frozen=True, slots=True)
class Record:
    """A person on their page.

    Args:
        gate_until: until when (ms) this operator sees addresses and user names in full; 0: masked.
        hold_until: when the longest hold of the open recovery is over (ms); 0: none.
        between: how long after one thing was started another one may be (ms).
        groups: that files and systems say they are in.
        unlocks: what came of operators' unlocks in other systems, by act.
    """

    person: Person
    tier: Tier
    accounts: tuple[Account, ...]
    contacts: tuple[tuple[Contact, str], ...]
    factors: tuple[Factor, ...]
    locks: tuple[Lock, ...]
    locked_down: bool
    stale: tuple[StalePasswordSource, ...]
    sessions: int
    open_case: Case | None
    cases: tuple[Case, ...]
    actions: tuple[Action, ...]
    operators: Mapping[str, Operator]
    obstacle: Obstacle
    gate_until: int
    between: int
    now: int
    groups: tuple[str, ...] = ()
    unlocks: unlocking.Results = field(default_factory=dict)

    @property
    def hold_until(self) -> int:
        return max((until for _, until in self.open_case.waiting), default=0) if self.open_case else 0


def find(tx: Tx, actor: Actor, typed: str) -> str | None:
    """The id of the one person with exactly this user name, address or id; None where none has it, or several do.

    Raises:
        Refusal: `too_many` in one hour.
    """
    me = actor.operator.id
    count_find(tx, actor)
    found = people_named(tx, typed.strip()[:254])
    one = found[0].id if len(found) == 1 else None
    tx.audit.record(STREAM, [Note("person_sought", {"operator": me, "found": len(found)})])
    return one


def count_find(tx: Tx, actor: Actor) -> None:
    """Counts one search of this operator. Raises `Refusal("too_many")`."""
    key = f"op/g/find/{actor.operator.id}"
    if tx.counters.add([key])[key].hour > FINDS_AN_HOUR:
        raise Refusal("too_many")


def look(tx: Tx, actor: Actor, person_id: str, policy: Policy, rules: Rules) -> Record:
    """A person's page, and the note that this operator looked at it.

    Raises:
        Refusal: `not_found`.
    """
    person = tx.people.person(person_id)
    if person is None:
        raise Refusal("not_found")
    accounts = tuple(tx.people.accounts([person.id]).get(person.id, ()))
    cases = tuple(tx.cases.listed(state=None, limit=CASES, people=[person.id]))
    open_case = next((c for c in cases if not c.ended), None)
    gate = gate_until(tx, actor.operator.id, open_case) if open_case else 0
    contacts = tx.contacts.of_person(person.id, states=("confirmed", "pending"))
    actions = tuple(tx.actions.of_person(person.id, ACTIONS))
    tier = tier_of(tx, person, accounts, policy)
    ids = [i for a in actions for i in (a.asked_by, a.decided_by) if i]
    tx.audit.record(person.id, [Note("person_viewed", {"operator": actor.operator.id, "in_full": bool(gate)})])
    return Record(
        person,
        tier,
        accounts if gate else tuple(replace(a, username=hidden(a.username)) for a in accounts),
        tuple((c, c.address if gate else masked(c)) for c in contacts),
        tuple(tx.factors.of_person(person.id)),
        lockouts.locks(tx, person.id, rules),
        any(tx.counters.get(f"lockdown/{a.id}").total for a in accounts),
        lockouts.stale_password_sources(tx, person.id),
        len(tx.sessions.of_person(person.id)),
        open_case,
        cases,
        actions,
        tx.operators.many(ids),
        obstacle(tx, actor.operator, person),
        gate,
        between(policy.holds, tier),
        tx.now,
        tuple(tx.groups.of_people([person.id]).get(person.id, ())),
        unlocking.results(tx, person.id) if any(a.kind == "unlock" for a in actions) else {},
    )


def hidden(username: str) -> str:
    """A user name as a hint: its first letter, and its domain where it is an address."""
    name, at, domain = username.rpartition("@")
    return f"{(name or domain)[:1]}•••{at}{domain if at else ''}"


# ── what waits for a second operator ────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Waiting:
    """One act that waits, with whom it is about. `obstacle`: what keeps this operator from deciding it."""

    action: Action
    person: Person
    asked_by: str
    obstacle: Obstacle


@dataclass(frozen=True, slots=True)
class Inbox:
    """`more`: where the next page begins; None at the end."""

    lines: tuple[Waiting, ...]
    more: tuple[int, str] | None
    now: int


def inbox(tx: Tx, actor: Actor, after: tuple[int, str] = (0, "")) -> Inbox:
    """What waits for a second operator, the oldest first."""
    found = list(tx.actions.waiting(after=after, limit=SHOWN + 1))
    shown = found[:SHOWN]
    people = tx.people.people([a.person_id for a in shown])
    names = tx.operators.many([a.asked_by for a in shown])
    lines = tuple(
        Waiting(
            a,
            people[a.person_id],
            names[a.asked_by].name if a.asked_by in names else "",
            obstacle(tx, actor.operator, people[a.person_id]),
        )
        for a in shown
        if a.person_id in people
    )
    last = shown[-1] if len(found) > SHOWN else None
    return Inbox(lines, (last.asked_at, last.id) if last else None, tx.now)


# ── people without a way back ───────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Stranded:
    """Somebody who would not get back in by themselves."""

    person: Person
    tier: Tier
    way: Way


@dataclass(frozen=True, slots=True)
class StrandedPage:
    """Those among the next people by id. `looked`: how many were looked through; `more`: the last one's id, empty at
    the end."""

    lines: tuple[Stranded, ...]
    looked: int
    more: str


def without_way_back(tx: Tx, offer: Offer, after: str = "") -> StrandedPage:
    """People behind this id who have no way back now, or only with an operator. Costs the same however many there are:
    a page looks through so many people and says where the next one begins."""
    lines: list[Stranded] = []
    looked, last = 0, after
    page = tx.all_people.page(after, MANY)
    for e in page:
        looked, last = looked + 1, e.person.id
        tier = tier_under(e, offer.policy, tx.now)
        way = way_back(evidence_of(e, offer, tx.now), tier, offer.policy)
        if way == "none":
            lines.append(Stranded(e.person, tier, way))
            if len(lines) == SHOWN:
                break
    whole = looked == len(page) and len(page) < MANY
    return StrandedPage(tuple(lines), looked, "" if whole else last)
