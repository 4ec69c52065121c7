"""What an operator may see of a case, and whether they may act on its person at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from keyback.application.audit_log import log_of
from keyback.application.desk.operators import operators_who_are
from keyback.application.desk.sessions import Actor
from keyback.application.enrolment.tier import tier_of
from keyback.application.notifications.account_changes import masked, masked_name
from keyback.application.notifications.notify import username_of
from keyback.application.origin import where
from keyback.application.ports.desk_storage import DeskNote, QueueQuery, Work
from keyback.application.ports.enrolment_storage import Happened
from keyback.application.ports.identity import IdentityCheck
from keyback.application.ports.storage import Tx
from keyback.application.ports.tasks import Task
from keyback.application.recovery import evidence
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.calls import GATE_LIFE
from keyback.domain.operators.roles import Obstacle, Operator, may_act_on
from keyback.domain.operators.service_hours import ServiceHours
from keyback.domain.people.person import Account, Person, Tier, canonicalize
from keyback.domain.policy.rules import TIERS, Evidence, Policy, Risk, rule
from keyback.domain.recovery.case import Case, State

SHORT = 8  # characters of a case's number that the queue shows
MANY = 1000  # up to where the queue is counted


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the queue.

    Args:
        due: ms, by when it should be decided.
        spent: working time (ms) since it was opened.
    """

    case: Case
    work: Work
    name: str
    username: str
    claimed_by: str
    due: int
    spent: int


@dataclass(frozen=True, slots=True)
class QueuePage:
    """`more`: where the next page begins; None at the end. `waiting`: counted up to `MANY`."""

    lines: tuple[Line, ...]
    waiting: int
    more: tuple[int, str] | None
    now: int


@dataclass(frozen=True, slots=True)
class Asking:
    """One page (browser) that asks in a case, with what it showed. `waits`: it is the one an operator can approve."""

    handle: str
    source: str
    device: str
    asked_at: int
    evidence: tuple[Evidence, ...]
    waits: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A case on the workbench. Contacts and user names are masked: nobody needs them to decide what the person proved.
    For whoever passed a caller check they are not, until `gate_until` (ms). `requests`: for help that belong to it;
    `checks`: identities that services were asked to verify."""

    case: Case
    person: Person
    username: str
    tier: Tier
    accounts: tuple[Account, ...]
    contacts: tuple[tuple[str, str, str], ...]  # channel, role, address
    pages: tuple[Asking, ...]
    work: Work
    notes: tuple[DeskNote, ...]
    history: tuple[Happened, ...]
    operators: Mapping[str, Operator]
    obstacle: Obstacle
    now: int
    gate_until: int = 0
    tasks: tuple[Task, ...] = ()
    requests: tuple[str, ...] = ()
    checks: tuple[IdentityCheck, ...] = ()


def queue(tx: Tx, query: QueueQuery, hours: ServiceHours) -> QueuePage:
    """One page of the cases that wait for an operator, oldest first."""
    wanted = replace(query, limit=query.limit + 1)
    found = list(tx.desk.queue(wanted))
    shown = found[: query.limit]
    people = [c.person_id for c, _ in shown]
    names, accounts = tx.people.people(people), tx.people.accounts(people)
    holders = tx.operators.many([w.claimed_by for _, w in shown])
    lines = tuple(
        Line(
            c,
            w,
            names[c.person_id].name if c.person_id in names else "",
            masked_name(_username(accounts.get(c.person_id, ()))),
            holders[w.claimed_by].name if w.claimed_by in holders else "",
            hours.due(c.opened_at),
            hours.worked(c.opened_at, tx.now),
        )
        for c, w in shown
    )
    last = shown[-1][0] if len(found) > query.limit else None
    return QueuePage(lines, tx.desk.waiting(MANY), (last.opened_at, last.id) if last else None, tx.now)


def find(tx: Tx, typed: str) -> str | None:
    """The id of the case that an operator looks for: by its number, the beginning of one that waits, its ticket, or its
    person's address or user name."""
    typed = typed.strip()
    if len(typed) == 22 and tx.cases.get(typed) is not None:
        return typed
    known = tx.desk.by_beginning(typed) if len(typed) == SHORT else None
    known = known or (tx.desk.by_ticket(" ".join(typed.split())) if typed else None)
    if known is not None:
        return known
    try:
        canonical = canonicalize(typed)
    except BadInput:
        return None
    people = [m.person.id for m in tx.people.match([canonical]).get(canonical, ())]
    return next((c.id for c in tx.cases.open_of(people).values()), None)


