"""`/account/providers`: connecting a system that its person signs in to, so that it can verify them later."""

from __future__ import annotations

from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application import locking
from keyback.application.enrolment import providers
from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.sign_in import NOT_FRESH, SignInRefused
from keyback.domain.errors import Refusal
from keyback.web.account.pages_providers import Problem, Providers, ProviderStart
from keyback.web.account.session import Me, mine, page
from keyback.web.ui import sign_in_with
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values, get, post

log = structlog.get_logger("keyback.sign_in_with")
LIST = "/account/providers"


def unconnected(desk: AppContext, me: Me) -> tuple[tuple[str, str], ...]:
    """(name, title) of the systems that this person could connect."""
    proof = sign_in_with.proof_of(desk.services)
    bound = {(f.data.get("provider"), f.data.get("issuer")) for f in me.factors if f.kind == providers.KIND}
    known = proof.providers.values() if proof is not None else ()
    return tuple((p.name, p.title) for p in known if (p.name, p.issuer) not in bound)


def _list(desk: AppContext, request: Request, me: Me, status: int = 200, error: Problem = "") -> Response:
    if sign_in_with.proof_of(desk.services) is None:
        return redirect("/account/ways")
    return page(desk, request, me, Providers(unconnected(desk, me), error), status, path=LIST)


@get(mine(fresh=True))
async def show(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/providers`."""
    return _list(desk, request, me)


@post(mine(fresh=True), "provider")
async def start(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/providers`: asks for a challenge."""
    proof, name = sign_in_with.proof_of(desk.services), values["provider"]
    if proof is None or name not in proof.providers:
        return redirect(LIST)
    try:
        challenge_id = await desk.services.db.write(
            lambda tx: providers.start(tx, locking.own(tx, me.session), name)
        )  # fmt: skip
    except Refusal as e:
        note_refusal(request, e.code)
        return _list(desk, request, me, 422, "too_many") if e.code == "too_many" else redirect(LIST)
    return redirect(f"{LIST}/{challenge_id}")


@get(mine(fresh=True, back=LIST))
async def ready(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/providers/{id}`: what will happen, and the way there. A link, since a form of ours leads nowhere
    else (`form-action`)."""
    proof, challenge_id = sign_in_with.proof_of(desk.services), request.path_params["id"]
    asked = await desk.services.db.read(lambda tx: providers.open_challenge(tx, me.person, challenge_id))
    if proof is None or asked is None or asked.challenge.target not in proof.providers:
        return redirect(LIST)
    title = proof.providers[asked.challenge.target].title
    return page(desk, request, me, ProviderStart(challenge_id, title), path=LIST)


@get(mine(fresh=True, back=LIST))
async def go(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/providers/{id}/go`: sends the browser to the provider; changes nothing."""
    proof, challenge_id = sign_in_with.proof_of(desk.services), request.path_params["id"]
    asked = await desk.services.db.read(lambda tx: providers.open_challenge(tx, me.person, challenge_id))
    if proof is None or asked is None or asked.challenge.target not in proof.providers:
        return redirect(LIST)
    name = asked.challenge.target
    state = proof.state(asked, name, sign_in_with.ACCOUNT, challenge_id)
    try:
        uri = sign_in_with.redirect_uri(desk.services, name)
        return sign_in_with.leave(await proof.start(asked, name, state, uri))
    except (SignInRefused, Unavailable) as e:
        log.warning("provider_unusable", provider=name, reason=e.code)
        return _list(desk, request, me, 503, "away")


@get(mine(fresh=True, back=LIST))
async def back(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/sign-in-with/{provider}/back` for a security center: binds whom the provider vouches for."""
    s, provider = desk.services, request.path_params["provider"]
    proof, (_, challenge_id) = sign_in_with.proof_of(s), sign_in_with.ref_of(request)
    asked = await s.db.read(lambda tx: providers.open_challenge(tx, me.person, challenge_id))
    if proof is None or asked is None or asked.challenge.target != provider or provider not in proof.providers:
        note_refusal(request, "wrong_state")
        return redirect(LIST)
    if not sign_in_with.is_ours(proof, asked, provider, request):
        note_refusal(request, "wrong_state")
        return redirect(LIST)
    origin, said = desk.origin(request), ""
    try:
        claimed = await s.db.write(lambda tx: providers.claim(tx, me.session, challenge_id))
        found = await sign_in_with.redeem(proof, claimed, s, request)
        said = await s.db.write(
            lambda tx: providers.finish(tx, proof, me.session, claimed.challenge, found, origin)
        )  # fmt: skip
    except Refusal as e:
        note_refusal(request, e.code)
        return redirect(LIST)
    except (SignInRefused, Unavailable) as e:
        log.warning("provider_refused", provider=provider, reason=e.code)
        said = e.code if e.code in ("denied", NOT_FRESH) else "away"
    return redirect("/account/ways?done=provider_added" if said == "added" else f"{LIST}/failed/{said}")


@get(mine(fresh=True, back=LIST))
async def failed(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/providers/failed/{why}`: nothing was connected. A page of its own, so that what the provider sent
    stays in no address bar."""
    why: Any = request.path_params["why"]
    return _list(desk, request, me, error=why if why in ("known", "denied", NOT_FRESH, "away") else "")


ROUTES = [
    Route(LIST, show, methods=["GET"]),
    Route(LIST, start, methods=["POST"]),
    Route(LIST + "/failed/{why:str}", failed, methods=["GET"]),
    Route(LIST + "/{id:str}", ready, methods=["GET"]),
    Route(LIST + "/{id:str}/go", go, methods=["GET"]),
]
