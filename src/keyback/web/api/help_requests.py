"""Asking the help desk for help, for API clients: the rules are those of the pages (`portal.help_request`).

Nothing is looked up, so a recovery that matched nobody asks and is answered like any other.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Depends
from starlette.requests import Request

from keyback.application.desk import help_request as desk_help
from keyback.application.ports.help_requests import HelpRequest
from keyback.application.ports.storage import Intake, Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.calls import HELP_CODE_LIFE
from keyback.web.api import models_help as m
from keyback.web.api.auth import RECOVERY_SECRET, Held, HeldRecovery, instant, limited
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError, StrictRoute

router = APIRouter(
    prefix="/recoveries/{handle}/help",
    tags=["recoveries"],
    route_class=StrictRoute,
    dependencies=[Depends(RECOVERY_SECRET)],
    responses=problems({401: ["unauthorized"], 404: ["not_found"]}),
)
HOUR_S = 3600


def _shown(found: desk_help.Status | None) -> m.OwnHelpRequest:
    if found is None:
        return m.OwnHelpRequest(state="not_asked")
    q, names = found.request, dict(found.names)
    waits = q.state == "unconfirmed"
    return m.OwnHelpRequest(
        state=q.state,
        contact=q.contact,
        reason=q.reason,
        messages=[
            m.DeskMessage(at=instant(x.at), by="desk" if x.by else "person", name=names.get(x.by, ""), text=x.text)
            for x in q.lines
        ],
        place=found.place,
        usual_wait_seconds=found.usual_ms // 1000,
        may_reopen=found.may_reopen,
        tries_left=max(0, desk_help.MAX_TRIES - q.tries) if waits else None,
        code_expires_at=instant(q.code_at + HELP_CODE_LIFE) if waits else None,
        resend_at=instant(q.code_at + desk_help.RESEND) if waits else None,
    )


async def _now(held: Held) -> m.OwnHelpRequest:
    return _shown(await held.desk.services.db.read(lambda tx: desk_help.look(tx, held.handle)))


def _refused(e: BadInput | Refusal, field: str) -> ApiError:
    """Of bad input the member and what is wrong with it, never what was written."""
    if isinstance(e, BadInput):
        if e.code == "not_mail":
            return ApiError(422, "not_mail", field="contact")
        code = {"reason_long": "too_long", "text_long": "too_long", "reason_empty": "empty", "text_empty": "empty"}
        return ApiError(422, "invalid", errors=[{"field": field, "code": code.get(e.code, e.code)}])
    if e.code == "too_many":
        return ApiError(429, "slow_down", retry_after=HOUR_S)
    return ApiError(409, "wrong_state")


def _intake(tx: Tx, handle: str) -> Intake:
    """The request behind a recovery.

    Raises:
        Refusal: `over`: it is gone by now.
    """
    intake = tx.intakes.get(handle)
    if intake is None:
        raise Refusal("over")
    return intake


@router.get(
    "",
    operation_id="getOwnHelpRequest",
    summary="See what became of a request for help",
    description="`not_asked` where this recovery has asked for none. Ask again every minute or so while it is `open`.",
)
async def see(held: HeldRecovery) -> m.OwnHelpRequest:
    return await _now(held)


@router.post(
    "",
    operation_id="askForHelp",
    summary="Ask the help desk for help",
    description="Where nothing else works, once for each recovery; for whoever lost the mailbox, start one with the "
    "journey `mailbox`. A code goes to the contact, and the help desk sees the request once the code came back. The "
    "answer is the same whether the recovery matched anyone. Sent again with the same members, it counts once.",
    status_code=202,
    responses=problems({409: ["wrong_state"], 422: ["not_mail", "invalid"], 429: ["slow_down"]}, body=True),
)
async def ask(request: Request, held: HeldRecovery, given: m.AskForHelp) -> m.OwnHelpRequest:
    s = held.desk.services
    await limited(held.desk, request, "recoveries")

    def write(tx: Tx) -> None:
        before = tx.help_requests.get(held.handle)
        if before is None or not _same(before, given):
            desk_help.ask(tx, _intake(tx, held.handle), given.reason, given.contact, s.mail_quota)

    try:
        await s.db.write(write)
    except (BadInput, Refusal) as e:
        raise _refused(e, "reason") from None
    return await _now(held)


def _same(before: HelpRequest, given: m.AskForHelp) -> bool:
    """Whether this is the request that was taken already, sent again after a lost answer."""
    text = desk_help.tidy(given.reason, desk_help.MAX_REASON, "reason_empty", "reason_long")
    return before.reason == text and before.contact == desk_help.address_of(given.contact)


@router.post(
    "/verify",
    operation_id="confirmHelpRequest",
    summary="Confirm the address that answers go to",
    description="With the code that went there. A wrong one counts as a try. From then on the request is in the queue.",
    responses=problems(
        {409: ["wrong_state"], 422: ["wrong_code", "code_over", "invalid"], 429: ["no_tries", "slow_down"]}, body=True
    ),
)
async def confirm(request: Request, held: HeldRecovery, given: m.HelpCode) -> m.OwnHelpRequest:
    db = held.desk.services.db
    await limited(held.desk, request, "proofs")
    before = await _now(held)
    if before.state == "not_asked":
        raise ApiError(409, "wrong_state")
    if before.state == "unconfirmed":
        if not await db.write(lambda tx: desk_help.count_try(tx, held.handle)):
            if before.tries_left:
                raise ApiError(422, "code_over", reason="expired", tries_left=before.tries_left)
            raise ApiError(429, "no_tries", tries_left=0)
        answer = await db.write(lambda tx: desk_help.confirm(tx, held.handle, given.code))
        before = await _now(held)
        if answer == "wrong":
            raise ApiError(422, "wrong_code", field="code", tries_left=before.tries_left or 0)
    return before


@router.post(
    "/resend",
    operation_id="resendHelpCode",
    summary="Send a new code to the contact",
    description="Ends the one before. An address that got too many messages gets no further one, and nothing tells so.",
    status_code=202,
    responses=problems({409: ["too_early", "wrong_state"], 429: ["slow_down"]}),
)
async def resend(request: Request, held: HeldRecovery) -> m.OwnHelpRequest:
    s = held.desk.services
    await limited(held.desk, request, "recoveries")
    try:
        sent = await s.db.write(lambda tx: desk_help.send_again(tx, _intake(tx, held.handle), s.mail_quota))
    except Refusal as e:
        raise _refused(e, "") from None
    now = await _now(held)
    if not sent:
        raise ApiError(409, "too_early" if now.state == "unconfirmed" else "wrong_state")
    return now


@router.post(
    "/messages",
    operation_id="writeToHelpDesk",
    summary="Write to the help desk",
    description="Until the request is closed. The same text as in the newest message, sent again, counts once.",
    responses=problems({409: ["wrong_state"], 422: ["invalid"], 429: ["slow_down"]}, body=True),
)
async def write(request: Request, held: HeldRecovery, given: m.WriteToDesk) -> m.OwnHelpRequest:
    return await _written(request, held, given, desk_help.write)


@router.post(
    "/reopen",
    operation_id="reopenHelpRequest",
    summary="Have a closed request looked at by somebody else",
    description="Once, where `may_reopen` says so, with the reason. Whoever closed it leaves it to a colleague.",
    responses=problems({409: ["wrong_state"], 422: ["invalid"], 429: ["slow_down"]}, body=True),
)
async def reopen(request: Request, held: HeldRecovery, given: m.WriteToDesk) -> m.OwnHelpRequest:
    return await _written(request, held, given, desk_help.reopen)


async def _written(
    request: Request, held: Held, given: m.WriteToDesk, act: Callable[[Tx, str, str], None]
) -> m.OwnHelpRequest:
    await limited(held.desk, request, "recoveries")

    def once(tx: Tx) -> None:
        q = tx.help_requests.get(held.handle, lock=True)
        text = desk_help.tidy(given.text, desk_help.MAX_TEXT, "text_empty", "text_long")
        if q is None or not q.lines or q.state != "open" or q.lines[-1].by or q.lines[-1].text != text:
            act(tx, held.handle, given.text)

    try:
        await held.desk.services.db.write(once)
    except (BadInput, Refusal) as e:
        raise _refused(e, "text") from None
    return await _now(held)
