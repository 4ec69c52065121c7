"""What operators do with requests for help: answer, close, and open a case where they know whom it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from keyback.application.desk.cases import obstacle
from keyback.application.desk.help_request import MANY, MAX_LINES, MAX_TEXT, tidy
from keyback.application.desk.sessions import Actor
from keyback.application.notifications.notify import notify_requester, notify_started
from keyback.application.ports.help_requests import HelpLine, HelpRequest, RequestState
from keyback.application.ports.messages import HelpNewsMessage
from keyback.application.ports.storage import Intake, Tx
from keyback.application.recovery.resolve import join
from keyback.domain.errors import Refusal
from keyback.domain.operators.roles import Obstacle, Operator
from keyback.domain.people.person import Person
from keyback.domain.policy.rules import Evidence
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

NEWS_LIFE = 3 * 24 * HOUR


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of requests. `waiting`: those that wait for the desk, counted up to `MANY`."""

    requests: tuple[HelpRequest, ...]
    waiting: int
    more: tuple[int, str] | None
    now: int


@dataclass(frozen=True, slots=True)
class OpenedRequest:
    """A request as an operator sees it.

    Args:
        people: whom its identifier stands for; empty for nobody on record.
        evidence: what its page has shown.
        obstacle: what keeps this operator from answering.
    """

    request: HelpRequest
    intake: Intake | None
    people: tuple[Person, ...]
    evidence: tuple[Evidence, ...]
    case: Case | None
    operators: dict[str, Operator]
    obstacle: Obstacle
    now: int


def listing(tx: Tx, state: RequestState, after: tuple[int, str] = (0, ""), limit: int = 50) -> Listing:
    """One page of requests in a state, those first that wait longest."""
    found = list(tx.help_requests.listed(state, after, limit + 1))
    last = found[limit - 1] if len(found) > limit else None
    more = (last.since, last.handle) if last else None
    return Listing(tuple(found[:limit]), tx.help_requests.waiting(MANY), more, tx.now)


def open_request(tx: Tx, actor: Actor, handle: str) -> OpenedRequest:
    """One request with what is known about it.

    Raises:
        Refusal: `not_found`, also for one whose contact was not confirmed.
    """
    q = tx.help_requests.get(handle)
    if q is None or q.state == "unconfirmed":
        raise Refusal("not_found")
    people = _people(tx, q)
    intake = tx.intakes.get(handle)
    case = tx.cases.get(q.case_id or (intake.case_id or "" if intake else "")) if q.case_id or intake else None
    shown = case.shown_by(handle) if case else ()
    ids = [q.operator_id, q.closed_by, *(x.by for x in q.lines)]
    operators = dict(tx.operators.many([i for i in ids if i]))
    return OpenedRequest(q, intake, tuple(people), tuple(shown), case, operators, _obstacle(tx, actor, people), tx.now)


def reply(tx: Tx, actor: Actor, handle: str, text: str, *, close: bool = False) -> None:
    """Answers a request, and closes it with that; the person is mailed that there is an answer, not what it says.

    Raises:
        BadInput: `text_empty`, `text_long`, or what `leak` says.
        Refusal: `not_found`, `yourself`, `rank`; `over` when it is closed; `own_work` for whoever closed it before.
    """
    text = tidy(text, MAX_TEXT, "text_empty", "text_long")
    q = _lock(tx, actor, handle)
    if len(q.lines) >= MAX_LINES * 2:
        raise Refusal("too_many")
    me = actor.operator.id
    answered = q.answered_at or tx.now
    q = replace(q, state="answered", operator_id=me, answered_at=answered, lines=(*q.lines, HelpLine(tx.now, me, text)))
    if close:
        q = replace(q, state="closed", closed_by=me, closed_at=tx.now)
    tx.help_requests.save(q)
    what: Literal["answered", "closed"] = "closed" if close else "answered"
    told = Note("help_closed" if close else "help_answered", {"operator": me, "intake_id": handle})
    tx.audit.record(q.case_id or handle, [told])
    notify_requester(tx, HelpNewsMessage(what=what, path=f"/r/{handle}/help", at=tx.now), handle, NEWS_LIFE)


def open_case(tx: Tx, actor: Actor, handle: str) -> str:
    """Opens or joins the case of the one person that a request is about, and tells them so; the case's id.

    Raises:
        Refusal: as `reply`; `nobody` where nobody on record is meant, or several are; `wrong_state` where there is
            nothing to recover, or the page's time is over.
    """
    q = _lock(tx, actor, handle)
    intake = tx.intakes.get(handle)
    if intake is None or (intake.expires_at <= tx.now and not intake.case_id) or intake.state == "stopped":
        raise Refusal("wrong_state")
    matches = tx.people.match([q.identifier]).get(q.identifier, ())
    if len(matches) != 1 or matches[0].person.state != "active":
        raise Refusal("nobody")
    case = tx.cases.get(intake.case_id) if intake.case_id else join(tx, intake, matches[0])
    if case is None or case.ended:
        raise Refusal("wrong_state")
    if q.case_id == case.id:
        return case.id
    tx.help_requests.save(replace(q, case_id=case.id, operator_id=actor.operator.id))
    work = tx.desk.work(case.id)
    tx.desk.save(replace(work, worked_by=work.worked_by | {actor.operator.id}))
    tx.audit.record(case.id, [Note("help_joined", {"operator": actor.operator.id, "intake_id": handle})])
    notify_started(tx, case.person_id, "help_asked", case.id, case.expires_at, intake)
    return case.id


def _lock(tx: Tx, actor: Actor, handle: str) -> HelpRequest:
    """The request, locked, once it is certain that this operator may answer it."""
    q = tx.help_requests.get(handle, lock=True)
    if q is None or q.state == "unconfirmed":
        raise Refusal("not_found")
    stopped = _obstacle(tx, actor, _people(tx, q))
    if stopped:
        raise Refusal(stopped)
    if q.state == "closed":
        raise Refusal("over")
    if q.reopened and q.closed_by == actor.operator.id:
        raise Refusal("own_work")
    return q


def _people(tx: Tx, q: HelpRequest) -> Sequence[Person]:
    return [m.person for m in tx.people.match([q.identifier]).get(q.identifier, ())]


def _obstacle(tx: Tx, actor: Actor, people: Sequence[Person]) -> Obstacle:
    found = (obstacle(tx, actor.operator, p) for p in people)
    return next((o for o in found if o), "")
