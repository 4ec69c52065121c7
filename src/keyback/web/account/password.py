"""`/account/password`: a new password for somebody who knows the current one (A-6.2.3)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.account import change_password
from keyback.application.ports.hashing import Busy
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import state_of
from keyback.domain.secret import Secret
from keyback.web.account.pages import NewPassword
from keyback.web.account.session import Me, mine, page
from keyback.web.ui.context import AppContext, redirect
from keyback.web.ui.password_feedback import asked_twice, beside, reasons_of, rules_of
from keyback.web.ui.routes import Values, get, post


async def _may(request: Request) -> tuple[Me] | Response:
    """The person, after a second step where there is one; who has none shows the password in the form itself."""
    known = await mine()(request)
    return await mine(fresh=True)(request) if isinstance(known, tuple) and known[0].second_step else known


@get(_may)
async def show(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/password`."""
    return await _page(desk, request, me)


async def _page(
    desk: AppContext, request: Request, me: Me, status: int = 200, typed: str = "", **over: Any
) -> Response:
    s = desk.services
    who = await s.db.read(lambda tx: change_password.subject(tx, s, me.session))
    states = state_of(typed, s.rules, who.context, s.blocklist, who.with_factor, s.leaked)
    rules = rules_of(states, desk.locale(request))
    more = beside(desk, request, who.context, who.with_factor)
    model = NewPassword(me.account.username, s.rules.shortest(who.with_factor), rules, **more, **over)
    return page(desk, request, me, model, status)


@post(
    _may, "username", "current_password", "new_password", "new_password_again", limit="sign_ins", at="/account/password"
)
async def change(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/password`."""
    origin, typed = desk.origin(request), values["new_password"]
    if asked_twice(values):
        return await _page(desk, request, me, 422, typed, mismatch=True)
    current = Secret(values["current_password"])
    try:
        faults = await change_password.change(desk.services, me.session, current, Secret(typed), origin)
    except Refusal:
        return redirect("/account/password")
    except Busy:
        response = await _page(desk, request, me, 503, busy=True)
        response.headers["retry-after"] = "2"
        return response
    if not faults:
        return await _page(desk, request, me, done=True)
    locale = desk.locale(request)
    return await _page(desk, request, me, 422, typed, current=faults.current, errors=reasons_of(faults.broken, locale))


ROUTES = [
    Route("/account/password", show, methods=["GET"]),
    Route("/account/password", change, methods=["POST"]),
]
