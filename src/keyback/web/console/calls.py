"""`/console/calls`: somebody calls, and an operator checks who it is before anything of a record can be opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import caller_check, manager
from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import Tx
from keyback.domain.errors import Refusal
from keyback.domain.operators.roles import Permission
from keyback.web.console.pages import CallsPage, CheckPage, RefusePage
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.routes import Values

AT = "/console/calls"
ONE = AT + "/{id:str}"
MINE = 20  # checks that the list shows
STATUS = {"wrong": 422, "slow_down": 429, "off": 409, "yourself": 403, "rank": 403}


async def draw(desk: AppContext, request: Request, actor: Actor, status: int = 200, error: str = "") -> Response:
    """The page where a number is typed, with the operator's own checks."""
    me = actor.operator.id
    mine, now = await desk.services.db.read(lambda tx: (tuple(tx.calls.checks_by(me, MINE)), tx.now))
    address = f"{desk.services.public_url}/call"
    return page(desk, request, actor, CallsPage(address, mine, now, error), status, path=AT)


@shows(AT, Permission.CALLS_HANDLE)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/calls`."""
    return await draw(desk, request, actor)


@acts(AT, Permission.CALLS_HANDLE, "number")
async def begin(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/calls`: the number that a caller reads out."""
    s, typed = desk.services, values["number"]
    try:
        done = await s.db.write(lambda tx: caller_check.begin(tx, actor, typed, s.policy))
    except Refusal as e:
        note_refusal(request, e.code)
        return await draw(desk, request, actor, STATUS.get(e.code, 409), e.code)
    if isinstance(done, str):
        note_refusal(request, done)
        return await draw(desk, request, actor, STATUS[done], done)
    return redirect(f"{AT}/{done.id}")


async def _draw_one(
    desk: AppContext, request: Request, actor: Actor, status: int = 200, error: str = "", typed: Values | None = None
) -> Response:
    s, check_id = desk.services, request.path_params["id"]
    try:
        opened = await s.db.read(lambda tx: caller_check.open_check(tx, actor, check_id, s.policy))
    except Refusal:
        return desk.page(request, ErrorPage(404, back=AT), 404, path=AT)
    return page(desk, request, actor, CheckPage(opened, error, typed or {}), status, path=f"{AT}/{check_id}")


async def _do(desk: AppContext, request: Request, values: Values, actor: Actor, act: Callable[[Tx], Any]) -> Response:
    try:
        done = await desk.services.db.write(act)
    except Refusal as e:
        note_refusal(request, e.code)
        return await _draw_one(desk, request, actor, STATUS.get(e.code, 409), e.code, values)
    if done == "wrong":
        return await _draw_one(desk, request, actor, 422, "wrong", values)
    return redirect(f"{AT}/{request.path_params['id']}")


@shows(ONE, Permission.CALLS_HANDLE)
async def one(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/calls/{id}`."""
    return await _draw_one(desk, request, actor)


@acts(ONE + "/number", Permission.CALLS_HANDLE, "contact", "number")
async def take(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/calls/{id}/number`: what whoever answered the callback reads out."""
    check_id, v, policy = request.path_params["id"], values, desk.services.policy
    return await _do(
        desk, request, v, actor, lambda tx: caller_check.take(tx, actor, check_id, v["contact"], v["number"], policy)
    )


@acts(ONE + "/confirmed", Permission.CALLS_HANDLE)
async def confirmed(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/calls/{id}/confirmed`: a recovery contact confirmed instead."""
    check_id = request.path_params["id"]
    return await _do(desk, request, values, actor, lambda tx: caller_check.take_confirmation(tx, actor, check_id))


@shows(ONE + "/refuse", Permission.CALLS_HANDLE)
async def ask(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/calls/{id}/refuse`: asks first; a check that is over says so itself."""
    s, check_id = desk.services, request.path_params["id"]
    try:
        opened = await s.db.read(lambda tx: caller_check.open_check(tx, actor, check_id, s.policy))
    except Refusal:
        return desk.page(request, ErrorPage(404, back=AT), 404, path=AT)
    if opened.state != "begun":
        return redirect(f"{AT}/{check_id}")
    return page(desk, request, actor, RefusePage(opened), path=f"{AT}/{check_id}/refuse")


@acts(ONE + "/manager", Permission.CALLS_HANDLE)
async def ask_manager(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/calls/{id}/manager`: the manager of record is asked to co-sign."""
    check_id = request.path_params["id"]
    return await _do(desk, request, values, actor, lambda tx: manager.ask(tx, actor, check_id))


@acts(ONE + "/refuse", Permission.CALLS_HANDLE)
async def refuse(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/calls/{id}/refuse`: it isn't them."""
    check_id = request.path_params["id"]
    return await _do(desk, request, values, actor, lambda tx: caller_check.refuse(tx, actor, check_id))


ROUTES = [show, begin, one, take, confirmed, ask_manager, ask, refuse]
