"""`/account/systems`: password age, sign-ins and applications in every system, and "not mine"."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.account import systems
from keyback.domain.errors import Refusal
from keyback.web.account.pages import Event
from keyback.web.account.pages_systems import EndAccess, Systems
from keyback.web.account.session import Me, mine, page
from keyback.web.ui.context import AppContext, redirect
from keyback.web.ui.routes import Values, get, post

HOME = "/account/systems"
MAX_ID = 200
SEEN = {True: "system_signed_in", False: "system_sign_in_failed"}


@get(mine())
async def show(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/systems`."""
    rows = await systems.look(desk.services, me.person.id)
    asked = request.query_params.get("done", "")
    done = asked if asked in ("done", "refused", "unsure", "guided") else ""
    return page(desk, request, me, Systems(rows, me.now, done))  # type: ignore[arg-type]


@get(mine(fresh=True, back=HOME))
async def ask(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/systems/end?account=…&grant=…`: asks first; changes nothing."""
    account, grant = (request.query_params.get(name, "")[:MAX_ID] for name in ("account", "grant"))
    rows = await systems.look(desk.services, me.person.id)
    row = next((r for r in rows if r.account.id == account and r.ends), None)
    app = next((g for g in row.grants if g.id == grant), None) if row else None
    if row is None or (app is None and grant != systems.ALL):
        return redirect(HOME)
    model = EndAccess(account, row.title, grant, app.title or app.id if app else "")
    return page(desk, request, me, model, path=HOME)


@post(mine(fresh=True, back=HOME), "account", "grant")
async def end(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/systems/end`."""
    account, grant, origin = values["account"][:MAX_ID], values["grant"][:MAX_ID], desk.origin(request)
    try:
        ended = await systems.disown(desk.services, me.session, account, grant, origin)
    except Refusal:
        return redirect("/account")
    return redirect(f"{HOME}?done={ended[0]}" if ended else HOME)


async def sign_ins(desk: AppContext, me: Me, since: int = 0, until: int = 2**62) -> list[Event]:
    """What the systems say of sign-ins, as events of the activity list, between two instants (ms)."""
    rows = await systems.look(desk.services, me.person.id)
    return [
        Event(SEEN[x.ok], x.at, x.source, x.client, by=title)
        for title, x in systems.sign_ins(rows)
        if since <= x.at < until
    ]


ROUTES = [
    Route(HOME, show, methods=["GET"]),
    Route(f"{HOME}/end", ask, methods=["GET"]),
    Route(f"{HOME}/end", end, methods=["POST"]),
]
