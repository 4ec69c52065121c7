"""`/console/cases/{id}`: what happened in a case, what was shown, and what an operator may do next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import approvals, cases, workbench
from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.approvals import EYES
from keyback.domain.operators.roles import Permission
from keyback.locale import told
from keyback.web.console.pages import CasePage
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.routes import Values

AT = "/console/cases/{id:str}"
BACK = "/console/cases/{id}"
STATUS = {
    "yourself": 403,
    "rank": 403,
    "own_work": 403,
    "not_recommended": 403,
    "empty": 422,
    "reason": 422,
    "too_long": 422,
}
DONE = ("claimed", "released", "commented", "recommended", "approved", "declined")


async def draw(
    desk: AppContext, request: Request, actor: Actor, status: int = 200, error: str = "", typed: Values | None = None
) -> Response:
    """The page of a case; 404 for none."""
    s, case_id = desk.services, request.path_params["id"]
    try:
        opened = await s.db.read(lambda tx: cases.open_case(tx, actor, case_id, s.policy))
    except Refusal:
        return desk.page(request, ErrorPage(404, back="/console"), 404, path="/console")
    said = request.query_params.get("done", "")
    model = CasePage(
        opened,
        s.titles,
        EYES[opened.tier] == 4,
        error,
        typed or {},
        said if said in DONE and not error else "",
        desk.settings.help_desk.address_of(opened.work.ticket),
        {name: told(service.title, desk.locale(request)) for name, service in s.identity.items()},
    )
    return page(desk, request, actor, model, status, path=f"/console/cases/{case_id}")


async def _do(
    desk: AppContext, request: Request, values: Values, actor: Actor, act: Callable[[Tx], Any], done: str
) -> Response:
    """Does something with a case; what is refused is said on its page, and what was typed stays there."""
    case_id = request.path_params["id"]
    try:
        await desk.services.db.write(act)
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        if e.code in ("step_up", "over"):
            return redirect(f"/console/confirm?next=/console/cases/{case_id}")
        return await draw(desk, request, actor, STATUS.get(e.code, 409), e.code, values)
    return redirect(f"/console/cases/{case_id}?done={done}")


@shows(AT, Permission.CASES_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/cases/{id}`."""
    return await draw(desk, request, actor)


@acts(AT + "/claim", Permission.CASES_WORK)
async def claim(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/cases/{id}/claim`."""
    case_id = request.path_params["id"]
    return await _do(desk, request, values, actor, lambda tx: workbench.claim(tx, actor, case_id), "claimed")


@acts(AT + "/release", Permission.CASES_WORK)
async def release(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/cases/{id}/release`."""
    case_id = request.path_params["id"]
    return await _do(desk, request, values, actor, lambda tx: workbench.release(tx, actor, case_id), "released")


@acts(AT + "/note", Permission.CASES_WORK, "note")
async def comment(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/cases/{id}/note`."""
    case_id, text = request.path_params["id"], values["note"]
    return await _do(desk, request, values, actor, lambda tx: workbench.comment(tx, actor, case_id, text), "commented")


@acts(AT + "/ticket", Permission.CASES_WORK, "ticket")
async def ticket(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/cases/{id}/ticket`: the company's own."""
    case_id, typed = request.path_params["id"], values["ticket"]
    return await _do(desk, request, values, actor, lambda tx: workbench.set_ticket(tx, actor, case_id, typed), "ticket")


@acts(AT + "/recommend", Permission.CASES_RECOMMEND, "page", "version", "reason", "ticket")
async def recommend(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/cases/{id}/recommend`."""
    case_id, v, policy = request.path_params["id"], values, desk.services.policy

    def act(tx: Tx) -> None:
        workbench.recommend(tx, actor, case_id, v["page"], _number(v["version"]), v["reason"], v["ticket"], policy)

    return await _do(desk, request, values, actor, act, "recommended")


@acts(AT + "/approve", Permission.CASES_DECIDE, "page", "version", "reason", fresh=True, back=BACK)
async def approve(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/cases/{id}/approve`."""
    case_id, v, policy = request.path_params["id"], values, desk.services.policy

    def act(tx: Tx) -> None:
        approvals.approve(tx, actor, case_id, v["page"], _number(v["version"]), v["reason"], policy)

    return await _do(desk, request, values, actor, act, "approved")


@acts(AT + "/decline", Permission.CASES_DECIDE, "page", "version", "reason", fresh=True, back=BACK)
async def decline(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/cases/{id}/decline`."""
    case_id, v = request.path_params["id"], values

    def act(tx: Tx) -> None:
        approvals.decline(tx, actor, case_id, _number(v["version"]), v["reason"])

    return await _do(desk, request, values, actor, act, "declined")


def _number(typed: str) -> int:
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 10 else -1


ROUTES = [show, claim, release, comment, ticket, recommend, approve, decline]
