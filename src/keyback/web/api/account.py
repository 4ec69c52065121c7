"""The security center for programs: accounts as their systems know them, "not mine", and the steps after a recovery."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from keyback.application.account import systems
from keyback.application.account.systems import SystemNow
from keyback.application.enrolment.recently_added import recent
from keyback.application.ports.storage import Session, Tx
from keyback.application.recovery import aftercare
from keyback.application.signin import sessions, step_up
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Account, Person
from keyback.web.api import models_account as m
from keyback.web.api.auth import SESSION_TOKEN, Token, instant, limited
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError, StrictRoute
from keyback.web.ui.context import AppContext, context_of

router = APIRouter(
    prefix="/account",
    tags=["account"],
    route_class=StrictRoute,
    dependencies=[Depends(SESSION_TOKEN)],
    responses=problems({401: ["unauthorized"]}),
)
AccountId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="An id out of `accounts`.")]


async def session_of(desk: AppContext, token: str, *, fresh: bool = False) -> Session:
    """The live session of a token.

    Raises:
        ApiError: 401 when there is none, or it is good for choosing a new password only; 403 where one is wanted that
            was confirmed just now.
    """

    def load(tx: Tx, session: Session, _person: Person, _account: Account) -> tuple[Session, bool]:
        second = step_up.has_second_step(tx.factors.of_person(session.person_id))
        return session, step_up.is_fresh(session, second, tx.now)

    found = await sessions.look(desk.services.db, token, load)
    if found is None:
        raise ApiError(401, "unauthorized")
    if fresh and not found[1]:
        raise ApiError(403, "step_up")
    return found[0]


@router.get(
    "/systems",
    operation_id="listAccounts",
    summary="See every account as its system knows it now",
    description="Password age, recent sign-ins, and applications with access. All systems are asked at once, and none "
    "twice a minute.",
    responses=problems({429: ["slow_down"]}),
)
async def show(request: Request, token: Token) -> m.AccountsNow:
    desk = context_of(request)
    await limited(desk, request, "proofs")
    session = await session_of(desk, token)
    return m.AccountsNow(accounts=[_row(r) for r in await systems.look(desk.services, session.person_id)])


def _row(r: SystemNow) -> m.AccountNow:
    return m.AccountNow(
        account_id=r.account.id,
        system=r.account.system,
        title=r.title,
        username=r.username,
        password_changed_at=_at(r.changed_at),
        password_due_at=_at(r.due_at),
        sign_ins=[m.SystemSignIn(at=instant(x.at), ok=x.ok, source=x.source, client=x.client) for x in r.sign_ins],
        applications=[
            m.Application(id=g.id, title=g.title, authorized_at=_at(g.authorized_at), last_used_at=_at(g.last_used_at))
            for g in r.grants
        ],
        tells=r.tells,
        ends=r.ends,
        state="slow" if r.silence else "answered",
    )


def _at(ms: int | None) -> str | None:
    return instant(ms) if ms else None


@router.post(
    "/systems/{account_id}/end",
    operation_id="endAccess",
    summary="“Not mine”: end an application's access, and sign-ins",
    description="Ends what the application may do, every sign-in there where the system allows it, and all other "
    "sessions here. Every contact is told. Takes a session whose password, or second step where there is one, was "
    "given in the last minutes.",
    responses=problems(
        {403: ["step_up"], 404: ["not_found"], 422: ["invalid"], 429: ["slow_down"]},
        body=True,
    ),
)
async def end(request: Request, token: Token, account_id: AccountId, given: m.EndAccess) -> m.AccessEnded:
    desk = context_of(request)
    await limited(desk, request, "proofs")
    session = await session_of(desk, token, fresh=True)
    try:
        ended = await systems.disown(desk.services, session, account_id, given.application, desk.origin(request))
    except Refusal:
        raise ApiError(401, "unauthorized") from None
    if ended is None:
        raise ApiError(404, "not_found")
    return m.AccessEnded(result=ended[0])


@router.get(
    "/after",
    operation_id="afterRecovery",
    summary="See the steps after a recovery",
    description="What is left to do, and what was added lately.",
)
async def after(request: Request, token: Token) -> m.AfterRecovery:
    desk = context_of(request)
    session = await session_of(desk, token)

    def load(tx: Tx) -> m.AfterRecovery:
        done = aftercare.done(tx, session.person_id)
        added = recent(tx, session.person_id, tx.now - aftercare.LOOK_BACK)
        return m.AfterRecovery(
            steps=[m.CareStep(step=x, done=x in done) for x in aftercare.STEPS],
            recently_added=[
                m.LatelyAdded(id=a.id, kind=a.what, label=a.label, added_at=instant(a.added_at)) for a in added
            ],
        )

    return await desk.services.db.read(load)


@router.post(
    "/after",
    operation_id="tickStep",
    summary="Tick off a step after a recovery",
    description="What was done in the security center or in a system. Ticking one off twice is no fault.",
    status_code=204,
    responses=problems({422: ["invalid"], 429: ["slow_down"]}, body=True),
)
async def tick(request: Request, token: Token, given: m.StepDone) -> Response:
    desk = context_of(request)
    await limited(desk, request, "proofs")
    session = await session_of(desk, token)
    await desk.services.db.write(lambda tx: aftercare.tick(tx, session.person_id, given.step))
    return Response(status_code=204)
