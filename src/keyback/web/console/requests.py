"""`/console/requests`: people who asked for help, each with what was written both ways."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import help_answers
from keyback.application.desk.help_request import MANY
from keyback.application.desk.sessions import Actor
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Permission
from keyback.web.console.pages_requests import RequestPage, RequestsPage
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.routes import Values

ONE = "/console/requests/{id:str}"
TABS = ("open", "answered", "closed")
AFTER = re.compile(r"([0-9]{1,15})-([A-Za-z0-9_-]{22})\Z")
STATUS = {"yourself": 403, "rank": 403, "own_work": 403, "not_found": 404}


@shows("/console/requests", Permission.CASES_VIEW)
async def listed(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/requests`: those that wait longest first."""
    asked = request.query_params
    tab: Any = asked.get("tab", "") if asked.get("tab", "") in TABS else "open"
    at = AFTER.match(asked.get("after", ""))
    after = (int(at[1]), at[2]) if at else (0, "")
    found = await desk.services.db.read(lambda tx: help_answers.listing(tx, tab, after))
    more = f"?tab={tab}&after={found.more[0]}-{quote(found.more[1])}" if found.more else ""
    return page(desk, request, actor, RequestsPage(found, tab, more, MANY), path="/console/requests")


async def _draw(
    desk: AppContext, request: Request, actor: Actor, status: int = 200, error: str = "", text: str = ""
) -> Response:
    handle = request.path_params["id"]
    try:
        opened = await desk.services.db.read(lambda tx: help_answers.open_request(tx, actor, handle))
    except Refusal:
        return desk.page(request, ErrorPage(404, back="/console/requests"), 404, path="/console")
    done = request.query_params.get("done", "")
    said = done if done in ("answered", "closed") and not error else ""
    return page(
        desk, request, actor, RequestPage(opened, error, text, said), status, path=f"/console/requests/{handle}"
    )


@shows(ONE, Permission.CASES_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/requests/{id}`."""
    return await _draw(desk, request, actor)


@acts(ONE + "/reply", Permission.CASES_WORK, "text", "act")
async def reply(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/requests/{id}/reply`: an answer, which may close it."""
    handle, close = request.path_params["id"], values["act"] == "close"
    try:
        await desk.services.db.write(lambda tx: help_answers.reply(tx, actor, handle, values["text"], close=close))
    except (Refusal, BadInput) as e:
        return await _refused(desk, request, actor, e, values["text"])
    return redirect(f"/console/requests/{handle}?done={'closed' if close else 'answered'}")


@acts(ONE + "/case", Permission.CASES_WORK)
async def case(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/requests/{id}/case`: opens or joins the case of whoever it is about."""
    handle = request.path_params["id"]
    try:
        case_id = await desk.services.db.write(lambda tx: help_answers.open_case(tx, actor, handle))
    except Refusal as e:
        return await _refused(desk, request, actor, e)
    return redirect(f"/console/cases/{case_id}")


async def _refused(desk: AppContext, request: Request, actor: Actor, e: Refusal | BadInput, text: str = "") -> Response:
    note_refusal(request, e.code)
    status = 422 if isinstance(e, BadInput) else STATUS.get(e.code, 409)
    return await _draw(desk, request, actor, status, e.code, text)


ROUTES = [listed, show, reply, case]
