"""A lost second step, a lost mailbox, a lock and what is left after a new password, for API clients.

The rules are those of the pages (`portal.remedy`): the same use cases, the same limits, the same refusals.
"""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from keyback.application.notifications.notify import username_of
from keyback.application.ports.storage import Tx
from keyback.application.recovery import remedy, replace_factor, replace_mailbox, replace_passkey
from keyback.application.recovery import unlock as recovery_unlock
from keyback.application.tasks import lifecycle as tasks
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.people.person import Account
from keyback.web.api import models as base
from keyback.web.api import models_remedy as m
from keyback.web.api import remedy_views
from keyback.web.api.auth import RECOVERY_SECRET, Held, HeldRecovery, instant, limited
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError, StrictRoute
from keyback.web.api.views import describe, look
from keyback.web.ui import shown

router = APIRouter(
    prefix="/recoveries/{handle}",
    tags=["recoveries"],
    route_class=StrictRoute,
    dependencies=[Depends(RECOVERY_SECRET)],
    responses=problems({401: ["unauthorized"], 404: ["not_found"]}),
)
TaskId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="The `task` of a result.")]
HOUR_S = 3600


async def _state(held: Held, request: Request) -> str:
    s = held.desk.services
    view = await s.db.read(lambda tx: look(tx, held.handle, s))
    return str(describe(held.desk, held.desk.locale(request), view).state)


async def _refused(held: Held, request: Request, e: Refusal) -> ApiError:
    """The problem for what a use case refused. Where nothing is proven, it says no more than the state does."""
    if e.code == "too_many":
        return ApiError(429, "slow_down", retry_after=HOUR_S)
    return ApiError(409, "wrong_state", state=await _state(held, request))


async def _done(held: Held, request: Request) -> m.Done:
    s = held.desk.services
    now = describe(held.desk, held.desk.locale(request), await s.db.read(lambda tx: look(tx, held.handle, s)))
    if not isinstance(now, m.Done):
        raise ApiError(409, "wrong_state", state=now.state)
    return now


# ── locked ──────────────────────────────────────────────────────────────────


@router.post(
    "/unlock",
    operation_id="unlockAccounts",
    summary="Open locked accounts again without a new password",
    description="For `locked`, once verified: every account in `unlockable`. Twice is the same as once, so after a "
    "lost answer it can be sent again. Every contact is told.",
    responses=problems({409: ["wrong_state"], 429: ["slow_down"]}),
)
async def unlock(request: Request, held: HeldRecovery) -> m.Unlocking:
    desk, s = held.desk, held.desk.services
    await limited(desk, request, "proofs")
    try:
        results = await recovery_unlock.unlock(s.db, s.connectors, held.handle, desk.here(request))
    except Refusal as e:
        raise await _refused(held, request, e) from None

    def named(accounts: list[Account]) -> list[base.Account]:
        return [
            base.Account(id=a.id, system=a.system, title=s.titles.get(a.system, a.system), username=a.username)
            for a in accounts
        ]

    failed = [a for a, o in results if o.status != "done"]
    fine = [a for a, o in results if o.status == "done"]
    return m.Unlocking(state="password_due" if failed else "done", unlocked=named(fine), failed=named(failed))


# ── a lost second step ──────────────────────────────────────────────────────


@router.post(
    "/second-step/app",
    operation_id="startNewApp",
    summary="Get a seed for a new authenticator app",
    description="In the state `second_step_due`. A new seed, or a challenge for a passkey, takes the place of the one "
    "before. Nothing changes until its first code came back.",
    status_code=201,
    responses=problems({409: ["wrong_state", "not_offered"], 429: ["slow_down"]}),
)
async def start_app(request: Request, held: HeldRecovery) -> m.NewApp:
    desk, s = held.desk, held.desk.services
    await limited(desk, request, "proofs")
    app, here = remedy_views.app_of(s), desk.here(request)
    if app is None:
        raise ApiError(409, "not_offered")

    def start(tx: Tx) -> tuple[str, str, int]:
        replace_factor.start_app(tx, app, held.handle, here)
        person = remedy.open_recovery(tx, held.handle, here).person
        new = replace_factor.waiting_app(tx, person.id, held.handle)
        if new is None:
            raise Refusal("over")
        until = new.added_at + replace_factor.SETUP_LIFE
        return shown.mark_of(s.seals, new.id), str(new.data["seed"]) + "\0" + username_of(tx, person.id), until

    try:
        of, both, until = await s.db.write(start)
    except Refusal as e:
        raise await _refused(held, request, e) from None
    seed, _, username = both.partition("\0")
    uri = app.uri(seed, username, s.company[desk.locale(request)])
    return m.NewApp(id=of, seed=seed, uri=uri, expires_at=instant(until))


