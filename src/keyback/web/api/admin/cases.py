"""The queue and its cases for programs: read, found, claimed, commented. No key recommends, decides, or makes calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import Path, Query
from starlette.responses import Response

from keyback.application.desk import cases, workbench
from keyback.application.desk.cases import Line, Opened
from keyback.application.desk.sessions import Actor
from keyback.application.ports.desk_storage import QueueQuery
from keyback.application.ports.identity import IdentityCheck
from keyback.application.ports.storage import Tx
from keyback.domain.operators.roles import Operator, Permission
from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import Journey
from keyback.web.api.admin import models as m
from keyback.web.api.admin.access import (
    PAGE,
    Caller,
    IfMatch,
    OnceKey,
    admin_router,
    needs,
    read_cursor,
    same_version,
    write_cursor,
)
from keyback.web.api.auth import instant
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError

router = admin_router()
CaseId = Annotated[str, Path(pattern=m.ID, description="A case.")]
Cursor = Annotated[str | None, Query(max_length=100, description="`next` of the page before.")]
Reads = Annotated[Caller, needs(Permission.CASES_VIEW)]
Works = Annotated[Caller, needs(Permission.CASES_WORK)]
ACTS = {
    400: ["bad_idempotency_key", "bad_if_match"],
    403: ["forbidden", "rank"],
    409: ["wrong_state", "claimed"],
    412: ["version_changed"],
    422: ["key_of_another_request", "invalid"],
}
ETAG = {"headers": {"ETag": {"description": "The version of the case, quoted.", "schema": {"type": "string"}}}}


def by_of(operators: Mapping[str, Operator], operator_id: str) -> m.By | None:
    """An operator as a case names them."""
    found = operators.get(operator_id)
    return m.By(id=operator_id, name=found.name if found else "") if operator_id else None


def _item(line: Line, now: int) -> m.QueueItem:
    c, w = line.case, line.work
    return m.QueueItem(
        id=c.id,
        version=c.version,
        journey=c.journey,
        tier=c.tier,
        name=line.name,
        username=line.username,
        opened_at=instant(c.opened_at),
        due_at=instant(line.due),
        overdue=line.due <= now,
        claimed_by=m.By(id=w.claimed_by, name=line.claimed_by) if w.claimed_by else None,
        recommended=w.recommended is not None and w.recommended.version == c.version,
        ticket=w.ticket,
    )


@router.get(
    "/queue",
    operation_id="listQueue",
    summary="See the cases that wait for an operator",
    description="Oldest first. Pages by `next`: a case that is decided meanwhile is left out, none comes twice.",
    responses=problems({414: ["too_large"], 422: ["invalid"]}),
)
async def queue(
    caller: Reads,
    cursor: Cursor = None,
    claimed: Annotated[
        Literal["all", "mine", "nobody"], Query(description="By whom the case is claimed; `mine`: by this program.")
    ] = "all",
    journey: Annotated[Journey | None, Query(description="What was lost.")] = None,
    tier: Annotated[Tier | None, Query(description="Of the person.")] = None,
    recommended: Annotated[bool, Query(description="Only what waits for an approver.")] = False,
    overdue: Annotated[bool, Query(description="Only what should have been decided by now.")] = False,
) -> m.QueuePage:
    holder = {"all": "", "mine": caller.actor.operator.id, "nobody": "-"}[claimed]
    hours, after = caller.desk.services.hours, read_cursor(cursor)

    def look(tx: Tx) -> cases.QueuePage:
        until = hours.late_since(tx.now) if overdue else 0
        return cases.queue(tx, QueueQuery(holder, journey or "", tier or "", until, after, PAGE, recommended), hours)

    found = await caller.read(look)
    return m.QueuePage(
        items=[_item(x, found.now) for x in found.lines], next=write_cursor(*found.more) if found.more else None
    )


@router.post(
    "/cases/find",
    operation_id="findCase",
    summary="Find a case",
    description="By its id, or by a whole email address or username of its person. Nothing else is searched.",
    responses=problems({422: ["invalid"]}, body=True),
)
async def find(caller: Reads, given: m.Find) -> m.Made:
    found = await caller.read(lambda tx: cases.find(tx, given.q))
    if found is None:
        raise ApiError(404, "not_found")
    return m.Made(id=found)


@router.get(
    "/cases/{case_id}",
    operation_id="getCase",
    summary="See a case",
    description="Everything about one case, with contacts and usernames masked. Its `version` is in `ETag`, too.",
    responses={200: ETAG},
)
async def get(caller: Reads, case_id: CaseId, response: Response) -> m.Case:
    policy = caller.desk.services.policy
    opened = await caller.read(lambda tx: cases.open_case(tx, caller.actor, case_id, policy))
    response.headers["etag"] = f'"{opened.case.version}"'
    return _case(opened)


def _case(o: Opened) -> m.Case:
    c, who = o.case, o.operators
    return m.Case(
        id=c.id,
        version=c.version,
        state=c.state,
        journey=c.journey,
        tier=o.tier,
        name=o.person.name,
        opened_at=instant(c.opened_at),
        expires_at=instant(c.expires_at),
        claimed_by=by_of(who, o.work.claimed_by),
        ticket=o.work.ticket,
        may_act=not o.obstacle,
        accounts=[m.CaseAccount(system=a.system, username=a.username) for a in o.accounts],
        contacts=[m.Contact(channel=channel, role=role, address=shown) for channel, role, shown in o.contacts],
        requests=[
            m.Request(
                source=p.source,
                device=p.device,
                asked_at=instant(p.asked_at),
                evidence=[m.Evidence(proof=e.proof, accepted_at=instant(e.accepted_at)) for e in p.evidence],
                waits_for_approval=p.waits,
            )
            for p in o.pages
        ],
        identity_checks=[_identity(x) for x in o.checks],
        comments=[
            m.Comment(id=n.id, by=m.By(id=n.operator_id, name=_name(who, n.operator_id)), kind=n.kind,
                      at=instant(n.at), text=n.text)
            for n in o.notes
        ],
        events=[m.Event(seq=h.seq, at=instant(h.at), type=h.type, data=dict(h.data)) for h in o.history],
    )  # fmt: skip


def _identity(c: IdentityCheck) -> m.IdentityCheck:
    return m.IdentityCheck(
        id=c.id,
        service=c.provider,
        state=c.state,
        consented_at=instant(c.created_at),
        answered_at=instant(c.answered_at) if c.answered_at else None,
        level=c.level,
        name=c.fits,
        namesake=c.namesake,
        seen_before=c.seen_before,
        reason=c.reason,
    )


def _name(operators: Mapping[str, Operator], operator_id: str) -> str:
    return operators[operator_id].name if operator_id in operators else ""


@router.post(
    "/cases/{case_id}/claim",
    operation_id="claimCase",
    summary="Claim a case",
    description="One operator at a time has a case. Claiming one that you have is no fault.",
    status_code=204,
    responses=problems(ACTS),
)
async def claim(caller: Works, case_id: CaseId, once: OnceKey = None, if_match: IfMatch = None) -> Response:
    def act(tx: Tx, actor: Actor) -> None:
        _as_read(tx, actor, case_id, if_match)
        workbench.claim(tx, actor, case_id)

    return await caller.act(once, act)


@router.post(
    "/cases/{case_id}/release",
    operation_id="releaseCase",
    summary="Give a case back",
    description="To the queue, for someone else to claim.",
    status_code=204,
    responses=problems(ACTS),
)
async def release(caller: Works, case_id: CaseId, once: OnceKey = None, if_match: IfMatch = None) -> Response:
    def act(tx: Tx, actor: Actor) -> None:
        _as_read(tx, actor, case_id, if_match)
        workbench.release(tx, actor, case_id)

    return await caller.act(once, act)


@router.post(
    "/cases/{case_id}/comments",
    operation_id="commentOnCase",
    summary="Comment on a case",
    description="Colleagues read it in the console; the person does not. Works in every state of a case.",
    status_code=201,
    response_model=m.Made,
    responses=problems(ACTS, body=True),
)
async def comment(
    caller: Works, case_id: CaseId, given: m.NewComment, once: OnceKey = None, if_match: IfMatch = None
) -> Response:
    def act(tx: Tx, actor: Actor) -> m.Made:
        _as_read(tx, actor, case_id, if_match)
        return m.Made(id=workbench.comment(tx, actor, case_id, given.text))

    return await caller.act(once, act, 201, "text")


@router.post(
    "/cases/{case_id}/ticket",
    operation_id="setTicket",
    summary="Name the ticket of a case",
    description="The number of your own ticket, which the console shows beside the case.",
    status_code=204,
    responses=problems(ACTS, body=True),
)
async def ticket(
    caller: Works, case_id: CaseId, given: m.Ticket, once: OnceKey = None, if_match: IfMatch = None
) -> Response:
    def act(tx: Tx, actor: Actor) -> None:
        _as_read(tx, actor, case_id, if_match)
        workbench.set_ticket(tx, actor, case_id, given.ticket)

    return await caller.act(once, act)


def _as_read(tx: Tx, actor: Actor, case_id: str, if_match: str | None) -> None:
    """Locks the case for this program; it has to be the version that was read."""
    cases.lock_for(tx, actor, case_id)
    case = tx.cases.get(case_id)
    if case is not None:
        same_version(if_match, case.version)
