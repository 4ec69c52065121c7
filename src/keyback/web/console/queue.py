"""`/console`: cases that wait for an operator."""

from __future__ import annotations

import re
from typing import Any, get_args
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import cases
from keyback.application.desk.sessions import Actor
from keyback.application.ports.desk_storage import QueueQuery
from keyback.domain.operators.roles import Permission
from keyback.domain.policy.rules import Journey
from keyback.web.console.pages import Queue
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, redirect
from keyback.web.ui.routes import Values

TABS = {"": "", "mine": "", "free": "-"}
AFTER = re.compile(r"([0-9]{1,15})-([A-Za-z0-9_-]{22})\Z")


@shows("/console", Permission.SIGNED_IN)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console`: the queue; for whoever works on no cases, the operators."""
    if not actor.operator.may(Permission.CASES_VIEW):
        return redirect("/console/operators")
    return await draw(desk, request, actor)


async def draw(desk: AppContext, request: Request, actor: Actor, status: int = 200, sought: str = "") -> Response:
    """One page of the queue, by the tab and the filter that the address names."""
    asked = request.query_params
    tab = asked.get("tab", "") if asked.get("tab", "") in TABS else ""
    wanted = asked.get("journey", "")
    journey: Any = wanted if wanted in get_args(Journey) else ""
    at = AFTER.match(asked.get("after", ""))
    query = QueueQuery(
        actor.operator.id if tab == "mine" else TABS[tab], journey, (int(at[1]), at[2]) if at else (0, "")
    )
    found = await desk.services.db.read(lambda tx: cases.queue(tx, query))
    more = ""
    if found.more:
        more = f"?tab={tab}&journey={journey}&after={found.more[0]}-{quote(found.more[1])}"
    model = Queue(found, tab, journey, more, sought, cases.MANY)
    return page(desk, request, actor, model, status, path="/console")


@acts("/console/find", Permission.CASES_VIEW, "q")
async def find(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/find`: a case by its number, or by its person's address or user name; in no address bar."""
    typed = values["q"][:254]
    case_id = await desk.services.db.read(lambda tx: cases.find(tx, typed))
    if case_id:
        return redirect(f"/console/cases/{case_id}")
    return await draw(desk, request, actor, 404, typed)


ROUTES = [show, find]
