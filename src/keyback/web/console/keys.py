"""`/console/keys`: programs that use the admin API; a key is shown once, in the answer that makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import keys
from keyback.application.desk.keys import MadeKey
from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.keys import DAYS, FOR_KEYS
from keyback.domain.operators.roles import Permission
from keyback.web.console.pages_keys import KeysPage
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values

T = TypeVar("T")
AT = "/console/keys"
SCOPES = tuple(sorted(p.value for p in FOR_KEYS))


async def draw(
    desk: AppContext, request: Request, actor: Actor, status: int = 200, *, made: MadeKey | None = None,
    error: str = "", typed: Values | None = None, chosen: tuple[str, ...] = (),
) -> Response:  # fmt: skip
    """All keys, and the form for a new one."""
    found, now = await desk.services.db.read(lambda tx: (tuple(keys.listed(tx)), tx.now))
    fields = typed or {"name": "", "days": str(DAYS)}
    return page(desk, request, actor, KeysPage(found, SCOPES, now, made, error, fields, chosen), status, path=AT)


@shows(AT, Permission.OPERATORS_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/keys`."""
    return await draw(desk, request, actor)


@acts(AT, Permission.OPERATORS_MANAGE, "name", "days", many=("scope",), fresh=True, back=AT)
async def add(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/keys`: a program with its first key."""
    chosen = tuple(values["scope"].split("\n")) if values["scope"] else ()
    days = int(values["days"]) if values["days"].isascii() and values["days"].isdecimal() else 0

    def act(tx: Tx) -> MadeKey:
        return keys.add(tx, values["name"], chosen, days, actor.operator)

    try:
        made = await desk.services.db.write(act)
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        return await draw(desk, request, actor, 422, error=e.code, typed=values, chosen=chosen)
    return await draw(desk, request, actor, made=made)


@acts(AT + "/{id:str}/rotate", Permission.OPERATORS_MANAGE, fresh=True, back=AT)
async def rotate(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/keys/{id}/rotate`: a new key; the old one goes on for a day."""
    key_id = request.path_params["id"]
    made = await _do(desk, request, actor, lambda tx: keys.rotate(tx, key_id, actor.operator))
    return made if isinstance(made, Response) else await draw(desk, request, actor, made=made)


@acts(AT + "/{id:str}/remove", Permission.OPERATORS_MANAGE, fresh=True, back=AT)
async def remove(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/keys/{id}/remove`."""
    key_id = request.path_params["id"]
    gone = await _do(desk, request, actor, lambda tx: keys.remove(tx, key_id, actor.operator))
    return gone if isinstance(gone, Response) else redirect(AT)


async def _do(desk: AppContext, request: Request, actor: Actor, act: Callable[[Tx], T]) -> T | Response:
    try:
        return await desk.services.db.write(act)
    except Refusal as e:
        note_refusal(request, e.code)
        return await draw(desk, request, actor, 404, error=e.code)


ROUTES = [show, add, rotate, remove]