@router.post(
    "/second-step/app/verify",
    operation_id="finishNewApp",
    summary="Put the new authenticator app in place of what was lost",
    description="With its first code. Every other second step stops working in the same moment, every session ends, "
    "every contact is told.",
    responses=problems({409: ["wrong_state"], 422: ["wrong_code", "invalid"], 429: ["slow_down"]}, body=True),
)
async def finish_app(request: Request, held: HeldRecovery, given: m.FirstCode) -> m.Done:
    desk, s = held.desk, held.desk.services
    await limited(desk, request, "proofs")
    app, here, fits = remedy_views.app_of(s), desk.here(request), shown.fits(s.seals, given.id)
    if app is None:
        raise ApiError(409, "wrong_state", state=await _state(held, request))
    try:
        good = await s.db.write(
            lambda tx: replace_factor.replace_factor(tx, app, held.handle, given.code, here, fits)
        )  # fmt: skip
    except Refusal as e:
        raise await _refused(held, request, e) from None
    if not good:
        raise ApiError(422, "wrong_code", field="code")
    return await _done(held, request)


@router.post(
    "/second-step/passkey",
    operation_id="startNewPasskey",
    summary="Get a challenge for a new passkey",
    description="In the state `second_step_due`, where `offers` has `passkey`. A browser makes passkeys only on pages "
    "of `public_url` itself.",
    status_code=201,
    responses=problems({409: ["wrong_state", "not_offered"], 429: ["slow_down"]}),
)
async def start_passkey(request: Request, held: HeldRecovery) -> m.NewPasskey:
    desk, s = held.desk, held.desk.services
    await limited(desk, request, "proofs")
    maker, here = remedy_views.passkeys_of(s), desk.here(request)
    company = s.company[desk.locale(request)]

    def start(tx: Tx) -> tuple[str, str, int]:
        if maker is None:
            raise Refusal("not_offered")
        replace_passkey.start(tx, held.handle, here)
        o, asked = remedy.open_recovery(tx, held.handle, here), replace_passkey.waiting(tx, held.handle)
        if asked is None:
            raise Refusal("over")
        options = replace_passkey.options(tx, maker, o, asked, username_of(tx, o.person.id), company)
        return shown.mark_of(s.seals, asked.id), options, asked.expires_at

    try:
        of, options, until = await s.db.write(start)
    except Refusal as e:
        if e.code == "not_offered":
            raise ApiError(409, "not_offered") from None
        raise await _refused(held, request, e) from None
    return m.NewPasskey(id=of, options=json.loads(options), expires_at=instant(until))


@router.post(
    "/second-step/passkey/verify",
    operation_id="finishNewPasskey",
    summary="Put the new passkey in place of what was lost",
    description="With what the browser made. Right or wrong, the challenge is over then. As for an app, everything "
    "else stops working in the same moment.",
    responses=problems({409: ["wrong_state"], 422: ["wrong_passkey", "invalid"], 429: ["slow_down"]}, body=True),
)
async def finish_passkey(request: Request, held: HeldRecovery, given: m.MadePasskey) -> m.Done:
    desk, s = held.desk, held.desk.services
    await limited(desk, request, "proofs")
    maker, here, fits = remedy_views.passkeys_of(s), desk.here(request), shown.fits(s.seals, given.id)
    if maker is None:
        raise ApiError(409, "wrong_state", state=await _state(held, request))
    made = given.credential.get_secret_value()
    try:
        done = await s.db.write(lambda tx: replace_passkey.replace(tx, maker, held.handle, made, here, fits))
    except Refusal as e:
        raise await _refused(held, request, e) from None
    if done != "done":
        raise ApiError(422, "wrong_passkey", field="credential")
    return await _done(held, request)


# ── a lost mailbox ──────────────────────────────────────────────────────────


@router.post(
    "/mailbox",
    operation_id="chooseMailbox",
    summary="Put a mailbox that was confirmed before in place of the lost one",
    description="In the state `mailbox_due`. The lost address is removed, every session ends, every contact is told.",
    responses=problems({409: ["wrong_state"], 422: ["unknown_mailbox", "invalid"], 429: ["slow_down"]}, body=True),
)
async def choose_mailbox(request: Request, held: HeldRecovery, given: m.ChosenMailbox) -> m.Done:
    desk = held.desk
    await limited(desk, request, "proofs")
    here = desk.here(request)

    def choose(tx: Tx) -> bool:
        o = remedy.open_recovery(tx, held.handle, here, "mailbox")
        if given.mailbox not in {c.id for c in replace_mailbox.other_mailboxes(tx, o.person.id)}:
            return False
        replace_mailbox.choose_mailbox(tx, held.handle, given.mailbox, here)
        return True

    try:
        found = await desk.services.db.write(choose)
    except Refusal as e:
        raise await _refused(held, request, e) from None
    if not found:
        raise ApiError(422, "unknown_mailbox", field="mailbox")
    return await _done(held, request)


