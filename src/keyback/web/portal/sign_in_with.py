"""`/r/{handle}/sign-in-with/{provider}`: a recovery goes to a provider, and comes back with whom it vouches for.

The same for everybody until something is proven: what goes along is made of the page's own question, and the provider
is asked whether or not anybody is meant.
"""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.enrolment import SignsInElsewhere
from keyback.application.ports.proofs import PendingChallenge
from keyback.application.ports.sign_in import NOT_FRESH, SignInRefused
from keyback.application.recovery import methods
from keyback.domain.errors import Refusal
from keyback.domain.policy.rules import PROVIDER_SIGN_IN
from keyback.domain.recovery.events import Note
from keyback.domain.throttling.limits import TRIES_SHOWN
from keyback.web.portal import pages
from keyback.web.portal.methods import may_go_on
from keyback.web.portal.view import RecoveryView, held, look
from keyback.web.ui import sign_in_with
from keyback.web.ui.context import AppContext, context_of, note_refusal, redirect
from keyback.web.ui.routes import get

SAID = ("denied", NOT_FRESH)  # codes with words of their own
log = structlog.get_logger("keyback.sign_in_with")


@get(held)
async def go(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/sign-in-with/{provider}`: sends the browser there; changes nothing."""
    proof, provider, at = sign_in_with.proof_of(desk.services), request.path_params["provider"], _page(handle)
    if view is None or proof is None or provider not in proof.providers or not may_go_on(view):
        return redirect(f"/r/{handle}")
    if not await desk.allows("proofs", request):
        note_refusal(request, "slow_down")
        return redirect(f"{at}?said=away")
    asked = await _asked(desk, handle)
    if asked is None:
        return redirect(at)
    state = proof.state(asked, provider, sign_in_with.RECOVERY, handle)
    try:
        uri = sign_in_with.redirect_uri(desk.services, provider)
        return sign_in_with.leave(await proof.start(asked, provider, state, uri))
    except (SignInRefused, Unavailable) as e:
        log.warning("provider_unusable", provider=provider, reason=e.code)
        return redirect(f"{at}?said=away")


async def back(request: Request, handle: str) -> Response:
    """GET `/sign-in-with/{provider}/back` for a recovery: the provider has sent its browser back."""
    desk, provider, at = context_of(request), request.path_params["provider"], _page(handle)
    if not desk.cookies.holds(request, desk.services.seals, handle):
        note_refusal(request, "cross_site")
        return desk.page(request, pages.NotYours(), 403, path="/")
    proof, view = sign_in_with.proof_of(desk.services), await desk.services.db.read(lambda tx: look(tx, handle))
    if view is None or proof is None or provider not in proof.providers or not may_go_on(view):
        return redirect(f"/r/{handle}")
    asked = await _asked(desk, handle)
    if asked is None or not sign_in_with.is_ours(proof, asked, provider, request):
        note_refusal(request, "wrong_state")  # of a question that is over, or of somebody else's
        return redirect(at)
    if not await desk.allows("proofs", request):
        note_refusal(request, "slow_down")
        return redirect(f"{at}?said=away")
    said = await _take(desk, request, handle, proof, asked)
    return redirect(f"{at}?said={said}" if said else f"/r/{handle}")


async def _take(
    desk: AppContext, request: Request, handle: str, proof: SignsInElsewhere, asked: PendingChallenge
) -> str:
    """What the page says; empty where the sign-in was taken."""
    provider, s = request.path_params["provider"], desk.services
    try:
        found = await sign_in_with.redeem(proof, asked, s, request)
    except (SignInRefused, Unavailable) as e:
        log.warning("provider_refused", provider=provider, reason=e.code)
        note = Note("proof_refused", {"proof": PROVIDER_SIGN_IN, "reason": f"provider_{e.code}"})
        await s.db.write(lambda tx: tx.audit.record(handle, [note]))
        return e.code if e.code in SAID else "away"
    try:
        code, _, _ = await methods.answer(
            s.db, s.proofs[PROVIDER_SIGN_IN], handle, proof.answer(asked, provider, found), desk.here(request)
        )
    except Refusal as e:
        note_refusal(request, e.code)
        return ""
    return "" if code in ("accepted", "done") else "wrong"


async def _asked(desk: AppContext, handle: str) -> PendingChallenge | None:
    """The page's question, whoever it is about; None where it has none, or no try is left."""
    s = desk.services
    wants = await s.db.read(lambda tx: tx.challenges.requested(handle))
    want = next((w for w in wants if w.method == PROVIDER_SIGN_IN), None)
    return methods.stand_in(s.seals, want) if want is not None and want.tries < TRIES_SHOWN else None


def _page(handle: str) -> str:
    return f"/r/{handle}/ways/{PROVIDER_SIGN_IN}"


ROUTES = [Route("/r/{handle:str}/sign-in-with/{provider:str}", go, methods=["GET"])]
