"""`/wasnt-me`, reached by the link of a notice, and `/account/lock` from inside."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.account import lockdown
from keyback.application.enrolment import recently_added
from keyback.application.notifications.account_changes import DAYS_BACK
from keyback.application.ports.storage import Tx
from keyback.web.account.pages import Lock
from keyback.web.account.session import Me, mine, page
from keyback.web.http.cookies import SESSION
from keyback.web.portal.pages_link import LinkOver, Reason
from keyback.web.ui import links
from keyback.web.ui.context import AppContext, context_of
from keyback.web.ui.routes import Values, anybody, get, post


def _titles(desk: AppContext, systems: Sequence[str]) -> tuple[str, ...]:
    return tuple(desk.services.titles.get(s, s) for s in systems)


async def show(request: Request) -> Response:
    """GET `/wasnt-me`: what a POST would do. Changes nothing (E13)."""
    desk = context_of(request)
    token = links.shown(desk, request)
    found = await desk.services.db.read(lambda tx: lockdown.look(tx, token))
    if found.problem is not None:
        return _over(desk, request, found.problem if token else "no_link", found.username)
    model = Lock("/wasnt-me", False, found.username, found.recent, _titles(desk, found.elsewhere))
    return desk.page(request, model, path="/wasnt-me")


def _over(desk: AppContext, request: Request, reason: Reason, username: str) -> Response:
    model = LinkOver("lock", reason, username=username)
    return desk.page(request, model, model.status, path="/wasnt-me")


# A limit for comfort: in an emergency it is no obstacle when its store is away.
@post(anybody, "take_back", links.FIELD, limit="recoveries", at="/wasnt-me")
async def lock(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/wasnt-me`."""
    token, origin = links.sent(desk, request, values[links.FIELD]), desk.origin(request)
    back = values["take_back"] == "yes"
    if not token:
        return links.stale(request, "/wasnt-me", values[links.FIELD])
    seen = await desk.services.db.read(lambda tx: lockdown.look(tx, token))
    done = await desk.services.db.write(lambda tx: lockdown.lock_by_link(tx, token, back, origin))
    if not done:  # the token stays: the page is shown again as it was
        return _over(desk, request, seen.problem or "used", seen.username)
    model = Lock("/wasnt-me", True, seen.username, elsewhere=_titles(desk, seen.elsewhere))
    response = desk.page(request, model, path="/wasnt-me")
    links.drop(desk, request, response, token)
    return response


@get(mine())
async def show_inside(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/lock`."""

    def load(tx: Tx) -> tuple[tuple[recently_added.Added, ...], tuple[str, ...]]:
        added = recently_added.recent(tx, me.person.id, tx.now - DAYS_BACK)
        return tuple(added), lockdown.not_locked(tx, me.person.id)

    found, elsewhere = await desk.services.db.read(load)
    # In an emergency nobody is asked for more; taking things back is for somebody who has just shown who they are.
    model = Lock("/account/lock", False, me.account.username, found if me.fresh else (), _titles(desk, elsewhere))
    return page(desk, request, me, model)


@post(mine(), "take_back")
async def lock_inside(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/lock`."""
    back, origin = values["take_back"] == "yes" and me.fresh, desk.origin(request)
    await desk.services.db.write(lambda tx: lockdown.lock(tx, me.person.id, back, origin))
    elsewhere = await desk.services.db.read(lambda tx: lockdown.not_locked(tx, me.person.id))
    model = Lock("/account/lock", True, me.account.username, elsewhere=_titles(desk, elsewhere))
    response = desk.page(request, model, path="/account")
    desk.cookies.drop(response, SESSION)
    return response


ROUTES = [
    Route("/wasnt-me", show, methods=["GET"]),
    Route("/wasnt-me", lock, methods=["POST"]),
    Route("/account/lock", show_inside, methods=["GET"]),
    Route("/account/lock", lock_inside, methods=["POST"]),
]