@router.post(
    "/mailbox/new",
    operation_id="startNewMailbox",
    summary="Have a code mailed to a new address",
    description="In the state `mailbox_due`. The address is used for nothing before its code came back. One that got "
    "too many mails gets no further one, and nothing tells so.",
    status_code=202,
    responses=problems(
        {409: ["wrong_state"], 422: ["not_mail", "known", "invalid"], 429: ["slow_down"]}, body=True
    ),
)  # fmt: skip
async def start_mailbox(request: Request, held: HeldRecovery, given: m.NewMailbox) -> m.MailboxAsked:
    desk, s = held.desk, held.desk.services
    await limited(desk, request, "proofs")
    here = desk.here(request)

    def start(tx: Tx) -> tuple[str, int]:
        asked = tx.challenges.get(replace_mailbox.start_mailbox(tx, held.handle, given.address, here))
        new = replace_mailbox.waiting_mailbox(tx, held.handle)
        if asked is None or new is None:
            raise Refusal("over")
        return shown.mark_of(s.seals, new.address), asked.expires_at

    try:
        of, until = await s.db.write(start)
    except BadInput:
        raise ApiError(422, "not_mail", field="address") from None
    except Refusal as e:
        if e.code == "known":
            raise ApiError(422, "known", field="address") from None
        raise await _refused(held, request, e) from None
    return m.MailboxAsked(id=of, expires_at=instant(until))


@router.post(
    "/mailbox/verify",
    operation_id="finishNewMailbox",
    summary="Put the new mailbox in place of the lost one",
    description="With the code that was mailed to it.",
    responses=problems({409: ["wrong_state"], 422: ["wrong_code", "invalid"], 429: ["slow_down"]}, body=True),
)
async def finish_mailbox(request: Request, held: HeldRecovery, given: m.FirstCode) -> m.Done:
    desk = held.desk
    await limited(desk, request, "proofs")
    here, fits = desk.here(request), shown.fits(desk.services.seals, given.id)
    try:
        good = await desk.services.db.write(
            lambda tx: replace_mailbox.confirm_mailbox(tx, held.handle, given.code, here, fits)
        )
    except Refusal as e:
        raise await _refused(held, request, e) from None
    if not good:
        raise ApiError(422, "wrong_code", field="code")
    return await _done(held, request)


# ── afterwards ──────────────────────────────────────────────────────────────


@router.post(
    "/recent-factors/remove",
    operation_id="removeRecentFactors",
    summary="After a new password, remove second steps that the person doesn't know",
    description="Ids out of `recent_factors`, within an hour. Others, and those that are gone, are passed over.",
    responses=problems({422: ["invalid"], 429: ["slow_down"]}, body=True),
)
async def remove_recent(request: Request, held: HeldRecovery, given: m.RecentFactors) -> m.RecentRemoved:
    desk = held.desk
    await limited(desk, request, "proofs")
    here = desk.here(request)
    gone = await desk.services.db.write(
        lambda tx: replace_factor.take_away(tx, held.handle, given.factors, here)
    )  # fmt: skip
    return m.RecentRemoved(removed=gone)


@router.post(
    "/tasks/{task}",
    operation_id="actOnTask",
    summary="Say that the person is in, or ask for an administrator",
    description="For a result that has a `task`. 409 `too_early`: not now; administrators are asked once an hour at "
    "most, and five times in all.",
    status_code=204,
    responses=problems({409: ["wrong_state", "too_early"], 422: ["invalid"], 429: ["slow_down"]}, body=True),
)
async def act_on_task(request: Request, held: HeldRecovery, task: TaskId, given: m.TaskAct) -> None:
    s = held.desk.services
    await limited(held.desk, request, "recoveries")

    def act(tx: Tx) -> bool | None:
        intake = tx.intakes.get(held.handle)
        if intake is None or not intake.case_id:
            return None
        if given.act == "in":
            tasks.say_in(tx, task, intake.case_id)
            return True
        return tasks.ask_again(tx, s.tasks, task, intake.case_id)

    done = await s.db.write(act)
    if done is None:
        raise ApiError(409, "wrong_state", state=await _state(held, request))
    if not done:
        raise ApiError(409, "too_early")
