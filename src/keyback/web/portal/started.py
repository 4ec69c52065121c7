"""`/start/{id}`: a recovery that the help desk started; its person goes on in their own browser, and verifies."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.desk import actions
from keyback.application.handles import new_handle
from keyback.application.recovery import start
from keyback.domain.errors import Refusal
from keyback.web.portal.pages_again import StartedForYou
from keyback.web.ui.context import AppContext, context_of, redirect
from keyback.web.ui.routes import Values, anybody, post

AT = "/start/{id:str}"


async def show(request: Request) -> Response:
    """GET `/start/{id}`: changes nothing; what is over and what never was look alike."""
    desk, action_id = context_of(request), request.path_params["id"]
    found = await desk.services.db.read(lambda tx: actions.started(tx, action_id))
    return _shown(desk, request, found)


def _shown(desk: AppContext, request: Request, found: actions.Started) -> Response:
    action_id = request.path_params["id"]
    model = StartedForYou(action_id if found.open else "", found.journey, found.operator)
    return desk.page(request, model, 200 if found.open else 410, step=1 if found.open else None)


@post(anybody, limit="recoveries")
async def go_on(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/start/{id}`: asks for the recovery in this browser, once."""
    s, action_id, handle = desk.services, request.path_params["id"], new_handle()
    found = await s.db.read(lambda tx: actions.started(tx, action_id))
    if not found.open:
        return _shown(desk, request, found)
    try:
        now = await s.db.write(lambda tx: actions.go_on(tx, action_id, handle))
    except Refusal:
        return _shown(desk, request, actions.Started(False))
    begun = await start.write_down(
        s.db,
        s.seals,
        found.identifier,
        journey=found.journey,
        system="",
        locale=desk.locale(request),
        origin=desk.origin(request),
        now=now,
        handle=handle,
    )
    response = redirect(f"/r/{begun.handle}")
    desk.cookies.hold(request, response, begun.handle, begun.secret)
    return response


ROUTES = [Route(AT, show, methods=["GET"]), Route(AT, go_on, methods=["POST"])]
