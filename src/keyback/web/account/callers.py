"""`/account/callers`: a manager of record is asked whether somebody who calls the help desk is who they say."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.desk import manager
from keyback.domain.errors import Refusal
from keyback.web.account.pages_contacts import Callers
from keyback.web.account.session import Me, mine, page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values, get, post

AT = "/account/callers"


async def _draw(
    desk: AppContext, request: Request, me: Me, status: int = 200, error: str = "", of: str = ""
) -> Response:
    found = await desk.services.db.read(lambda tx: manager.asked(tx, me.person.id))
    said = request.query_params.get("done", "")
    done = said if said in ("passed", "refused") and not error else ""
    return page(desk, request, me, Callers(found, me.fresh, done, error, of), status, path=AT)


@get(mine())
async def show(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/callers`."""
    return await _draw(desk, request, me)


@post(mine(fresh=True, back=AT), "number", limit="proofs", at=AT)
async def confirm(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/callers/{id}`: the number that the caller reads from their page."""
    s, check_id, typed = desk.services, request.path_params["id"], values["number"]
    asked = await s.db.read(lambda tx: manager.asked(tx, me.person.id))
    one = next((a for a in asked if a.check_id == check_id), None)
    if one is not None and desk.cookies.holds(request, s.seals, one.handle):
        note_refusal(request, "own")
        return await _draw(desk, request, me, 403, "own", check_id)
    try:
        outcome = await s.db.write(lambda tx: manager.confirm(tx, me.person, check_id, typed, s.policy))
    except Refusal as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, me, 410, "over")
    if outcome != "passed":
        note_refusal(request, outcome)
        return await _draw(desk, request, me, 422, outcome, check_id)
    return redirect(f"{AT}?done=passed")


@post(mine(), at=AT)
async def refuse(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/callers/{id}/refuse`."""
    check_id = request.path_params["id"]
    try:
        await desk.services.db.write(lambda tx: manager.refuse(tx, me.person, check_id))
    except Refusal as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, me, 410, "over")
    return redirect(f"{AT}?done=refused")


ROUTES = [
    Route(AT, show, methods=["GET"]),
    Route(f"{AT}/{{id:str}}", confirm, methods=["POST"]),
    Route(f"{AT}/{{id:str}}/refuse", refuse, methods=["POST"]),
]
