"""Requests for help for programs: read, with what was written both ways, and answered. An operator closes them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from keyback.application.desk import help_answers
from keyback.application.desk.help_answers import OpenedRequest
from keyback.application.desk.sessions import Actor
from keyback.application.notifications.account_changes import masked_name
from keyback.application.ports import help_requests as ports
from keyback.application.ports.storage import Tx
from keyback.domain.operators.roles import Permission
from keyback.web.api.admin import models as m
from keyback.web.api.admin import models_help as mh
from keyback.web.api.admin.access import PAGE, Caller, OnceKey, admin_router, needs, read_cursor, write_cursor
from keyback.web.api.admin.cases import by_of
from keyback.web.api.auth import instant
from keyback.web.api.openapi import problems

router = admin_router()
RequestId = Annotated[str, Path(pattern=m.ID, description="A request for help.")]
Reads = Annotated[Caller, needs(Permission.CASES_VIEW)]
Works = Annotated[Caller, needs(Permission.CASES_WORK)]


@router.get(
    "/help-requests",
    operation_id="listHelpRequests",
    summary="See requests for help",
    description="Of people for whom nothing else worked; those that wait longest first.",
    responses=problems({414: ["too_large"], 422: ["invalid"]}),
)
async def listed(
    caller: Reads,
    cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
    state: Annotated[mh.Standing, Query(description="`open`: the help desk has to answer.")] = "open",
) -> mh.HelpPage:
    after = read_cursor(cursor)
    found = await caller.read(lambda tx: help_answers.listing(tx, state, after, PAGE))
    items = [mh.HelpItem(**_item(q)) for q in found.requests]
    return mh.HelpPage(items=items, waiting=found.waiting, next=write_cursor(*found.more) if found.more else None)


def _item(q: ports.HelpRequest) -> dict[str, object]:
    return {
        "id": q.handle,
        "state": q.state,
        "username": masked_name(q.named),
        "asked_at": instant(q.created_at),
        "waits_since": instant(q.since),
        "answered_by": q.operator_id or None,
        "case": q.case_id or None,
        "reopened": q.reopened,
    }


@router.get(
    "/help-requests/{request_id}",
    operation_id="getHelpRequest",
    summary="See a request for help",
    description="With everything that was written both ways. The contact and the username are masked.",
)
async def get(caller: Reads, request_id: RequestId) -> mh.HelpRequest:
    return _request(await caller.read(lambda tx: help_answers.open_request(tx, caller.actor, request_id)))


def _request(o: OpenedRequest) -> mh.HelpRequest:
    q, who = o.request, o.operators
    return mh.HelpRequest(
        **_item(q),
        contact=masked_name(q.contact),
        reason=q.reason,
        messages=[mh.HelpLine(at=instant(x.at), by=by_of(who, x.by), text=x.text) for x in q.lines],
        people=[mh.HelpPerson(id=p.id, name=p.name) for p in o.people],
        evidence=[e.proof for e in o.evidence],
        may_answer=not o.obstacle,
    )


@router.post(
    "/help-requests/{request_id}/messages",
    operation_id="answerHelpRequest",
    summary="Answer a request for help",
    description="Whoever asked is mailed that there is an answer, and reads it on their page. Closing a request, and "
    "opening a case for it, are an operator's.",
    status_code=204,
    responses=problems(
        {
            400: ["bad_idempotency_key"],
            403: ["forbidden", "rank", "own_work"],
            409: ["over"],
            422: ["key_of_another_request", "invalid"],
            429: ["slow_down", "too_many"],
        },
        body=True,
    ),
)
async def answer(caller: Works, request_id: RequestId, given: mh.HelpMessage, once: OnceKey = None) -> Response:
    def act(tx: Tx, actor: Actor) -> None:
        help_answers.reply(tx, actor, request_id, given.text)

    return await caller.act(once, act, field="text")
