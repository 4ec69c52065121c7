"""Signing in to the built-in system, so that the circle closes, and the page behind it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.ports.hashing import Busy
from keyback.application.signin import sessions
from keyback.application.signin import sign_in as signin_sign_in
from keyback.domain.characters import is_shown
from keyback.domain.people.pasted import or_as_typed
from keyback.domain.secret import Secret
from keyback.web.account import (
    callers,
    chat,
    contacts,
    devices,
    factors,
    lock,
    new_address,
    overview,
    providers,
    questions,
    second_step,
    systems,
)
from keyback.web.account import password as own_password
from keyback.web.account.pages import SignIn
from keyback.web.account.session import Stale, signed_in
from keyback.web.http.cookies import NEXT, SESSION
from keyback.web.ui.context import AppContext, context_of, redirect
from keyback.web.ui.forms import read_form
from keyback.web.ui.routes import Values, anybody, post

NEXT_S = 600  # for as long as a sign-in may wait for its second step


async def show(request: Request) -> Response:
    """GET `/sign-in`; with `?next=passkeys` that page follows the sign-in."""
    desk = context_of(request)
    page = second_step.sign_in_page(desk, request, SignIn(), await desk.services.db.read(lambda tx: tx.now))
    following = request.query_params.get("next", "")
    if following in second_step.FOLLOWING:
        desk.cookies.put(page, NEXT, following, max_age=NEXT_S)
    return page


@post(anybody, "identifier", "password")
async def sign_in(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/sign-in`."""
    origin, s = desk.here(request).origin, desk.services
    typed = "".join(c for c in values["identifier"][:254] if is_shown(c))
    if not await desk.allows("sign_ins", request):
        return desk.page(request, SignIn("slow_down", 60, typed), 429)
    try:
        result = await signin_sign_in.sign_in(
            s.db,
            s.gate,
            or_as_typed(values["identifier"]),
            Secret(values["password"]),
            origin,
            s.rules,
            s.leaked,
            browser=True,
            numbers=s.numbers,
        )
    except Busy:
        response = desk.page(request, SignIn("busy", 0, typed), 503)
        response.headers["retry-after"] = "2"
        return response
    if isinstance(result, signin_sign_in.NotSignedIn):
        status = 429 if result.reason == "slow_down" else 401
        now = await s.db.read(lambda tx: tx.now)
        return second_step.sign_in_page(desk, request, SignIn(result.reason, result.wait_s, typed), now, status)
    if isinstance(result, signin_sign_in.SecondStep):
        return second_step.to_second(desk, request, result)
    return second_step.let_in(desk, request, result)


async def sign_out(request: Request) -> Response:
    """POST `/sign-out`."""
    desk = context_of(request)
    await read_form(request)
    me = await signed_in(request)
    if isinstance(me, Stale):
        return me
    token = desk.cookies.get(request, SESSION)
    if token:
        await desk.services.db.write(lambda tx: sessions.sign_out(tx, token))
    response = redirect("/sign-in")
    desk.cookies.drop(response, SESSION)
    return response


ROUTES = [
    *second_step.ROUTES,
    *own_password.ROUTES,
    *factors.ROUTES,
    *providers.ROUTES,
    *questions.ROUTES,
    *contacts.ROUTES,
    *chat.ROUTES,
    *devices.ROUTES,
    *systems.ROUTES,
    *lock.ROUTES,
    *callers.ROUTES,
    *new_address.ROUTES,
    *overview.ROUTES,
    Route("/sign-in", show, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]
