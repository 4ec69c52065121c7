"""`/r/{handle}`: one address from the request to the result. What it shows follows from the recovery's state.

Until a proof is accepted here, it shows the same for every identifier, known or not.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.doctor import diagnosis as checks
from keyback.application.recovery import mailed_link
from keyback.application.recovery.cancel import stop_by_requester
from keyback.application.recovery.methods import offered
from keyback.application.tasks import lifecycle as tasks
from keyback.domain.challenges import challenge as ch
from keyback.domain.challenges.challenge import EMAIL_LINK
from keyback.domain.errors import Refusal
from keyback.domain.people.webmail import webmail_of
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import State
from keyback.locale import told
from keyback.web.portal import diagnosis, methods, pages, remedy, system_factors
from keyback.web.portal.over import not_open_page, over_page
from keyback.web.portal.pages_remedy import Remedied
from keyback.web.portal.password import password_page, results_page, take_password
from keyback.web.portal.view import RecoveryView, held, look, step
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values, get


@get(held)
async def show(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}`."""
    return await _page(desk, request, handle, view)


async def _page(
    desk: AppContext, request: Request, handle: str, view: RecoveryView | None, status: int = 200, **over: Any
) -> Response:
    path = f"/r/{handle}"
    if view is None or (view.case is None and view.now >= view.intake.expires_at):
        return desk.page(request, pages.Ended("expired"), status, path=path)
    if view.case is None:
        if view.intake.state == "stopped":
            return desk.page(request, pages.Stopped(by_mail=False), status, path=path)
        if view.intake.journey == "mailbox":
            return await methods.more_page(desk, request, view)
        step = None if view.intake.journey == "username" else 1  # which ends with a mail: no steps follow
        return desk.page(request, _waiting(desk, view, desk.locale(request), **over), status, step=step, path=path)
    case = view.case
    if case.results and not (case.state == State.APPROVED and "again" in request.query_params):
        return await results_page(desk, request, handle, case, view.version, tasks=view.tasks)
    if case.remedied:
        s, here = desk.services, desk.here(request)
        doctor = await s.db.read(lambda tx: checks.opens(tx, handle, here, s.rules))
        model = Remedied(case.remedied, handle if doctor else "")
        return desk.page(request, model, step=3, path=path)
    if case.open_to(handle) and view.now < case.expires_at:
        new = "new" in request.query_params and view.intake.journey in ("locked", "still_locked_out")
        if view.intake.journey == "still_locked_out" and not new:
            found = await diagnosis.page(desk, request, handle, "")
            return found or await not_open_page(desk, request, view)
        if system_factors.is_of_system(view):
            return await _of_system(desk, request, view)
        if view.intake.journey in remedy.JOURNEYS and not new:
            return await remedy.page(desk, request, view)
        preferred = request.query_params.get("account", "")
        return await password_page(desk, request, handle, case, preferred=preferred)
    if case.state in dc.JOINABLE and view.now < case.expires_at:
        return await methods.further(desk, request, view, case)
    endings = {State.CANCELLED: "cancelled", State.FAILED: "failed", State.CLOSED: "closed", State.REJECTED: "rejected"}
    return desk.page(request, pages.Ended(endings.get(case.state, "expired")), status, path=path)  # type: ignore[arg-type]


async def _of_system(desk: AppContext, request: Request, view: RecoveryView) -> Response:
    try:
        return await system_factors.page(desk, request, view)
    except Refusal as e:
        return await over_page(desk, request, view.intake.handle, e.code)


def _waiting(desk: AppContext, view: RecoveryView, locale: str, **over: Any) -> pages.Waiting:
    i = view.intake
    there = webmail_of(i.identifier, desk.settings.mail.webmail)
    by_name = i.journey == "username"
    return pages.Waiting(
        handle=i.handle,
        number=None if by_name else mailed_link.number_for(desk.services.seals, i.handle),
        code_seconds_left=mailed_link.seconds_of_code(i, view.now),
        code_total_seconds=ch.CODE_LIFE // 1000,
        resend_in_seconds=mailed_link.seconds_to_resend(i, view.now),
        kind="username" if by_name else "password",
        version=view.version,
        other_ways=bool(offered(desk.services.proofs, desk.services.policy, i.journey)),
        journey=i.journey,
        webmail=(told(there[0], locale), there[1]) if there else None,
        **over,
    )


