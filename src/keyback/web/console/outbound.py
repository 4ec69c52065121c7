"""`/console/outbound/{id}`: a call that an operator entered, with the number that the person's screen shows too."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import outbound_call
from keyback.application.desk.sessions import Actor
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Permission
from keyback.web.console.case import STATUS, draw
from keyback.web.console.pages import OutboundPage
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.routes import Values

ONE = "/console/outbound/{id:str}"


@acts("/console/cases/{id:str}/call", Permission.CALLS_HANDLE, "reason")
async def enter(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/cases/{id}/call`: enters a call before it is made."""
    case_id, reason = request.path_params["id"], values["reason"]
    try:
        call = await desk.services.db.write(lambda tx: outbound_call.enter(tx, actor, case_id, reason))
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        return await draw(desk, request, actor, STATUS.get(e.code, 409), e.code)
    return redirect(f"/console/outbound/{call.id}")


@shows(ONE, Permission.CALLS_HANDLE)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/outbound/{id}`."""
    call_id = request.path_params["id"]
    try:
        found = await desk.services.db.read(lambda tx: outbound_call.open_call(tx, actor, call_id))
    except Refusal:
        return desk.page(request, ErrorPage(404, back="/console"), 404, path="/console")
    return page(desk, request, actor, OutboundPage(found), path=f"/console/outbound/{call_id}")


@acts(ONE + "/end", Permission.CALLS_HANDLE)
async def end(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/outbound/{id}/end`."""
    call_id = request.path_params["id"]
    try:
        case_id = await desk.services.db.write(lambda tx: outbound_call.end(tx, actor, call_id))
    except Refusal as e:
        note_refusal(request, e.code)
        return desk.page(request, ErrorPage(404, back="/console"), 404, path="/console")
    return redirect(f"/console/cases/{case_id}")


ROUTES = [enter, show, end]
