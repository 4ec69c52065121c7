"""`/new-address`, reached by the link of a notice: an address from the company's records may be refused."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.people import address_changes
from keyback.web.account.pages_contacts import NewAddress
from keyback.web.ui import links
from keyback.web.ui.context import context_of
from keyback.web.ui.forms import read_form
from keyback.web.ui.page import ErrorPage

PATH = "/new-address"


async def show(request: Request) -> Response:
    """GET `/new-address`: what a POST would do. Changes nothing."""
    desk = context_of(request)
    token = links.shown(desk, request)
    found = await desk.services.db.read(lambda tx: address_changes.look(tx, token))
    return desk.page(request, _page(found), 410 if found.problem else 200, path=PATH)


def _page(found: address_changes.Moving) -> NewAddress:
    return NewAddress(found.problem, found.address, found.old, found.primary, found.until, found.username)


async def refuse(request: Request) -> Response:
    """POST `/new-address`: it is not mine."""
    desk = context_of(request)
    mark, origin = (await read_form(request, links.FIELD))[links.FIELD], desk.origin(request)
    token = links.sent(desk, request, mark)
    # A limit for comfort: in an emergency it is no obstacle when its store is away.
    if not await desk.allows("recoveries", request):
        return desk.page(request, ErrorPage(429, 60, PATH), 429)
    if not token:
        return links.stale(request, PATH, mark)
    seen = await desk.services.db.read(lambda tx: address_changes.look(tx, token))
    done = await desk.services.db.write(lambda tx: address_changes.refuse_by_link(tx, token, origin))
    model = replace(_page(seen), problem="done" if done else seen.problem or "over")
    response = desk.page(request, model, 200 if done else 410, path=PATH)
    links.drop(desk, request, response, token)
    return response


ROUTES = [
    Route(PATH, show, methods=["GET"]),
    Route(PATH, refuse, methods=["POST"]),
]
