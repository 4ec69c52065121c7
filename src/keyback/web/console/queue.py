"""`/console`: cases that wait for an operator, by filters that an operator can keep under a name."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import cases, views
from keyback.application.desk.sessions import Actor
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Permission
from keyback.web.console.filters import Filters
from keyback.web.console.pages import Queue
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values

AFTER = re.compile(r"([0-9]{1,15})-([A-Za-z0-9_-]{22})\Z")


@shows("/console", Permission.SIGNED_IN)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console`: the queue; for whoever works on no cases, the operators."""
    if not actor.operator.may(Permission.CASES_VIEW):
        return redirect("/console/operators")
    return await draw(desk, request, actor)


async def draw(
    desk: AppContext, request: Request, actor: Actor, status: int = 200, sought: str = "", error: str = "",
    typed: str = "", filters: Filters | None = None,
) -> Response:  # fmt: skip
    """One page of the queue, by the filters that the address names."""
    s, asked, me = desk.services, request.query_params, actor.operator.id
    wanted = filters or Filters.read(asked)
    at = AFTER.match(asked.get("after", ""))
    after = (int(at[1]), at[2]) if at else (0, "")
    found, kept = await s.db.read(
        lambda tx: (cases.queue(tx, wanted.query(me, s.hours, tx.now, after), s.hours), tuple(tx.desk.views(me)))
    )
    more = f"?{wanted.words}&after={found.more[0]}-{found.more[1]}".replace("?&", "?") if found.more else ""
    model = Queue(found, wanted, kept, s.hours.goal, more, sought, cases.MANY, error, typed)
    return page(desk, request, actor, model, status, path="/console")


@acts("/console/find", Permission.CASES_VIEW, "q")
async def find(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/find`: a case by its number or ticket, or by its person's address or user name; in no address
    bar."""
    typed = values["q"][:254]
    case_id = await desk.services.db.read(lambda tx: cases.find(tx, typed))
    if case_id:
        return redirect(f"/console/cases/{case_id}")
    return await draw(desk, request, actor, 404, typed)


@acts("/console/views", Permission.CASES_VIEW, "name", "query")
async def keep(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/views`: keeps the filters on the page under a name."""
    wanted = Filters.read(dict(parse_qsl(values["query"])))
    try:
        await desk.services.db.write(lambda tx: views.save(tx, actor, values["name"], wanted.words))
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        return await draw(desk, request, actor, 422, error=e.code, typed=values["name"], filters=wanted)
    return redirect(f"/console?{wanted.words}")


@acts("/console/views/{view:str}/remove", Permission.CASES_VIEW)
async def drop(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/views/{id}/remove`: forgets one of the operator's own."""
    view_id = request.path_params["view"]
    await desk.services.db.write(lambda tx: tx.desk.remove_view(actor.operator.id, view_id))
    return redirect("/console")


ROUTES = [show, find, keep, drop]
