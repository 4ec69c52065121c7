"""`/call` and `/r/{handle}/call`: for somebody who calls the help desk. They tell nothing about anybody."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.desk import caller_check
from keyback.application.desk.caller_check import PROOF, Shown
from keyback.web.portal.pages_call import Call, CallHelp
from keyback.web.portal.view import RecoveryView, held, step
from keyback.web.ui.context import AppContext, context_of, note_refusal, redirect
from keyback.web.ui.routes import Values, get


async def help_page(request: Request) -> Response:
    """GET `/call`."""
    desk = context_of(request)
    mine = desk.cookies.held(request)
    good = mine and desk.cookies.holds(request, desk.services.seals, mine[0][0])
    return desk.page(request, CallHelp(mine[0][0] if good else ""))


def _open(desk: AppContext, view: RecoveryView | None) -> bool:
    """Whether a call could still help this page; nothing of it depends on whom the page is about."""
    if view is None or not desk.services.policy.takes(PROOF) or view.intake.journey == "username":
        return False
    if view.case is None:
        return view.intake.state != "stopped" and view.now < view.intake.expires_at
    going_on = view.case.open_to(view.intake.handle) or view.case.ended or bool(view.case.results)
    return not going_on and view.now < view.case.expires_at


def _version(shown: Shown) -> str:
    return f"{shown.state}{shown.number[:2]}"


async def _draw(
    desk: AppContext, request: Request, handle: str, shown: Shown, status: int = 200, *, refused: bool = False
) -> Response:
    if shown.state == "passed":
        return redirect(f"/r/{handle}")
    model = Call(handle, shown.state, shown.number, shown.seconds_left, shown.may_ask, refused, _version(shown))
    return desk.page(request, model, status, step=1, path=f"/r/{handle}/call")


@get(held)
async def show(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/call`."""
    if not _open(desk, view):
        return redirect(f"/r/{handle}")
    return await _draw(desk, request, handle, await desk.services.db.read(lambda tx: caller_check.look(tx, handle)))


@step(limit="recoveries")
async def ask(desk: AppContext, request: Request, _: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/call`: shows a new number."""
    if not _open(desk, view):
        note_refusal(request, "wrong_state")
        return redirect(f"/r/{handle}")
    if await desk.services.db.write(lambda tx: caller_check.ask(tx, handle)):
        return redirect(f"/r/{handle}/call")
    note_refusal(request, "too_many")
    shown = await desk.services.db.read(lambda tx: caller_check.look(tx, handle))
    return await _draw(desk, request, handle, shown, 429, refused=True)


async def status(request: Request) -> Response:
    """GET `/r/{handle}/call/status`: a word that changes when the page would."""
    known = await held(request)
    if isinstance(known, Response):
        return JSONResponse({"version": ""}, 403)
    handle, desk = known[0], context_of(request)
    return JSONResponse({"version": _version(await desk.services.db.read(lambda tx: caller_check.look(tx, handle)))})


ROUTES = [
    Route("/call", help_page, methods=["GET"]),
    Route("/r/{handle:str}/call", show, methods=["GET"]),
    Route("/r/{handle:str}/call", ask, methods=["POST"]),
    Route("/r/{handle:str}/call/status", status, methods=["GET"]),
]
