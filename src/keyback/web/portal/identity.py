"""`/r/{handle}/identity/{service}`: consent, the way to a service that verifies identities, and back with its answer.

After a first proof only, like identity documents. What goes along is made of the check that the consent began, so an
answer is good for that one page, browser and case.
"""

from __future__ import annotations

import base64

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.desk import identity
from keyback.application.desk.identity import Checking
from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.identity import IdentityCheck, IdentityService
from keyback.application.ports.sign_in import NOT_FRESH, Returned, SignInRefused
from keyback.application.services import Services
from keyback.domain import digests, tokens
from keyback.domain.errors import BadInput, Refusal
from keyback.locale import told
from keyback.web.portal import pages
from keyback.web.portal.pages_identity import Stage, VerifyElsewhere
from keyback.web.portal.view import RecoveryView, held, step
from keyback.web.ui.context import AppContext, context_of, note_refusal, redirect
from keyback.web.ui.routes import Values, get
from keyback.web.ui.sign_in_with import leave

MAX_PARAMETER = 4096
SAID = ("denied", NOT_FRESH, "level", "level_missing")  # failures with words of their own
STAGES: dict[str, Stage] = {
    "waiting": "waiting",
    "agreed": "agreed",
    "refused": "refused",
    "withdrawn": "withdrawn",
}
log = structlog.get_logger("keyback.identity")


def _service(request: Request) -> IdentityService | None:
    return context_of(request).services.identity.get(request.path_params["service"])


async def _draw(
    desk: AppContext, request: Request, handle: str, view: RecoveryView | None, status: int = 200, error: str = ""
) -> Response:
    service = _service(request)
    if service is None or view is None or view.case is None:
        return redirect(f"/r/{handle}")
    policy, by_phone = desk.services.policy, service.by_phone
    found = await desk.services.db.read(lambda tx: identity.look(tx, handle, policy, by_phone=by_phone))
    stage, c = _stage(found, service, "new" in request.query_params), found.check
    if not error and c is not None and c.state == "failed" and c.provider == service.name and stage == "consent":
        error = c.reason if c.reason in SAID else "away"
    locale = desk.locale(request)
    model = VerifyElsewhere(
        handle,
        service.name,
        told(service.title, locale),
        told(service.asks, locale),
        told(service.goes, locale),
        stage,
        found.closed,
        error,
        _version(found),
    )
    return desk.page(request, model, status, step=1, path=f"/r/{handle}/identity/{service.name}")


def _stage(found: Checking, service: IdentityService, new: bool) -> Stage:
    c = found.check
    shown = STAGES.get(c.state) if c is not None and c.provider == service.name else None
    if shown in ("waiting", "agreed") or (shown is not None and (found.closed or not new)):
        return shown
    if found.closed:
        return "closed"
    return "ready" if found.live and c is not None and c.provider == service.name else "consent"


def _version(found: Checking) -> str:
    """Changes when the page would: while it is looked at, by what reviewers say or another tab brings back."""
    return f"{found.check.id[:8]}{found.check.state}" if found.check else "none"


