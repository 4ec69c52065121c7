"""Second steps and recovery codes of whoever is signed in, and a passkey alone: the rules are those of the pages."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from keyback.application import locking
from keyback.application.enrolment import factors
from keyback.application.notifications.notify import username_of
from keyback.application.ports.enrolment import FindsPasskey
from keyback.application.ports.hashing import Busy
from keyback.application.ports.proofs import MakesCodes
from keyback.application.ports.storage import Session, Tx
from keyback.application.signin import passkey as signin_passkey
from keyback.application.signin.sessions import SignedIn
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import Factor
from keyback.web.api import models as base
from keyback.web.api import models_factors as m
from keyback.web.api import remedy_views
from keyback.web.api.account import session_of
from keyback.web.api.auth import SESSION_TOKEN, Token, instant, limited
from keyback.web.api.models_remedy import NewApp, NewPasskey
from keyback.web.api.openapi import problems
from keyback.web.api.sign_in import signed_in
from keyback.web.api.strict import ApiError, StrictRoute
from keyback.web.ui.context import AppContext, context_of

router = APIRouter(
    prefix="/account",
    tags=["account"],
    route_class=StrictRoute,
    dependencies=[Depends(SESSION_TOKEN)],
    responses=problems({401: ["unauthorized"]}),
)
open_router = APIRouter(route_class=StrictRoute, tags=["session"])
FactorId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="Its `id`.")]
HOUR_S = 3600
BUSY_S = 2
NEEDS = {401: ["unauthorized"], 403: ["step_up"], 404: ["not_found"]}


async def _fresh(request: Request, token: str) -> tuple[AppContext, Session]:
    """Raises ApiError: 401, 429, or 403 `step_up` for a session that was not confirmed just now."""
    desk = context_of(request)
    await limited(desk, request, "proofs")
    return desk, await session_of(desk, token, fresh=True)


def _refused(e: Refusal, gone: str) -> ApiError:
    if e.code == "too_many":
        return ApiError(409, "too_many")
    return ApiError(404, gone) if gone == "not_found" else ApiError(409, gone)


def _line(f: Factor, left: int, now: int) -> m.OwnFactor:
    return m.OwnFactor(
        id=f.id,
        kind=f.kind,
        label=f.label,
        added_at=instant(f.added_at),
        used_at=instant(f.used_at) if f.used_at else None,
        recovers_from=instant(f.usable_from) if f.usable_from > now else None,
        codes_left=left if f.kind == "recovery_codes" else None,
    )


@router.get(
    "/factors",
    operation_id="listFactors",
    summary="See second steps and recovery codes",
    description="What is set up in Keyback, and what could be.",
)
async def show(request: Request, token: Token) -> m.OwnFactors:
    desk = context_of(request)
    s, session = desk.services, await session_of(desk, token)

    def load(tx: Tx) -> list[m.OwnFactor]:
        mine = tx.factors.of_person(session.person_id)
        codes = tx.factors.codes([f.id for f in mine])
        return [_line(f, sum(c.factor_id == f.id and c.used_at is None for c in codes), tx.now) for f in mine]

    able = {
        "app": remedy_views.app_of(s) is not None and s.policy.takes("totp"),
        "passkey": remedy_views.passkeys_of(s) is not None,
        "recovery_codes": isinstance(s.proofs.get("recovery_code"), MakesCodes) and s.policy.takes("recovery_code"),
    }
    return m.OwnFactors(factors=await s.db.read(load), offers=[n for n, there in able.items() if there])


@router.post(
    "/apps",
    operation_id="startApp",
    summary="Get a seed for an authenticator app",
    description="One waits at a time. It is used for nothing before its first code came back.",
    status_code=201,
    responses=problems({**NEEDS, 409: ["not_offered", "too_many"], 429: ["slow_down"]}),
)
async def start_app(request: Request, token: Token) -> NewApp:
    desk, session = await _fresh(request, token)
    s, app = desk.services, remedy_views.app_of(desk.services)
    if app is None or not s.policy.takes("totp"):
        raise ApiError(409, "not_offered")

    def start(tx: Tx) -> tuple[Factor | None, str]:
        made = factors.start_totp(tx, app, locking.own(tx, session))
        return factors.pending_totp(tx, session.person_id, made), username_of(tx, session.person_id)

    try:
        new, username = await s.db.write(start)
    except Refusal as e:
        raise _refused(e, "over") from None
    if new is None:
        raise ApiError(409, "over")
    seed = str(new.data["seed"])
    uri = app.uri(seed, username, s.company[desk.locale(request)])
    return NewApp(id=new.id, seed=seed, uri=uri, expires_at=instant(new.added_at + factors.SETUP_LIFE))


@router.post(
    "/apps/{factor}",
    operation_id="finishApp",
    summary="Add the authenticator app",
    description="With its first code. Every contact is told.",
    responses=problems(
        {**NEEDS, 409: ["over", "too_many"], 422: ["wrong_code", "invalid"], 429: ["slow_down"]}, body=True
    ),
)
async def finish_app(request: Request, token: Token, factor: FactorId, given: m.FactorCode) -> m.FactorAdded:
    desk, session = await _fresh(request, token)
    app, origin = remedy_views.app_of(desk.services), desk.origin(request)
    if app is None:
        raise ApiError(409, "over")
    try:
        good = await desk.services.db.write(
            lambda tx: factors.finish_totp(tx, app, session, factor, given.code, origin)
        )  # fmt: skip
    except Refusal as e:
        raise _refused(e, "over") from None
    if not good:
        raise ApiError(422, "wrong_code", field="code")
    return m.FactorAdded()


@router.post(
    "/passkeys",
    operation_id="startPasskey",
    summary="Get a challenge for a passkey",
    description="A browser makes passkeys only on pages of `public_url` itself.",
    status_code=201,
    responses=problems({**NEEDS, 409: ["not_offered", "too_many"], 429: ["slow_down"]}),
)
async def start_passkey(request: Request, token: Token) -> NewPasskey:
    desk, session = await _fresh(request, token)
    s, maker = desk.services, remedy_views.passkeys_of(desk.services)
    if maker is None:
        raise ApiError(409, "not_offered")
    company = s.company[desk.locale(request)]

    def start(tx: Tx) -> tuple[str, str, int]:
        person = locking.own(tx, session)
        asked = factors.open_passkey(tx, person, factors.start_passkey(tx, person))
        if asked is None:
            raise Refusal("over")
        known = tx.factors.of_person(person.id)
        handle = factors.user_handle(tx, maker, asked, known)
        options = maker.registration_options(
            asked.nonce, handle, username_of(tx, person.id), person.name, company, known
        )  # fmt: skip
        return asked.id, options, asked.expires_at

    try:
        of, options, until = await s.db.write(start)
    except Refusal as e:
        raise _refused(e, "over") from None
    return NewPasskey(id=of, options=json.loads(options), expires_at=instant(until))


@router.post(
    "/passkeys/{factor}",
    operation_id="finishPasskey",
    summary="Add the passkey",
    description="With what the browser made. Right or wrong, the challenge is over then. Every contact is told.",
    responses=problems(
        {
            **NEEDS,
            409: ["over", "too_many"],
            422: ["wrong_passkey", "known_passkey", "invalid"],
            429: ["slow_down"],
        },
        body=True,
    ),
)
async def finish_passkey(request: Request, token: Token, factor: FactorId, given: m.AddedPasskey) -> m.FactorAdded:
    desk, session = await _fresh(request, token)
    maker, origin = remedy_views.passkeys_of(desk.services), desk.origin(request)
    if maker is None:
        raise ApiError(409, "over")
    label = factors.clean_label(given.label or "", session.device or "Passkey")
    made = given.credential.get_secret_value()
    try:
        done = await desk.services.db.write(
            lambda tx: factors.finish_passkey(tx, maker, session, factor, made, label, origin)
        )  # fmt: skip
    except Refusal as e:
        raise _refused(e, "over") from None
    if done != "added":
        raise ApiError(422, "known_passkey" if done == "known" else "wrong_passkey", field="credential")
    return m.FactorAdded()


@router.post(
    "/recovery-codes",
    operation_id="makeRecoveryCodes",
    summary="Make a new set of recovery codes",
    description="The old set stops working. Every contact is told.",
    status_code=201,
    responses=problems({**NEEDS, 409: ["not_offered"], 429: ["slow_down"], 503: ["busy"]}),
)
async def make_codes(request: Request, token: Token) -> m.RecoveryCodes:
    desk, session = await _fresh(request, token)
    s, maker = desk.services, desk.services.proofs.get("recovery_code")
    if not isinstance(maker, MakesCodes) or not s.policy.takes("recovery_code"):
        raise ApiError(409, "not_offered")
    try:
        sheet = await factors.make_codes(s.db, maker, session, desk.origin(request))
    except Refusal:
        raise ApiError(401, "unauthorized") from None
    except Busy:
        raise ApiError(503, "busy", retry_after=BUSY_S) from None
    return m.RecoveryCodes(codes=list(sheet.texts))


@router.post(
    "/factors/{factor}/remove",
    operation_id="removeFactor",
    summary="Remove a second step, or all recovery codes",
    description="At once. The last second step of somebody who must have one stays. Every contact is told.",
    status_code=204,
    responses=problems({**NEEDS, 409: ["last_one"], 429: ["slow_down"]}),
)
async def remove(request: Request, token: Token, factor: FactorId) -> Response:
    desk, session = await _fresh(request, token)
    s, origin = desk.services, desk.origin(request)

    def act(tx: Tx) -> None:
        locking.own(tx, session)
        factors.remove(tx, session.person_id, factor, s.policy, origin)

    try:
        await s.db.write(act)
    except Refusal as e:
        if e.code == "last_one":
            raise ApiError(409, "last_one") from None
        raise ApiError(404, "not_found") from None
    return Response(status_code=204)


# ── a passkey alone ─────────────────────────────────────────────────────────


@open_router.post(
    "/sign-in/passkey/challenge",
    operation_id="startPasskeySignIn",
    summary="Get a challenge for any passkey",
    description="Nothing is stored and nobody is named.",
    responses=problems({409: ["not_offered"], 429: ["slow_down"]}),
)
async def challenge(request: Request) -> m.PasskeyAsked:
    desk = context_of(request)
    await limited(desk, request, "sign_ins")
    s, proof = desk.services, desk.services.proofs.get("passkey")
    if proof is None:
        raise ApiError(409, "not_offered")
    ticket = signin_passkey.new_ticket(await s.db.read(lambda tx: tx.now))
    form = proof.form([signin_passkey.stand_in(s.seals, ticket)], desk.locale(request))
    return m.PasskeyAsked(ticket=ticket, options=json.loads(str(form["options"])))


@open_router.post(
    "/sign-in/passkey",
    operation_id="signInByPasskey",
    summary="Sign in with a passkey alone",
    description="The answer of a passkey to the challenge of `startPasskeySignIn`, once: right or wrong, it is over.",
    responses=problems({401: ["wrong"], 422: ["invalid"], 429: ["slow_down"]}, body=True),
)
async def by_passkey(request: Request, given: m.PasskeySignIn) -> base.SignedIn:
    desk = context_of(request)
    await limited(desk, request, "sign_ins")
    s, proof = desk.services, desk.services.proofs.get("passkey")
    if not isinstance(proof, FindsPasskey):
        raise ApiError(401, "wrong")
    typed = given.credential.get_secret_value()
    done = await signin_passkey.by_passkey(
        s.db, proof, given.ticket, proof.lookup(typed), typed, desk.origin(request), s.rules
    )
    if not isinstance(done, SignedIn):
        raise ApiError(401, "wrong")
    return signed_in(done)
