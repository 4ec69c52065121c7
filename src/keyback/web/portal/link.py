"""The mailed links. Opening one changes nothing, however often and by whomever; only a POST of a person does (C5).

The token leaves the address bar at once: it moves into a cookie and the page lies at a clean address (C6, A-14.2.1).
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application import prove
from keyback.application.identity import device_words
from keyback.application.store import Tx
from keyback.domain import challenge as ch
from keyback.web import pages
from keyback.web.context import Desk, desk_of, see
from keyback.web.cookies import LINK
from keyback.web.forms import read_form

TOKEN_LENGTH = 22


async def enter(request: Request) -> Response:
    """GET `/l/{token}`: the token into a cookie, the reader to `/link` or `/stop`."""
    desk, token = desk_of(request), request.path_params["token"]
    good = len(token) == TOKEN_LENGTH and token.isascii() and all(c.isalnum() or c in "-_" for c in token)
    stop = good and (await desk.services.db.read(lambda tx: prove.look_at_stop(tx, token))).problem != "broken"
    response = see("/stop" if stop else "/link")
    desk.cookies.put(response, LINK, token if good else "-", max_age=3600)
    return response


def _token(desk: Desk, request: Request) -> str:
    token = desk.cookies.get(request, LINK)
    return token if len(token) == TOKEN_LENGTH else ""


def _problem(
    desk: Desk, request: Request, reason: Any, *, renew: bool, status: int = 410, handle: str = ""
) -> Response:
    """Why it cannot go on; a browser that holds the recovery is led back to it where that can still help."""
    on = handle if reason in ("used", "replaced") and desk.cookies.holds(request, desk.services.seals, handle) else None
    return desk.page(request, pages.LinkProblem(reason, renew, on), status, step=1, path="/link")


def _facts(view: prove.LinkView) -> dict[str, Any]:
    return {
        "username": view.username,
        "asked_at": view.asked_at,
        "source": view.source,
        "device": device_words(view.agent),
    }


async def show(request: Request) -> Response:
    """GET `/link`: who asked, when, from where; one button, or three numbers in another browser."""
    desk = desk_of(request)
    token = _token(desk, request)
    if not token:
        missing = not desk.cookies.get(request, LINK)
        return _problem(desk, request, "no_link" if missing else "broken", renew=False, status=404)
    view = await desk.services.db.read(lambda tx: prove.look_at_link(tx, token))
    if view.problem is not None:
        return _problem(desk, request, view.problem, renew=_renewable(view), handle=view.handle)
    held = desk.cookies.holds(request, desk.services.seals, view.handle)
    numbers = () if held else prove.choices_for(desk.services.seals, view.handle)
    return desk.page(request, pages.LinkPage(**_facts(view), same_browser=held, numbers=numbers), step=1)


def _renewable(view: prove.LinkView) -> bool:
    """A wrong number is not: whoever was told one over the phone must not be one press away from the next mail."""
    return view.problem in ("expired", "used", "replaced")


async def accept(request: Request) -> Response:
    """POST `/link/accept`, with `number` on another device."""
    desk = desk_of(request)
    values = await read_form(request, "number")
    if not await desk.limiter.allows("proofs", desk.origin(request).source):
        return desk.page(request, pages.ErrorPage(429, 60, "/link"), 429)
    token = _token(desk, request)
    if not token:
        return see("/link")
    seals, db = desk.services.seals, desk.services.db
    view = await db.read(lambda tx: prove.look_at_link(tx, token))
    held = bool(view.handle) and desk.cookies.holds(request, seals, view.handle)
    typed = values["number"]
    number = int(typed) if len(typed) == 2 and typed.isascii() and typed.isdigit() else None
    if not held and number is None:
        return see("/link")
    here = desk.here(request)
    view = await db.write(lambda tx: prove.accept_link(tx, token, held=held, number=number, here=here))
    if view.problem is not None:
        return _problem(desk, request, view.problem, renew=_renewable(view), handle=view.handle)
    path = f"/r/{view.handle}"
    response = see(path) if held else desk.page(request, pages.LinkContinue(view.handle), step=1, path="/link")
    if not held:  # this device has shown the mail and the number: it may go on as well
        desk.cookies.hold(request, response, view.handle, ch.holder_secret(seals.derive("holder"), view.handle))
    desk.cookies.drop(response, LINK)
    return response


async def again(request: Request) -> Response:
    """POST `/link/again`: a new mail to the same stored address, unless the last one is too young."""
    desk = desk_of(request)
    await read_form(request)
    if not await desk.limiter.allows("recoveries", desk.origin(request).source):
        return desk.page(request, pages.ErrorPage(429, 60, "/link"), 429)
    token = _token(desk, request)
    done = await desk.services.db.write(lambda tx: _renew(tx, token)) if token else None
    if done is None:
        return see("/forgot")
    handle, wait = done
    held = desk.cookies.holds(request, desk.services.seals, handle)
    response = desk.page(request, pages.LinkRenewed(handle if held else None, wait), step=1, path="/link")
    if not wait:
        desk.cookies.drop(response, LINK)
    return response


def _renew(tx: Tx, token: str) -> tuple[str, int] | None:
    """The handle, and the seconds until another mail can be asked for, 0 when one was queued now; None when it is
    over and only a new request helps."""
    before = tx.intakes.get(prove.look_at_link(tx, token).handle)
    if before is None or prove.renew(tx, token) is None:
        return None
    after = tx.intakes.get(before.handle)
    wait = prove.seconds_to_resend(before, tx.now)
    return (before.handle, wait) if wait or (after and after.sends > before.sends) else None


async def look_at_stop(request: Request) -> Response:
    """GET `/stop`: what a POST would stop."""
    desk = desk_of(request)
    token = _token(desk, request)
    view = await desk.services.db.read(lambda tx: _stoppable(tx, token)) if token else prove.LinkView("broken")
    if view.problem is not None:
        return _problem(desk, request, view.problem, renew=False)
    return desk.page(request, pages.StopPage(**_facts(view)))


def _stoppable(tx: Tx, token: str) -> prove.LinkView:
    return prove.look_at_stop(tx, token)


async def stop(request: Request) -> Response:
    """POST `/stop` or `/link/stop`: it wasn't me."""
    desk = desk_of(request)
    await read_form(request)
    token = _token(desk, request)
    view = (
        await desk.services.db.write(lambda tx: prove.stop_by_owner(tx, token)) if token else prove.LinkView("broken")
    )
    if view.problem not in (None, "stopped"):
        return _problem(desk, request, view.problem, renew=False)
    response = desk.page(request, pages.Stopped(by_mail=True), path="/stop")
    desk.cookies.drop(response, LINK)
    return response


ROUTES = [
    Route("/l/{token:str}", enter, methods=["GET"]),
    Route("/link", show, methods=["GET"]),
    Route("/link/accept", accept, methods=["POST"]),
    Route("/link/again", again, methods=["POST"]),
    Route("/link/stop", stop, methods=["POST"]),
    Route("/stop", look_at_stop, methods=["GET"]),
    Route("/stop", stop, methods=["POST"]),
]
