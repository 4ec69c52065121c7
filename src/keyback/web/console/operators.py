"""`/console/operators`: who works in the console; added with a set-up link, and removed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import new_links, operators
from keyback.application.desk.sessions import Actor
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Permission, Role
from keyback.web.console.pages import OperatorsPage, addable, losable
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values

AT = "/console/operators"


async def draw(
    desk: AppContext,
    request: Request,
    actor: Actor,
    status: int = 200,
    *,
    error: str = "",
    typed: Values | None = None,
    link: str = "",
    added: str = "",
) -> Response:
    found, asked = await desk.services.db.read(lambda tx: (tuple(tx.operators.listed()), new_links.waiting(tx, actor)))
    lost, said = losable(actor.operator, found), request.query_params.get("done") == "asked" and not error
    model = OperatorsPage(found, addable(actor.operator), link, added, error, typed or {}, asked, lost, said)
    return page(desk, request, actor, model, status, path=AT)


@shows(AT, Permission.OPERATORS_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/operators`."""
    return await draw(desk, request, actor)


@acts(AT, Permission.OPERATORS_MANAGE, "name", "email", "role", fresh=True, back=AT)
async def add(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/operators`: the link of the new operator is shown once, in the answer."""
    try:
        role = Role(values["role"])
        invited = await desk.services.db.write(
            lambda tx: operators.add(tx, values["name"], values["email"], role, actor.operator)
        )
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        return await draw(desk, request, actor, 422, error=e.code, typed=values)
    except ValueError:
        return await draw(desk, request, actor, 422, error="role", typed=values)
    link = f"{desk.services.public_url}/console/set-up/{invited.token}"
    return await draw(desk, request, actor, link=link, added=invited.operator.name)


@acts(AT + "/{id:str}/remove", Permission.OPERATORS_MANAGE, fresh=True, back=AT)
async def remove(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/operators/{id}/remove`."""
    operator_id = request.path_params["id"]
    try:
        await desk.services.db.write(lambda tx: operators.remove(tx, operator_id, actor.operator))
    except Refusal as e:
        note_refusal(request, e.code)
        return await draw(desk, request, actor, 404 if e.code == "not_found" else 409, error=e.code)
    return redirect(AT)


@acts("/console/new-links", Permission.OPERATORS_VOUCH, "operator", "reason", fresh=True, back=AT)
async def ask_link(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/new-links`: the first of two asks for somebody who lost what they sign in with."""
    v = values
    try:
        await desk.services.db.write(lambda tx: new_links.ask(tx, actor, v["operator"], v["reason"]))
    except (Refusal, BadInput) as e:
        return await _refused(desk, request, actor, e.code, values)
    return redirect(f"{AT}?done=asked")


@acts("/console/new-links/{id:str}/approve", Permission.OPERATORS_VOUCH, fresh=True, back=AT)
async def approve_link(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/new-links/{id}/approve`: the link is shown once, in the answer."""
    action_id = request.path_params["id"]
    try:
        invited = await desk.services.db.write(lambda tx: new_links.approve(tx, actor, action_id))
    except Refusal as e:
        return await _refused(desk, request, actor, e.code)
    link = f"{desk.services.public_url}/console/set-up/{invited.token}"
    return await draw(desk, request, actor, link=link, added=invited.operator.name)


@acts("/console/new-links/{id:str}/decline", Permission.OPERATORS_VOUCH, fresh=True, back=AT)
async def decline_link(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/new-links/{id}/decline`."""
    action_id = request.path_params["id"]
    try:
        await desk.services.db.write(lambda tx: new_links.decline(tx, actor, action_id))
    except Refusal as e:
        return await _refused(desk, request, actor, e.code)
    return redirect(AT)


async def _refused(
    desk: AppContext, request: Request, actor: Actor, code: str, typed: Values | None = None
) -> Response:
    note_refusal(request, code)
    if code in ("step_up", "over"):
        return redirect(f"/console/confirm?next={AT}")
    status = {"not_found": 404, "empty": 422, "too_long": 422, "rank": 403, "yourself": 403, "own_work": 403}
    return await draw(desk, request, actor, status.get(code, 409), error=code, typed=typed)


ROUTES = [show, add, remove, ask_link, approve_link, decline_link]