@get(held)
async def show(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/identity/{service}`."""
    return await _draw(desk, request, handle, view)


@step("act", "agree", limit="recoveries")
async def act(desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/identity/{service}`: agrees to it, separately from everything else, or takes that back."""
    s, service = desk.services, _service(request)
    if service is None:
        return redirect(f"/r/{handle}")
    name, by_phone = service.name, service.by_phone
    try:
        if values["act"] == "withdraw":
            await s.db.write(lambda tx: identity.withdraw(tx, handle))
        else:
            if values["agree"] != "yes":
                raise BadInput("agree")
            await s.db.write(lambda tx: identity.consent(tx, handle, name, s.policy, by_phone=by_phone))
    except (BadInput, Refusal) as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, handle, view, 422 if isinstance(e, BadInput) else 409, e.code)
    return redirect(f"/r/{handle}/identity/{name}")


@get(held)
async def go(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/identity/{service}/go`: sends the browser there; changes nothing."""
    s, service = desk.services, _service(request)
    if service is None:
        return redirect(f"/r/{handle}")
    at, by_phone = f"/r/{handle}/identity/{service.name}", service.by_phone
    found = await s.db.read(lambda tx: identity.look(tx, handle, s.policy, by_phone=by_phone))
    c = found.check
    if c is None or not found.live or found.closed or c.provider != service.name:
        return redirect(at)
    if not await desk.allows("proofs", request):
        note_refusal(request, "slow_down")
        return await _draw(desk, request, handle, view, 429, "away")
    state, nonce, verifier = _state(s, c), _derived(s, c, "nonce"), _derived(s, c, "verifier")
    try:
        return leave(await service.authorization_url(redirect_uri(s, service), state, nonce, verifier))
    except (SignInRefused, Unavailable) as e:
        log.warning("identity_service_unusable", service=service.name, reason=e.code)
        return await _draw(desk, request, handle, view, 503, "away")


async def back(request: Request) -> Response:
    """GET `/identity/{service}/back`: the service has sent a browser back. A GET that acts, as the protocol wants it:
    what acts is the state, which only the browser that left has (RFC 6749 section 10.12)."""
    desk, service = context_of(request), _service(request)
    s, (check_id, _, _) = desk.services, request.query_params.get("state", "")[:200].partition(".")
    known = service is not None and len(check_id) == 22 and check_id.isascii() and check_id.isprintable()
    c = await s.db.read(lambda tx: tx.identity.get(check_id)) if known else None
    if service is None or c is None:
        note_refusal(request, "wrong_state")
        return redirect("/")
    if not desk.cookies.holds(request, s.seals, c.handle):
        note_refusal(request, "cross_site")
        return desk.page(request, pages.NotYours(), 403, path="/")
    at = f"/r/{c.handle}/identity/{c.provider}"
    if c.provider != service.name or not tokens.same(_state(s, c), request.query_params.get("state", "")):
        note_refusal(request, "wrong_state")
        return redirect(at)
    if not await desk.allows("proofs", request):
        note_refusal(request, "slow_down")
        return redirect(at)
    try:
        await s.db.write(lambda tx: identity.claim(tx, c.id, s.policy))
        await _take(s, request, service, c)
    except Refusal as e:
        note_refusal(request, e.code)
    return redirect(at)


async def _take(s: Services, request: Request, service: IdentityService, c: IdentityCheck) -> None:
    query = request.query_params
    returned = Returned(
        code=query.get("code", "")[: MAX_PARAMETER + 1],
        error=query.get("error", "")[:100],
        iss=query.get("iss", "")[:2000],
    )
    nonce, verifier = _derived(s, c, "nonce"), _derived(s, c, "verifier")
    try:
        said = await service.redeem(returned, redirect_uri(s, service), nonce, verifier, c.created_at / 1000)
    except (SignInRefused, Unavailable) as e:
        log.warning("identity_service_refused", service=service.name, reason=e.code)
        reason = e.code
        await s.db.write(lambda tx: identity.fail(tx, c.id, reason))
        return
    await s.db.write(lambda tx: identity.take(tx, c.id, service.issuer, said, service.counts, s.policy))


def redirect_uri(services: Services, service: IdentityService) -> str:
    """Where a service sends browsers back to: what has to be registered there, to the letter. Each has its own, so that
    what one sends cannot be taken for another's (RFC 9700 section 4.4.2)."""
    return f"{services.public_url}/identity/{service.name}/back"


def _state(s: Services, c: IdentityCheck) -> str:
    """`check.mac`: which check the browser comes back to, and that this is its own."""
    return f"{c.id}.{_derived(s, c, 'state')}"


def _derived(s: Services, c: IdentityCheck, what: str) -> str:
    """A secret of 256 bits for one check, in 43 letters that need no escaping."""
    seed = "\0".join((what, c.id, c.handle, c.case_id, c.provider)).encode()
    made = digests.mac(s.seals.derive("identity_check"), seed)
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


async def status(request: Request) -> Response:
    """GET `/r/{handle}/identity/{service}/status`: a word that changes when the page would."""
    known = await held(request)
    if isinstance(known, Response):
        return JSONResponse({"version": ""}, 403)
    s = context_of(request).services
    found = await s.db.read(lambda tx: identity.look(tx, known[0], s.policy))
    return JSONResponse({"version": _version(found)})


ROUTES = [
    Route("/r/{handle:str}/identity/{service:str}", show, methods=["GET"]),
    Route("/r/{handle:str}/identity/{service:str}", act, methods=["POST"]),
    Route("/r/{handle:str}/identity/{service:str}/go", go, methods=["GET"]),
    Route("/r/{handle:str}/identity/{service:str}/status", status, methods=["GET"]),
    Route("/identity/{service:str}/back", back, methods=["GET"]),
]
