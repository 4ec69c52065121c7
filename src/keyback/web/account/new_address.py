"""`/new-address`, reached by the link of a notice: an address or number from the company's records may be refused."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.people import address_changes
from keyback.web.account.pages_contacts import NewAddress
from keyback.web.portal.pages_link import LinkOver, Reason
from keyback.web.ui import links
from keyback.web.ui.context import AppContext, context_of
from keyback.web.ui.routes import Values, anybody, post

PATH = "/new-address"


async def show(request: Request) -> Response:
    """GET `/new-address`: what a POST would do. Changes nothing."""
    desk = context_of(request)
    token = links.shown(desk, request)
    found = await desk.services.db.read(lambda tx: address_changes.look(tx, token))
    if found.problem is not None:
        return _over(desk, request, found.problem if token else "no_link")
    return desk.page(request, _page(found), path=PATH)


def _over(desk: AppContext, request: Request, reason: Reason) -> Response:
    model = LinkOver("address", reason)
    return desk.page(request, model, model.status, path=PATH)


def _page(found: address_changes.Moving, *, done: bool = False) -> NewAddress:
    return NewAddress(done, found.address, found.old, found.primary, found.until, found.username, found.phone)


# A limit for comfort: in an emergency it is no obstacle when its store is away.
@post(anybody, links.FIELD, limit="recoveries", at=PATH)
async def refuse(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/new-address`: it is not mine."""
    mark, origin = values[links.FIELD], desk.origin(request)
    token = links.sent(desk, request, mark)
    if not token:
        return links.stale(request, PATH, mark)
    seen = await desk.services.db.read(lambda tx: address_changes.look(tx, token))
    done = await desk.services.db.write(lambda tx: address_changes.refuse_by_link(tx, token, origin))
    if not done:  # the token stays: the page is shown again as it was
        return _over(desk, request, seen.problem or "used")
    response = desk.page(request, _page(seen, done=True), path=PATH)
    links.drop(desk, request, response, token)
    return response


ROUTES = [
    Route(PATH, show, methods=["GET"]),
    Route(PATH, refuse, methods=["POST"]),
]