async def status(request: Request) -> Response:
    """GET `/r/{handle}/status`: a word that changes when the page would."""
    known = await held(request)
    if isinstance(known, Response):
        return JSONResponse({"version": ""}, 403)
    return JSONResponse({"version": known[1].version if known[1] else "gone"})


@step("code", limit="proofs")
async def code(desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/code`."""
    if view is None or view.case is not None or view.intake.state == "stopped" or view.intake.journey == "username":
        return redirect(f"/r/{handle}")
    try:
        s, here = desk.services, desk.here(request)
        answer, left = await mailed_link.try_code(s.db, s.proofs[EMAIL_LINK], handle, values["code"], here)
    except Refusal:
        return redirect(f"/r/{handle}")
    if answer in ("accepted", "done"):
        return redirect(f"/r/{handle}")
    view = await desk.services.db.read(lambda tx: look(tx, handle))
    if view is not None and view.case is not None:
        return redirect(f"/r/{handle}")  # it was proven in another way meanwhile
    return await _page(desk, request, handle, view, 422, error=answer, tries_left=left)


@step(limit="recoveries")
async def again(desk: AppContext, request: Request, _: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/again`: one more mail, at most every two minutes."""
    if (
        view is not None
        and view.case is None
        and await desk.services.db.write(lambda tx: mailed_link.ask_again(tx, handle))
    ):
        view = await desk.services.db.read(lambda tx: look(tx, handle))
        return await _page(desk, request, handle, view, resent=True)
    return redirect(f"/r/{handle}")


@get(held)
async def ask_cancel(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/cancel`: asks first; changes nothing. Where there is nothing to cancel, the recovery's page."""
    if view is None or not _may_cancel(view):
        return redirect(f"/r/{handle}")
    at_remedy = view.case is not None and view.case.open_to(handle)
    step = None if view.intake.journey == "username" else 2 if at_remedy else 1
    return desk.page(request, pages.Cancel(handle, view.intake.journey), step=step)


def _may_cancel(view: RecoveryView) -> bool:
    if view.case is not None:
        return view.case.state in dc.STOPPABLE and view.now < view.case.expires_at
    return view.intake.state != "stopped" and view.now < view.intake.expires_at


@step()
async def cancel(desk: AppContext, request: Request, _: Values, handle: str, _view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/cancel`."""
    await desk.services.db.write(lambda tx: stop_by_requester(tx, handle))
    return redirect(f"/r/{handle}")


@step("new_password", "new_password_again", "submission", "username", many=("accounts",), limit="proofs")
async def password(
    desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None
) -> Response:
    """POST `/r/{handle}/password`."""
    if view is None or view.case is None:
        note_refusal(request, "wrong_state")
        return redirect(f"/r/{handle}")
    return await take_password(desk, request, handle, view.case, values)


@step("task", "act", limit="recoveries")
async def system(
    desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None
) -> Response:
    """POST `/r/{handle}/system`: for a system that is the person's turn: they are in, or an administrator is wanted."""
    if view is not None and view.case is not None:
        s, case_id = desk.services, view.case.id
        if values["act"] == "in":
            await s.db.write(lambda tx: tasks.say_in(tx, values["task"], case_id))
        else:
            await s.db.write(lambda tx: tasks.ask_again(tx, s.tasks, values["task"], case_id))
    return redirect(f"/r/{handle}")


ROUTES = [
    Route("/r/{handle:str}", show, methods=["GET"]),
    Route("/r/{handle:str}/status", status, methods=["GET"]),
    Route("/r/{handle:str}/code", code, methods=["POST"]),
    Route("/r/{handle:str}/again", again, methods=["POST"]),
    Route("/r/{handle:str}/cancel", ask_cancel, methods=["GET"]),
    Route("/r/{handle:str}/cancel", cancel, methods=["POST"]),
    Route("/r/{handle:str}/system", system, methods=["POST"]),
    Route("/r/{handle:str}/password", password, methods=["POST"]),
]
