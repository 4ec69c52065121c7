"""Signing in to the built-in system, the session behind it, and judging a password before it is sent."""

from __future__ import annotations

import json

from fastapi import APIRouter, Depends, Request, Response

from keyback.application.handles import holds
from keyback.application.passwords import validation
from keyback.application.ports.proofs import PendingChallenge, Proof
from keyback.application.ports.storage import Session, Tx
from keyback.application.signin import second_step as signin_second_step
from keyback.application.signin import sessions, step_up
from keyback.application.signin import sign_in as signin_sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.domain.people.pasted import or_as_typed
from keyback.domain.people.person import Account, Person
from keyback.domain.secret import Secret
from keyback.web.api import models as m
from keyback.web.api.auth import SESSION_TOKEN, Token, bearer, instant, limited
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError, StrictRoute
from keyback.web.api.views import PREFIX, look, personal
from keyback.web.ui.context import AppContext, context_of
from keyback.web.ui.password_feedback import judged

router = APIRouter(route_class=StrictRoute)


@router.post(
    "/sign-in",
    operation_id="signIn",
    summary="Sign in to the built-in system",
    tags=["session"],
    description="For an account with a second step a right password is answered by `second_factor_required`, whose "
    "`second_step` says how to go on.",
    responses=problems(
        {
            401: ["wrong", "second_factor_required"],
            422: ["invalid"],
            429: ["slow_down"],
            503: ["busy", "unavailable", "unconfirmed"],
        },
        body=True,
    ),
)
async def sign_in(request: Request, given: m.SignIn) -> m.SignedIn:
    desk = context_of(request)
    await limited(desk, request, "sign_ins")
    s, password = desk.services, Secret(given.password.get_secret_value())
    result = await signin_sign_in.sign_in(
        s.db,
        s.gate,
        or_as_typed(given.identifier),
        password,
        desk.origin(request),
        s.rules,
        s.leaked,
        numbers=s.numbers,
    )
    if isinstance(result, signin_sign_in.NotSignedIn):
        status = 429 if result.reason == "slow_down" else 401
        raise ApiError(status, result.reason, retry_after=result.wait_s)
    if isinstance(result, signin_sign_in.SecondStep):
        raise ApiError(401, "second_factor_required", second_step=await _second_step(desk, request, result))
    return signed_in(result)


async def _second_step(desk: AppContext, request: Request, step: signin_sign_in.SecondStep) -> dict[str, object]:
    proofs = desk.services.proofs
    names = [n for n in step.proofs if n in proofs]
    needed: dict[str, object] = {"token": step.token, "proofs": names}
    if "passkey" in names:
        passkey = proofs["passkey"]
        asked = await desk.services.db.read(lambda tx: _asked(tx, step.token, passkey))
        needed["passkey"] = json.loads(str(passkey.form(asked, desk.locale(request))["options"]))
    return needed


def _asked(tx: Tx, token: str, proof: Proof) -> list[PendingChallenge]:
    pending = signin_second_step.look(tx, token)
    return step_up.asked(tx, pending.page, proof) if pending else []


@router.post(
    "/sign-in/second-step",
    operation_id="takeSecondStep",
    summary="Finish a sign-in with its second step",
    description="`token` comes with 401 `second_factor_required` of the sign-in; `proof` is one of the `proofs` named "
    "there. A recovery code that was used is answered with the one that takes its place (`new_code`).",
    tags=["session"],
    responses=problems(
        {
            401: ["wrong_second_step", "replayed", "over"],
            409: ["wrong_state"],
            422: ["invalid"],
            429: ["slow_down"],
            503: ["busy", "unavailable", "unconfirmed"],
        },
        body=True,
    ),
)
async def second_step(request: Request, given: m.SecondStep) -> m.SignedIn:
    desk = context_of(request)
    await limited(desk, request, "sign_ins")
    s, proof = desk.services, desk.services.proofs.get(given.proof)
    if proof is None:
        raise ApiError(401, "wrong_second_step")
    answer = given.answer.get_secret_value()
    done = await signin_second_step.take(s.db, proof, given.token, answer, desk.origin(request), s.rules)
    if not isinstance(done, SignedIn):
        if done.code == "no_tries":
            raise ApiError(429, "slow_down", retry_after=3600)
        if done.code == "done":
            raise ApiError(409, "wrong_state", state="signed_in")
        raise ApiError(401, done.code if done.code in ("replayed", "over") else "wrong_second_step")
    return signed_in(done)


def signed_in(result: SignedIn) -> m.SignedIn:
    return m.SignedIn(
        session=result.token,
        expires_at=instant(result.expires_at),
        password_due_in_days=result.password_due_in_days,
        must_change=result.must_change or None,
        new_code=result.new_code.reveal() if result.new_code else None,
    )


@router.get(
    "/session",
    operation_id="getSession",
    summary="See whose session it is",
    description="Whose token it is and until when it is good. 401 once it has ended or expired.",
    tags=["session"],
    dependencies=[Depends(SESSION_TOKEN)],
    responses=problems({401: ["unauthorized"]}),
)
async def get_session(request: Request, token: Token) -> m.SessionInfo:
    found = await sessions.look(context_of(request).services.db, token, _info, limited=True)
    if found is None:
        raise ApiError(401, "unauthorized")
    return found


def _info(_tx: Tx, session: Session, person: Person, account: Account) -> m.SessionInfo:
    return m.SessionInfo(
        name=person.name,
        username=account.username,
        signed_in_at=instant(session.created_at),
        expires_at=instant(session.expires_at),
        must_change=session.must_change or None,
    )


@router.post(
    "/sign-out",
    operation_id="signOut",
    summary="End the session",
    description="Ending one that is over is no fault.",
    tags=["session"],
    status_code=204,
    dependencies=[Depends(SESSION_TOKEN)],
    responses=problems({401: ["unauthorized"]}, body=True),
)
async def sign_out(request: Request, token: Token) -> Response:
    await context_of(request).services.db.write(lambda tx: sessions.sign_out(tx, token))
    return Response(status_code=204)


@router.post(
    "/passwords/check",
    operation_id="checkPassword",
    summary="Judge a password before it is sent",
    description="With `handle`, and the recovery's secret as Bearer, the person's own names count too once it is "
    "proven.",
    tags=["passwords"],
    responses=problems({401: ["unauthorized"], 422: ["invalid"], 429: ["slow_down"]}, body=True),
    openapi_extra={"security": [{}, {"recoverySecret": []}]},
)
async def check_password(request: Request, given: m.Candidate) -> m.Judged:
    desk = context_of(request)
    s, handle = desk.services, given.handle
    if handle is not None and not holds(s.seals, handle, bearer(request)):
        raise ApiError(401, "unauthorized")  # anything else would confirm guesses about a person
    await limited(desk, request, "checks")
    context, with_factor = validation.public_context(s), False
    if handle is not None:
        context, with_factor = personal(desk, await s.db.read(lambda tx: look(tx, handle, s)))
    typed = given.password.get_secret_value()
    found = await judged(desk, desk.locale(request), typed, context, with_factor)
    violations = [
        m.PasswordViolation(code=PREFIX + v["code"], text=v["text"], suggestion=v["fix"]) for v in found["violations"]
    ]
    return m.Judged(violations=violations, strength=found["strength"], strength_text=found["strength_text"])
