"""`/vouch`: a recovery contact, reached by a mailed link, vouches for somebody."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.recovery import recovery_contact
from keyback.domain.errors import Refusal
from keyback.web.portal.pages_link import LinkOver, Reason
from keyback.web.portal.pages_methods import Confirm, Refuse
from keyback.web.ui import links
from keyback.web.ui.context import AppContext, context_of, redirect
from keyback.web.ui.routes import Values, anybody, post


def _page(
    desk: AppContext, request: Request, plea: recovery_contact.ConfirmationRequest, status: int = 200, **over: object
) -> Response:
    if plea.problem:
        return _over(desk, request, plea.problem, plea.person)
    model = Confirm(plea.person, plea.asked_at, plea.source, plea.device, **over)  # type: ignore[arg-type]
    return desk.page(request, model, status, path="/vouch")


def _over(desk: AppContext, request: Request, reason: Reason, person: str = "") -> Response:
    model = LinkOver("vouch", reason, person)
    return desk.page(request, model, model.status, path="/vouch")


async def show(request: Request) -> Response:
    """GET `/vouch`: who asks, when, from where. Changes nothing."""
    desk = context_of(request)
    token = links.shown(desk, request)
    if not token:
        return _over(desk, request, "no_link")
    return _page(desk, request, await desk.services.db.read(lambda tx: recovery_contact.look(tx, token)))


@post(anybody, "code", links.FIELD, limit="proofs", at="/vouch")
async def confirm(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/vouch` with the four digits."""
    db, token = desk.services.db, links.sent(desk, request, values[links.FIELD])
    if not token:
        return links.stale(request, "/vouch", values[links.FIELD])
    proof = desk.services.proofs.get(recovery_contact.PROOF)
    plea = await db.read(lambda tx: recovery_contact.look(tx, token))
    # In the browser that asks there is nobody to talk to: who reads the contact's mail there is not the contact.
    own = bool(plea.handle) and desk.cookies.holds(request, desk.services.seals, plea.handle)
    if plea.problem and (name := await db.read(lambda tx: recovery_contact.given(tx, token))):
        return desk.page(request, Confirm(name, problem="done"), path="/vouch")  # the button was pressed twice
    if plea.problem or proof is None:
        return _over(desk, request, plea.problem or "over")
    if own:
        return _over(desk, request, "own")
    try:
        code, left = await recovery_contact.confirm(db, proof, token, values["code"], desk.here(request))
    except Refusal:
        return redirect("/vouch")
    if code in ("accepted", "done"):
        response = desk.page(request, Confirm(plea.person, problem="done"), path="/vouch")
        links.drop(desk, request, response, token)
        return response
    fault = "no_tries" if code == "no_tries" or not left else "wrong"
    return _page(desk, request, plea, 422, error=fault, tries_left=left)


async def ask_refuse(request: Request) -> Response:
    """GET `/vouch/refuse`: what a POST would end. Changes nothing."""
    desk = context_of(request)
    token = links.shown(desk, request)
    if not token:
        return _over(desk, request, "no_link")
    plea = await desk.services.db.read(lambda tx: recovery_contact.look(tx, token))
    return _page(desk, request, plea) if plea.problem else desk.page(request, Refuse(plea.person))


@post(anybody, links.FIELD)
async def refuse(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/vouch/refuse`."""
    mark = values[links.FIELD]
    token = links.sent(desk, request, mark)
    if not token:
        return links.stale(request, "/vouch", mark)
    seen = await desk.services.db.read(lambda tx: recovery_contact.look(tx, token))
    done = await desk.services.db.write(lambda tx: recovery_contact.refuse(tx, token))
    if not done:
        return _over(desk, request, seen.problem or "over", seen.person)
    response = desk.page(request, Confirm(problem="refused"), path="/vouch")
    links.drop(desk, request, response, token)
    return response


ROUTES = [
    Route("/vouch", show, methods=["GET"]),
    Route("/vouch", confirm, methods=["POST"]),
    Route("/vouch/refuse", ask_refuse, methods=["GET"]),
    Route("/vouch/refuse", refuse, methods=["POST"]),
]
