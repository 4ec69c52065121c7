"""Which operator a request comes from, and whether they may do what its route names."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import sessions
from keyback.application.desk.operators import STREAM
from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import Tx
from keyback.domain.operators.roles import Permission
from keyback.domain.recovery.events import Note
from keyback.web.console.pages import ConsolePage, Denied, Me, StaleForm
from keyback.web.http.cookies import CONSOLE
from keyback.web.ui.context import AppContext, context_of, note_refusal, redirect
from keyback.web.ui.form_tokens import fits, form_token

SIGN_IN = "/console/sign-in"
OWN_PATH = re.compile(r"/console(/[A-Za-z0-9_-]{1,40}){0,3}\Z")


async def may(request: Request, permission: Permission, *, fresh: bool = False, back: str = "") -> Actor | Response:
    """The operator, if they may; else the way to sign in or to confirm it, or a page that says why not.

    What is refused for want of a permission is in the audit log.
    """
    desk = context_of(request)
    token = desk.cookies.get(request, CONSOLE)
    actor = await desk.services.db.write(lambda tx: sessions.actor_of(tx, token)) if token else None
    if actor is None:
        note_refusal(request, "unauthorized")
        response = redirect(SIGN_IN)
        desk.cookies.drop(response, CONSOLE)
        return response
    if request.method == "POST" and not fits(request, token):
        note_refusal(request, "cross_site")
        return page(desk, request, actor, StaleForm(), 403, path="/console")
    if not actor.operator.may(permission):
        note_refusal(request, "forbidden")
        await desk.services.db.write(lambda tx: _denied(tx, actor, permission))
        return page(desk, request, actor, Denied(), 403, path="/console")
    if fresh and not actor.fresh:
        note_refusal(request, "step_up")
        return redirect(f"/console/confirm?next={own_path(back or request.url.path)}")
    return actor


def _denied(tx: Tx, actor: Actor, permission: Permission) -> None:
    tx.audit.record(STREAM, [Note("operator_denied", {"operator": actor.operator.id, "permission": permission.value})])


def own_path(path: str) -> str:
    """A path of the console; anything else becomes its first page (no open redirects)."""
    return path if OWN_PATH.match(path) else "/console"


def page(
    desk: AppContext, request: Request, actor: Actor, model: ConsolePage, status: int = 200, *, path: str = ""
) -> Response:
    """A page of the console, with the operator's own frame around it."""
    drawn = model.to(Me.of(actor))
    token = form_token(desk.cookies.get(request, CONSOLE))
    return desk.page(request, drawn, status, path=path or request.url.path, form_token=token)
