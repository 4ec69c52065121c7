"""`/console/tasks`: what only an administrator of a system can do, with what its person was verified by."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import completion
from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Permission
from keyback.web.console.pages import TaskPage, TasksPage
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.routes import Values

AT = "/console/tasks"
ONE = AT + "/{id:str}"
BACK = "/console/tasks/{id}"
AFTER = re.compile(r"([0-9]{1,15})-([A-Za-z0-9_-]{22})\Z")
STATUS = {"yourself": 403, "rank": 403, "own_work": 403, "empty": 422, "too_long": 422}
DONE = ("done", "first", "declined")


@shows(AT, Permission.TASKS_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/tasks`: those that are open, or all."""
    tab = "all" if request.query_params.get("tab") == "all" else ""
    at = AFTER.match(request.query_params.get("after", ""))
    after = (int(at[1]), at[2]) if at else (0, "")
    s = desk.services
    found = await s.db.read(lambda tx: completion.task_list(tx, waiting=not tab, after=after))
    more = f"?tab={tab}&after={found.more[0]}-{quote(found.more[1])}" if found.more else ""
    return page(desk, request, actor, TasksPage(found, s.titles, tab, more), path=AT)


async def _draw(
    desk: AppContext, request: Request, actor: Actor, status: int = 200, error: str = "", typed: Values | None = None
) -> Response:
    s, task_id = desk.services, request.path_params["id"]
    try:
        opened = await s.db.read(lambda tx: completion.open_task(tx, actor, task_id, s.policy))
    except Refusal:
        return desk.page(request, ErrorPage(404, back=AT), 404, path=AT)
    said = request.query_params.get("done", "")
    model = TaskPage(opened, s.titles, error, typed or {}, said if said in DONE and not error else "")
    return page(desk, request, actor, model, status, path=f"{AT}/{task_id}")


async def _do(
    desk: AppContext, request: Request, values: Values, actor: Actor, act: Callable[[Tx], Any], done: str = ""
) -> Response:
    """Does something with a task; what is refused is said on its page, and what was typed stays there."""
    task_id = request.path_params["id"]
    try:
        outcome = await desk.services.db.write(act)
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        if e.code in ("step_up", "over"):
            return redirect(f"/console/confirm?next={AT}/{task_id}")
        return await _draw(desk, request, actor, STATUS.get(e.code, 409), e.code, values)
    return redirect(f"{AT}/{task_id}?done={done or outcome}")


@shows(ONE, Permission.TASKS_VIEW)
async def one(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/tasks/{id}`."""
    return await _draw(desk, request, actor)


@acts(ONE + "/done", Permission.TASKS_COMPLETE, "note", fresh=True, back=BACK)
async def complete(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/tasks/{id}/done`."""
    task_id, note, policy = request.path_params["id"], values["note"], desk.services.policy
    return await _do(desk, request, values, actor, lambda tx: completion.complete(tx, actor, task_id, note, policy))


@acts(ONE + "/decline", Permission.TASKS_COMPLETE, "reason", fresh=True, back=BACK)
async def decline(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/tasks/{id}/decline`."""
    task_id, reason, policy = request.path_params["id"], values["reason"], desk.services.policy

    def act(tx: Tx) -> None:
        completion.decline(tx, actor, task_id, reason, policy)

    return await _do(desk, request, values, actor, act, "declined")


ROUTES = [show, one, complete, decline]
