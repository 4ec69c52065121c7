"""`/console/approvals`: what waits for a second operator."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import actions, cases, records
from keyback.application.desk.sessions import Actor
from keyback.application.ports.desk_actions import Action
from keyback.application.ports.desk_storage import QueueQuery
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Permission
from keyback.web.console.pages import ApprovalsPage
from keyback.web.console.people import STATUS
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values

AT = "/console/approvals"
ONE = AT + "/{id:str}"
AFTER = re.compile(r"([0-9]{1,15})-([A-Za-z0-9_-]{22})\Z")
LOOKED = 200  # cases of the queue that are looked through for recommended ones
DONE = ("approved", "declined", "withdrawn", "alone")


async def _draw(
    desk: AppContext, request: Request, actor: Actor, status: int = 200, error: str = "", typed: Values | None = None
) -> Response:
    at = AFTER.match(request.query_params.get("after", ""))
    after = (int(at[1]), at[2]) if at else (0, "")
    inbox = await desk.services.db.read(lambda tx: records.inbox(tx, actor, after))
    s = desk.services
    queue = await s.db.read(lambda tx: cases.queue(tx, QueueQuery(limit=LOOKED), s.hours))
    told = tuple(x for x in queue.lines if x.work.recommended and x.work.recommended.version == x.case.version)
    more = f"?after={inbox.more[0]}-{quote(inbox.more[1])}" if inbox.more else ""
    said = request.query_params.get("done", "")
    done = said if said in DONE and not error else ""
    of = request.path_params.get("id", "") if error else ""
    model = ApprovalsPage(inbox, told if not at else (), more, error, of, typed or {}, done)
    return page(desk, request, actor, model, status, path=AT)


@shows(AT, Permission.PEOPLE_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/approvals`."""
    return await _draw(desk, request, actor)


async def _do(
    desk: AppContext, request: Request, values: Values, actor: Actor, act: Callable[[Tx], Action], done: str
) -> Response:
    s = desk.services
    try:
        await s.db.write(act)
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        if e.code == "step_up":
            return redirect(f"/console/confirm?next={AT}")
        status = 403 if e.code == "own_work" else STATUS.get(e.code, 409)
        return await _draw(desk, request, actor, status, e.code, values)
    return redirect(f"{AT}?done={done}")


@acts(ONE + "/approve", Permission.PEOPLE_APPROVE, fresh=True, back=AT)
async def approve(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/approvals/{id}/approve`: exactly what was asked for, or nothing."""
    action_id, policy = request.path_params["id"], desk.services.policy
    return await _do(desk, request, values, actor, lambda tx: actions.approve(tx, actor, action_id, policy), "approved")


@acts(ONE + "/decline", Permission.PEOPLE_APPROVE, fresh=True, back=AT)
async def decline(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/approvals/{id}/decline`."""
    action_id, policy = request.path_params["id"], desk.services.policy
    return await _do(desk, request, values, actor, lambda tx: actions.decline(tx, actor, action_id, policy), "declined")


@acts(ONE + "/withdraw", Permission.PEOPLE_ACT, fresh=True, back=AT)
async def withdraw(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/approvals/{id}/withdraw`: by whoever asked."""
    action_id, policy = request.path_params["id"], desk.services.policy
    return await _do(
        desk, request, values, actor, lambda tx: actions.withdraw(tx, actor, action_id, policy), "withdrawn"
    )


@acts(ONE + "/alone", Permission.GLASS_BREAK, "reason", fresh=True, back=AT)
async def alone(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/approvals/{id}/alone`: breaks the glass; everybody is told."""
    action_id, policy, why = request.path_params["id"], desk.services.policy, values["reason"]
    return await _do(
        desk, request, values, actor, lambda tx: actions.break_glass(tx, actor, action_id, why, policy), "alone"
    )


ROUTES = [show, approve, decline, withdraw, alone]
