"""The login doctor, and second steps that were lost in a system, for API clients: the rules are those of the pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from keyback.application.doctor import diagnosis, system_factor
from keyback.application.doctor.preflight import in_vain
from keyback.application.ports.connectors import Outcome
from keyback.application.ports.storage import Tx
from keyback.domain.errors import Refusal
from keyback.web.api import models_diagnosis as m
from keyback.web.api.auth import RECOVERY_SECRET, HeldRecovery, instant, limited
from keyback.web.api.models import Started
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError, StrictRoute
from keyback.web.http.rate_limits import WAIT_S
from keyback.web.ui.findings import self_checks, shown_of

router = APIRouter(
    prefix="/recoveries/{handle}",
    tags=["recoveries"],
    route_class=StrictRoute,
    dependencies=[Depends(RECOVERY_SECRET)],
    responses=problems({401: ["unauthorized"], 404: ["not_found"]}),
)
AccountId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="An id out of `accounts`.")]
HOUR_S = 3600
FAILED = {"uncertain": (503, "unconfirmed"), "retry": (503, "unavailable"), "pending": (409, "not_removable")}


def _refused(e: Refusal) -> ApiError:
    if e.code == "too_many":
        return ApiError(429, "slow_down", retry_after=HOUR_S)
    if e.code == "privileged_target":
        return ApiError(409, "privileged_target")
    return ApiError(409, "wrong_state")


@router.get(
    "/diagnosis",
    operation_id="diagnoseRecovery",
    summary="See what keeps the person out",
    description="Once verified, and for an hour after a new password or another remedy: asks every system at once, "
    "for at most four seconds, and changes nothing. A system with `state` `slow` can be asked again.",
    responses=problems({409: ["wrong_state"], 429: ["slow_down"]}),
)
async def diagnose(request: Request, held: HeldRecovery) -> m.Diagnosis:
    desk, s = held.desk, held.desk.services
    await limited(desk, request, "proofs")
    here, locale = desk.here(request), desk.locale(request)

    def begin(tx: Tx) -> diagnosis.Patient:
        of = diagnosis.patient(tx, held.handle, here, s.rules)
        if not diagnosis.count(tx, of.person.id):
            raise ApiError(429, "slow_down", retry_after=WAIT_S)
        return of

    try:
        of = await s.db.write(begin)
    except Refusal as e:
        raise _refused(e) from None
    found = await diagnosis.diagnose(s, of)
    await s.db.write(lambda tx: diagnosis.record(tx, of.case, found))
    privileged = of.case.tier == "privileged"
    rows = []
    for d in found:
        a, words = d.account, shown_of(d, locale, s.connectors.get(d.account.system), s.titles)
        rows.append(
            m.Checked(
                account_id=a.id,
                system=a.system,
                title=s.titles.get(a.system, a.system),
                username=a.username,
                state="found" if words else "slow" if d.fault else "silent" if d.silent else "fine",
                findings=[
                    m.Found(
                        code=f.code,
                        text=f.text,
                        next_step=f.next_step,
                        action=f.action,
                        until=instant(f.until) if f.until else None,
                        account_id=f.account or None,
                    )
                    for f in words
                ],
                takes_password=a.id in of.case.accounts and in_vain(d, privileged=privileged) is None,
                second_step=d.second_step,
            )
        )
    checks = [m.Check(code=c.code, title=c.title, next_step=c.next_step) for c in self_checks(locale)]
    return m.Diagnosis(accounts=rows, checks=checks)


@router.post(
    "/accounts/{account_id}/second-step",
    operation_id="replaceSecondStep",
    summary="Go on to replace a second step that was lost in a system",
    description="Gives a recovery of its own, in which what was verified here counts again. It takes what replacing "
    "Keyback's own second step takes: usually a further proof, and a hold. While it needs more it says `need_more`.",
    status_code=201,
    responses=problems({409: ["wrong_state"], 429: ["slow_down"]}),
)
async def go_on(request: Request, held: HeldRecovery, account_id: AccountId) -> Started:
    desk = held.desk
    await limited(desk, request, "proofs")
    here = desk.here(request)
    try:
        new = await desk.services.db.write(lambda tx: system_factor.go_on(tx, held.handle, account_id, here))
    except Refusal as e:
        raise _refused(e) from None
    url = f"{desk.services.public_url}/api/v1/recoveries/{new.handle}"
    return Started(handle=new.handle, secret=new.secret, status_url=url, expires_at=instant(new.expires_at))


@router.get(
    "/factors",
    operation_id="listSystemFactors",
    summary="See the second steps in the person's systems",
    description="In the recovery that `replaceSecondStep` gave, once it needs no more.",
    responses=problems({409: ["wrong_state"], 429: ["slow_down"]}),
)
async def factors(request: Request, held: HeldRecovery) -> m.SystemFactors:
    desk, s = held.desk, held.desk.services
    await limited(desk, request, "proofs")
    try:
        found = await system_factor.factors_of(s, held.handle, desk.here(request))
    except Refusal as e:
        raise _refused(e) from None
    return m.SystemFactors(
        accounts=[
            m.FactorsOf(
                account_id=f.account.id,
                system=f.account.system,
                title=s.titles.get(f.account.system, f.account.system),
                username=f.account.username,
                factors=None
                if f.factors is None
                else [m.Factor(id=x.id, kind=x.kind, title=x.title, removable=x.removable) for x in f.factors],
                temporary_pass=f.gives_pass,
            )
            for f in found
        ]
    )


@router.post(
    "/accounts/{account_id}/factors/remove",
    operation_id="removeSystemFactor",
    summary="Remove a second step in a system",
    description="The person sets up another one at the next sign-in there. Every contact is told.",
    status_code=204,
    responses=problems(
        {
            409: ["wrong_state", "privileged_target", "not_removable"],
            422: ["refused", "invalid"],
            429: ["slow_down"],
            503: ["unavailable", "unconfirmed"],
        },
        body=True,
    ),
)
async def remove(request: Request, held: HeldRecovery, account_id: AccountId, given: m.RemoveFactor) -> None:
    desk = held.desk
    await limited(desk, request, "proofs")
    try:
        outcome = await system_factor.remove(desk.services, held.handle, account_id, given.factor, desk.here(request))
    except Refusal as e:
        raise _refused(e) from None
    _done(outcome)


@router.post(
    "/accounts/{account_id}/temporary-pass",
    operation_id="showTemporaryPass",
    summary="Get a pass for one sign-in to a system",
    description="In place of password and second step. This answer is the only one that has it: show it to the person "
    "and keep it nowhere. Every contact is told.",
    status_code=201,
    responses=problems(
        {
            409: ["wrong_state", "privileged_target"],
            422: ["refused"],
            429: ["slow_down"],
            503: ["unavailable", "unconfirmed"],
        }
    ),
)
async def temporary_pass(request: Request, held: HeldRecovery, account_id: AccountId) -> m.TemporaryPass:
    desk = held.desk
    await limited(desk, request, "proofs")
    try:
        given = await system_factor.temporary_pass(desk.services, held.handle, account_id, desk.here(request))
    except Refusal as e:
        raise _refused(e) from None
    if isinstance(given, Outcome):
        _done(given)
        raise ApiError(422, "refused")
    return m.TemporaryPass(secret=given.secret.reveal(), expires_at=instant(given.expires_at), once=given.once)


def _done(outcome: Outcome) -> None:
    """Raises `ApiError` unless it was done."""
    if outcome.code == "privileged_target":
        raise ApiError(409, "privileged_target")
    if outcome.status != "done":
        status, code = FAILED.get(outcome.status, (422, "refused"))
        raise ApiError(status, code, retry_after=60) if status == 503 else ApiError(status, code)
