"""`/again`: the mailed link by which another password is chosen for systems that were away too long."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.recovery import choose_again
from keyback.application.recovery.choose_again import AgainView
from keyback.domain.challenges import challenge as ch
from keyback.web.portal.pages_again import ChooseAgain
from keyback.web.ui import links
from keyback.web.ui.context import AppContext, context_of, redirect
from keyback.web.ui.routes import Values, anybody, post


def _shown(desk: AppContext, request: Request, view: AgainView | None) -> Response:
    if view is None:
        return desk.page(request, ChooseAgain("no_link"), 404, path="/again")
    if view.problem is not None:
        return desk.page(request, ChooseAgain(view.problem), 410, path="/again")
    titles = tuple(desk.services.titles.get(s, s) for s in view.systems)
    return desk.page(request, ChooseAgain(None, view.username, titles, view.alone), step=2, path="/again")


async def show(request: Request) -> Response:
    """GET `/again`: changes nothing. The browser that verified goes straight to the form."""
    desk = context_of(request)
    token, s = links.shown(desk, request), desk.services
    view = await s.db.read(lambda tx: choose_again.look(tx, token, s.policy)) if token else None
    if view is not None and view.problem is None and desk.cookies.holds(request, s.seals, view.handle):
        return redirect(f"/r/{view.handle}?again=1")
    return _shown(desk, request, view)


@post(anybody, links.FIELD, limit="proofs", at="/again")
async def go_on(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/again`: this browser may choose, where the link alone is what was verified by."""
    token, s = links.sent(desk, request, values[links.FIELD]), desk.services
    if not token:
        return links.stale(request, "/again", values[links.FIELD])
    origin = desk.origin(request)
    view = await s.db.write(lambda tx: choose_again.open_here(tx, token, s.policy, origin))
    if view.problem is not None or not view.alone:
        return _shown(desk, request, view)
    response = redirect(f"/r/{view.handle}?again=1")
    desk.cookies.hold(request, response, view.handle, ch.holder_secret(s.seals.derive("holder"), view.handle))
    return response


ROUTES = [Route("/again", show, methods=["GET"]), Route("/again", go_on, methods=["POST"])]
