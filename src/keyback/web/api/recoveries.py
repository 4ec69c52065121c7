"""Routes of one recovery, from the request to every system's result."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.types import Receive, Scope, Send

from keyback.application import handles
from keyback.application.doctor import preflight
from keyback.application.passwords import system_rules, validation
from keyback.application.ports.storage import Tx, Watch
from keyback.application.recovery import cancel, mailed_link, new_password
from keyback.domain import digests
from keyback.domain.challenges.challenge import EMAIL_LINK
from keyback.domain.errors import Refusal
from keyback.domain.policy.rules import PROOFS as RULED
from keyback.domain.recovery.case import Case
from keyback.domain.secret import Secret
from keyback.locale import gettext
from keyback.registry import OWN, PROOFS
from keyback.web import intake
from keyback.web.api import methods, models_remedy
from keyback.web.api import models as m
from keyback.web.api.auth import RECOVERY_SECRET, Held, HeldRecovery, limited
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError, StrictRoute
from keyback.web.api.views import PREFIX, PROVEN, AnyRecovery, CaseView, describe, look, personal, resend_at
from keyback.web.ui.context import context_of
from keyback.web.ui.password_feedback import reasons_of_systems

WAIT_S = 8.0  # how long an answer waits for the systems before it says what is known
BUILT_IN = tuple(name for name in OWN[PROOFS] if RULED.get(name) != "knowledge")
Proof = Annotated[
    str,
    Path(
        pattern="^[a-z][a-z0-9_]{1,19}$",
        json_schema_extra={"anyOf": [{"enum": list(BUILT_IN)}, {"minLength": 2, "maxLength": 20}]},
        description="The way to prove who you are: one of those named here, or what an installed package brings.",
    ),
]
Target = Annotated[
    str,
    Query(max_length=22, description="Which address or factor, out of the recovery's `proofs`; default: the first."),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern="^[ -~]{16,255}$",
        description="Names this act: 16 to 255 printable ASCII characters, random. The same key again gets the "
        "same result, whatever the body; another key, or none, gets 409 once a password was chosen.",
    ),
]

start_router = APIRouter(tags=["recoveries"])
router = APIRouter(
    prefix="/recoveries/{handle}",
    tags=["recoveries"],
    route_class=StrictRoute,
    dependencies=[Depends(RECOVERY_SECRET)],
    responses=problems({401: ["unauthorized"], 404: ["not_found"]}),
)


class _HandedOn(Response):
    """An answer that another application gives."""

    def __init__(self, app: Any) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


@start_router.post(
    "/recoveries",
    operation_id="startRecovery",
    summary="Start a recovery",
    description="Writes the request down and answers; nothing is looked up before the answer. Repeat it with the same "
    "`Idempotency-Key` and the same body to get the same recovery; the same key with another body starts another one.",
    status_code=202,
    response_model=m.Started,
    responses=problems(
        {
            400: ["not_json", "bad_idempotency_key"],
            422: [
                "identifier_empty", "identifier_too_long", "identifier_not_text", "identifier_several",
                "identifier_spaces", "missing", "not_a_string", "not_text", "unknown_field", "repeated_field",
                "unknown_journey", "unknown_system",
            ],
            429: ["slow_down"],
        },
        body=True,
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Start"}}},
        },
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "pattern": "^[ -~]{16,255}$"},
                "description": "16 to 255 printable ASCII characters, random with 128 bits or more, such as a "
                "version 4 UUID. Keep it secret: the same key and body from the same network give the same `secret`.",
            }
        ],
    },
)  # fmt: skip
async def start_recovery(request: Request) -> Response:
    # Normally answered before any routing (ADR 11); this is the same application.
    return _HandedOn(intake.api_intake(context_of(request)))


@router.get(
    "",
    operation_id="getRecovery",
    summary="See where a recovery stands",
    description="`state` says what comes next. Until something is proven here, it reads the same whether anybody is "
    "meant or not. Ask every few seconds while the state is `waiting`, `need_more`, or `applying`.",
    response_model=models_remedy.Recovery,
)
async def get_recovery(request: Request, held: HeldRecovery) -> AnyRecovery:
    view = await held.desk.services.db.read(lambda tx: look(tx, held.handle, held.desk.services))
    return describe(held.desk, held.desk.locale(request), view)


def _only_waiting(held: Held, view: CaseView, *, to_prove: bool = False) -> None:
    """Raises Stop 409 unless nothing was proven yet, and (if asked) there is something to prove."""
    now = describe(held.desk, "en", view)
    if not isinstance(now, m.Waiting) or (to_prove and now.journey == "username"):
        raise ApiError(409, "wrong_state", state=now.state)


def _registered(held: Held, proof: str) -> None:
    """Raises ApiError 404 for a name that nothing answers to here, or not to programs."""
    if held.desk.services.policy.class_of(proof) in (None, "knowledge", "proofing"):
        raise ApiError(404, "not_found")


@router.post(
    "/proofs/{proof}",
    operation_id="startProof",
    summary="Ask for a further mail, or for another way to prove",
    description="What is sent, is sent at most every two minutes. Too early, nothing changes. The answer is the same "
    "for everybody until something was proven here.",
    status_code=202,
    response_model_exclude_none=True,
    responses=problems({409: ["wrong_state"], 422: ["invalid"], 429: ["slow_down"]}),
)
async def start_proof(request: Request, held: HeldRecovery, proof: Proof, target: Target = "") -> m.Asked:
    _registered(held, proof)
    await limited(held.desk, request, "recoveries")
    if proof != EMAIL_LINK:
        return await methods.start(held, request, proof, target)
    db = held.desk.services.db
    _only_waiting(held, await db.read(lambda tx: look(tx, held.handle, held.desk.services)))

    def ask(tx: Tx) -> CaseView:
        mailed_link.ask_again(tx, held.handle)
        return look(tx, held.handle, held.desk.services)

    view = await db.write(ask)
    _only_waiting(held, view)
    return m.Asked(resend_at=resend_at(view.intake)) if view.intake else _gone()


def _gone() -> Any:
    raise ApiError(409, "wrong_state", state="ended")


@router.post(
    "/proofs/{proof}/verify",
    operation_id="verifyProof",
    summary="Prove it with the mailed code, or answer another proof",
    description="The answer's `state` says what comes next. A wrong code counts as a try; `tries_left` says how many "
    "are left. The same answer sent twice counts once.",
    response_model_exclude_none=True,
    responses=problems(
        {
            409: ["wrong_state"],
            422: ["wrong_code", "code_over", "not_a_code", "invalid"],
            429: ["no_tries", "slow_down"],
        },
        body=True,
    ),
)
async def verify_proof(request: Request, held: HeldRecovery, proof: Proof, given: m.Code) -> m.Proven:
    _registered(held, proof)
    await limited(held.desk, request, "proofs")
    if proof != EMAIL_LINK:
        return await methods.verify(held, request, proof, given.code)
    db = held.desk.services.db
    _only_waiting(held, await db.read(lambda tx: look(tx, held.handle, held.desk.services)), to_prove=True)
    try:
        mailed = held.desk.services.proofs[EMAIL_LINK]
        result, left = await mailed_link.try_code(db, mailed, held.handle, given.code, held.desk.here(request))
    except Refusal:
        return _gone()  # type: ignore[no-any-return]
    if result == "no_tries":
        raise ApiError(429, "no_tries", tries_left=0)
    if result in ("wrong_code", "not_a_code"):
        raise ApiError(422, result, tries_left=left)
    if result not in ("accepted", "done"):
        raise ApiError(422, "code_over", reason=result, tries_left=left)
    now = describe(held.desk, "en", await db.read(lambda tx: look(tx, held.handle, held.desk.services)))
    if result == "accepted" and isinstance(now, PROVEN):
        return m.Proven(state=now.state)
    raise ApiError(409, "wrong_state", state=now.state)  # it was stopped in between, or proven by another request


@router.post(
    "/password",
    operation_id="choosePassword",
    summary="Choose the new password",
    description="Waits some seconds for the systems: 200 when all have a result, else 202 with what is known. "
    "`password_due` as the answer's state means that a system's own rules refused it: choose another one.",
    response_model=models_remedy.AfterPassword,
    responses={
        202: {"model": m.Applying, "description": "Some systems are not done yet; ask for the recovery again."},
        **problems(
            {
                400: ["not_json", "bad_idempotency_key"],
                409: ["wrong_state", "already_chosen"],
                422: ["password_refused", "no_accounts", "set_in_vain", "invalid"],
                429: ["slow_down"],
                503: ["busy", "unavailable", "unconfirmed"],
            },
            body=True,
        ),
    },
)
async def choose_password(
    request: Request, response: Response, held: HeldRecovery, given: m.NewPassword, key: Key = None
) -> AnyRecovery:
    desk, s = held.desk, held.desk.services
    await limited(desk, request, "proofs")
    # Hashed here, because the digest looks at the first 200 characters of an id only.
    submission = handles.submission_digest(s.seals, digests.digest(key.encode()).hex() if key else "")
    view = await s.db.read(lambda tx: look(tx, held.handle, held.desk.services))
    case = view.case
    if case is None:
        raise ApiError(409, "wrong_state", state=describe(desk, desk.locale(request), view).state)
    with s.db.watching(case.id) as watch:  # from before it is chosen, so that nothing is missed
        if not case.submission:
            await _choose(held, request, view, case, given, submission)
        elif case.submission != submission:
            raise ApiError(409, "already_chosen")
        now = await _settled(held, request, watch, at_once=bool(case.submission))
    response.status_code = 202 if isinstance(now, m.Applying) else 200
    return now


async def _choose(
    held: Held, request: Request, view: CaseView, case: Case, given: m.NewPassword, submission: str
) -> None:
    desk, s = held.desk, held.desk.services
    locale = desk.locale(request)
    if view.choice is None:
        raise ApiError(409, "wrong_state", state=describe(desk, locale, view).state)
    typed = given.new_password.get_secret_value()
    context, with_factor = personal(desk, view)
    # Of this person's accounts only: the history of anybody else's must not be asked.
    meant = [a for a in view.choice.accounts if not given.accounts or a.id in given.accounts]
    here, case_id = desk.here(request), case.id
    before = await preflight.preflight(s, held.handle, here, meant)
    if given.accounts and any(a.id in before.in_vain for a in meant):
        raise ApiError(422, "set_in_vain", field="accounts")
    meant = list(before.sensible(meant))
    ids = [a.id for a in meant]
    if before.in_vain and not ids:
        raise ApiError(422, "no_accounts", field="accounts")
    broken = await validation.judge(s, Secret(typed), context, with_factor, ids)
    systems = await system_rules.rules_of_systems(s, meant)
    theirs = system_rules.broken_by(systems, typed, view.choice.person.name)
    if broken or theirs:
        found = [
            {
                "code": PREFIX + v.code,
                "text": gettext(locale, v.text, **v.values),
                "suggestion": gettext(locale, v.suggestion, **v.values),
            }
            for v in broken
        ]
        found += [
            {"code": PREFIX + e.code, "text": e.text, "suggestion": e.fix} for e in reasons_of_systems(theirs, locale)
        ]
        raise ApiError(422, "password_refused", field="new_password", violations=found)
    try:
        await s.db.write(
            lambda tx: new_password.choose(
                tx, case_id, held.handle, Secret(typed), given.accounts or ids, submission, here
            )
        )
    except Refusal as e:
        if e.code == "no_accounts":
            raise ApiError(422, "no_accounts", field="accounts") from None
        if e.code != "already_chosen":
            raise
        if not e.values.get("same"):
            raise ApiError(409, "already_chosen") from None


async def _settled(held: Held, request: Request, watch: Watch, *, at_once: bool) -> AnyRecovery:
    """What is known once every system has a result, or after `WAIT_S`.

    Args:
        at_once: look before waiting; of what was chosen this moment nothing is known yet.
    """
    db, time = held.desk.services.db, asyncio.get_running_loop().time
    until = time() + WAIT_S
    if not at_once:
        await watch.wait(WAIT_S)
    while True:
        view = await db.read(lambda tx: look(tx, held.handle, held.desk.services))
        now = describe(held.desk, held.desk.locale(request), view)
        left = until - time()
        if not isinstance(now, m.Applying) or left <= 0:
            return now
        await watch.wait(left)


@router.post(
    "/cancel",
    operation_id="cancelRecovery",
    summary="Stop a recovery",
    description="What was mailed for it ends. A second time it says the same.",
    responses=problems({409: ["wrong_state"]}, body=True),
)
async def cancel_recovery(held: HeldRecovery) -> m.Ended:
    def stop(tx: Tx) -> CaseView:
        view = look(tx, held.handle, held.desk.services)
        before = describe(held.desk, "en", view)
        if isinstance(before, m.Applying | models_remedy.Done):
            raise ApiError(409, "wrong_state", state=before.state)
        cancel.stop_by_requester(tx, held.handle)
        return look(tx, held.handle, held.desk.services)

    now = describe(held.desk, "en", await held.desk.services.db.write(stop))
    if not isinstance(now, m.Ended):
        raise ApiError(409, "wrong_state", state=now.state)
    return now
