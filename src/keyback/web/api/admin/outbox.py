"""The outbox for programs: what waits, fails or was given up, without contacts and secrets; sent once more."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from keyback.application.desk import outbox
from keyback.application.desk.outbox import Line
from keyback.application.desk.sessions import Actor
from keyback.application.ports.outbox_search import Heap
from keyback.application.ports.storage import Tx
from keyback.domain.operators.roles import Permission
from keyback.web.api.admin import models as m
from keyback.web.api.admin import models_outbox as mo
from keyback.web.api.admin.access import Caller, OnceKey, admin_router, needs, read_cursor, write_cursor
from keyback.web.api.auth import instant
from keyback.web.api.openapi import problems

router = admin_router()


@router.get(
    "/outbox",
    operation_id="listOutbox",
    summary="See what waits in the outbox",
    description="Messages and other work: given up (`dead`), to be tried again after a failure (`failing`), or due "
    "within the hour (`waiting`); the oldest first. People are named to keys with `people.view` alone.",
    responses=problems({414: ["too_large"], 422: ["invalid"]}),
)
async def listed(
    caller: Annotated[Caller, needs(Permission.OUTBOX_VIEW)],
    cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
    heap: Annotated[Heap, Query(description="Which of the three.")] = "dead",
) -> mo.OutboxPage:
    after = read_cursor(cursor)
    found = await caller.read(lambda tx: outbox.look(tx, caller.actor, heap, after))
    sums = [mo.OutboxSum(channel=s.channel, counts=dict(s.counts), oldest_at=instant(s.oldest)) for s in found.sums]
    more = write_cursor(*found.more) if found.more else None
    return mo.OutboxPage(
        items=[_item(x) for x in found.lines], sums=sums, more_than_counted=sorted(found.full), next=more
    )


def _item(x: Line) -> mo.OutboxItem:
    return mo.OutboxItem(
        id=x.id,
        what=x.what,
        channel=x.channel or None,
        to=x.to,
        person=x.person_id or None,
        since=instant(x.since),
        next_at=instant(x.next_at),
        attempts=x.attempts,
        code=x.code,
        may_resend=x.again,
    )


@router.post(
    "/outbox/{job_id}/resend",
    operation_id="resendMessage",
    summary="Send a message again that was given up",
    description="To where it went before, with the same link or code, which works no longer than it did. 60 times an "
    "hour, and three times a day for one message.",
    status_code=204,
    responses=problems(
        {
            400: ["bad_idempotency_key"],
            403: ["forbidden", "rank"],
            409: ["wrong_state", "over", "not_a_message"],
            422: ["key_of_another_request"],
            429: ["slow_down", "too_many"],
        }
    ),
)
async def resend(
    caller: Annotated[Caller, needs(Permission.OUTBOX_RESEND)],
    job_id: Annotated[str, Path(pattern=m.ID, description="A message that was given up.")],
    once: OnceKey = None,
) -> Response:
    def act(tx: Tx, actor: Actor) -> None:
        outbox.send_again(tx, actor, job_id)

    return await caller.act(once, act)