def open_case(tx: Tx, actor: Actor, case_id: str, policy: Policy) -> Opened:
    """A case with everything that is needed to decide it.

    Raises:
        Refusal: `not_found`.
    """
    case = tx.cases.get(case_id)
    person = tx.people.person(case.person_id) if case else None
    if case is None or person is None:
        raise Refusal("not_found")
    accounts = tuple(tx.people.accounts([person.id]).get(person.id, ()))
    work, notes = tx.desk.work(case.id), tuple(tx.desk.notes(case.id))
    history = tuple(Happened(e["seq"], e["at"], e["type"], e["data"]) for e in log_of(tx).of_stream(case.id))
    named = [str(h.data["operator"]) for h in history if h.data.get("operator")]
    ids = [work.claimed_by, *(n.operator_id for n in notes), *named]
    tier = max(case.tier, tier_of(tx, person, accounts, policy), key=TIERS.index)
    gate = gate_until(tx, actor.operator.id, case)
    contacts = tx.people.contacts([person.id]).get(person.id, ())
    name = username_of(tx, person.id)
    return Opened(
        case,
        person,
        name if gate else masked_name(name),
        tier,
        accounts if gate else tuple(replace(a, username=masked_name(a.username)) for a in accounts),
        tuple((c.channel, c.role, c.address if gate else masked(c)) for c in contacts),
        pages_of(tx, case, tier, policy),
        work,
        notes,
        history,
        tx.operators.many(ids),
        obstacle(tx, actor.operator, person),
        tx.now,
        gate,
        tuple(tx.tasks.of_case(case.id)),
        tuple(q.handle for q in tx.help_requests.of_case(case.id)),
        tuple(tx.identity.of_case(case.id)),
    )


def gate_until(tx: Tx, operator_id: str, case: Case) -> int:
    """Until when (ms) an operator who passed a caller check of this case sees how to reach its person; 0: not at
    all."""
    found = None if case.ended else tx.calls.passed(case.id, operator_id, tx.now - GATE_LIFE)
    return found.ended_at + GATE_LIFE if found else 0


def pages_of(tx: Tx, case: Case, tier: Tier, policy: Policy) -> tuple[Asking, ...]:
    """The pages that showed something in a case, the one that waits for an operator first."""
    out = []
    for handle in dict.fromkeys(e.handle for e in case.evidence):
        intake = tx.intakes.get(handle)
        if intake is None:
            continue
        shown = tuple(evidence.still_holds(tx, case, handle))
        ruling = rule(shown, tier, Risk(), policy, intake.journey)
        waits = case.state == State.IN_REVIEW and ruling.kind == "review"
        seen = where(intake.source, intake.agent)
        out.append(Asking(handle, seen["source"], seen["device"], intake.asked_at, shown, waits))
    return tuple(sorted(out, key=lambda p: not p.waits))


def obstacle(tx: Tx, operator: Operator, person: Person) -> Obstacle:
    """What keeps an operator from acting on a person: being them, or their role as an operator."""
    return may_act_on(operator, person.id, operators_who_are(tx, person))


def lock_for(tx: Tx, actor: Actor, case_id: str, *states: State) -> tuple[Case, Person]:
    """The case and its person, locked, once it is certain that this operator may act on them.

    Raises:
        Refusal: `not_found`, `yourself`, `rank`, or `wrong_state`.
    """
    case = tx.cases.get(case_id)
    person = tx.people.lock(case.person_id) if case else None
    if case is None or person is None:
        raise Refusal("not_found")
    stopped = obstacle(tx, actor.operator, person)
    if stopped:
        raise Refusal(stopped)
    if states and case.state not in states:
        raise Refusal("wrong_state", state=case.state.value)
    return case, person


def _username(accounts: Sequence[Account]) -> str:
    return next((a.username for a in accounts if not a.provider), accounts[0].username if accounts else "")
