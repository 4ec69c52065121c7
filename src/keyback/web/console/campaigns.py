"""`/console/campaigns`: many people are asked to renew their passwords; one operator drafts it, another approves."""

from __future__ import annotations

import re
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.campaigns import lifecycle
from keyback.application.campaigns.lifecycle import CampaignView, Draft
from keyback.application.desk import campaigns, groups
from keyback.application.desk.sessions import Actor
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.campaigns import CampaignAct, CampaignReason, Pacing, Selection
from keyback.domain.operators.roles import Permission
from keyback.domain.people.groups import MAX_GROUP
from keyback.domain.people.person import Tier
from keyback.web.console.pages_campaigns import CampaignPage, CampaignsPage, NewCampaignPage
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.routes import Values

AT = "/console/campaigns"
ONE = AT + "/{id:str}"
FIELDS = (
    "name",
    "reason",
    "system",
    "tier",
    "group",
    "older",
    "people",
    "pace",
    "quiet_from",
    "quiet_until",
    "sessions",
    "must",
)
CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\Z")
STATUS = {"own_work": 403, "changed": 409, "wrong_state": 409}
SAMPLE = {"pace": "600"}


@shows(AT, Permission.CAMPAIGNS_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/campaigns`."""
    found = await desk.services.db.read(lifecycle.listed)
    return page(desk, request, actor, CampaignsPage(found), path=AT)


@shows(AT + "/new", Permission.CAMPAIGNS_DRAFT)
async def new(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/campaigns/new`."""
    s, group = desk.services, request.query_params.get("group", "").strip()[:MAX_GROUP]
    known = (await s.db.read(groups.names)).names
    return page(
        desk, request, actor, NewCampaignPage(s.titles, known, "", {**SAMPLE, "group": group}), path=f"{AT}/new"
    )


@acts(AT, Permission.CAMPAIGNS_DRAFT, *FIELDS)
async def add(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/campaigns`: a draft, which asks nobody."""
    s = desk.services
    try:
        wanted, people = _read(values), values["people"].splitlines()
        made = await s.db.write(lambda tx: campaigns.draft(tx, actor.operator, wanted, s.titles, people))
    except (BadInput, Refusal) as e:
        note_refusal(request, e.code)
        known = (await s.db.read(groups.names)).names
        return page(desk, request, actor, NewCampaignPage(s.titles, known, e.code, values), 422, path=f"{AT}/new")
    return redirect(f"{AT}/{made.id}")


def _read(values: Values) -> Draft:
    """Raises:
    BadInput: `reason`, `tier`, `number` or `clock`.
    """
    reason, tier = values["reason"], values["tier"]
    reasons: dict[str, CampaignReason] = {r: r for r in get_args(CampaignReason)}
    tiers: dict[str, Tier] = {t: t for t in get_args(Tier)}
    if reason not in reasons:
        raise BadInput("reason")
    if tier and tier not in tiers:
        raise BadInput("tier")
    pacing = Pacing(_number(values["pace"]), _minute(values["quiet_from"]), _minute(values["quiet_until"]))
    listed = bool(values["people"].strip())
    group = values["group"].strip()
    selection = Selection(values["system"], tiers[tier] if tier else "", _number(values["older"]), listed, group)
    return Draft(values["name"], reasons[reason], selection, pacing, bool(values["sessions"]), bool(values["must"]))


def _number(typed: str) -> int:
    typed = typed.strip()
    if typed and not (typed.isascii() and typed.isdigit() and len(typed) < 7):
        raise BadInput("number")
    return int(typed or 0)


def _minute(typed: str) -> int:
    if not typed.strip():
        return 0
    at = CLOCK.match(typed.strip())
    if at is None:
        raise BadInput("clock")
    return int(at[1]) * 60 + int(at[2])


async def _draw(desk: AppContext, request: Request, actor: Actor, status: int = 200, error: str = "") -> Response:
    campaign_id = request.path_params["id"]
    try:
        view: CampaignView = await desk.services.db.read(lambda tx: lifecycle.view(tx, campaign_id))
    except Refusal:
        return desk.page(request, ErrorPage(404, back=AT), 404, path=AT)
    model = CampaignPage(view, desk.services.titles, error)
    return page(desk, request, actor, model, status, path=f"{AT}/{campaign_id}")


@shows(ONE, Permission.CAMPAIGNS_VIEW)
async def one(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/campaigns/{id}`."""
    return await _draw(desk, request, actor)


async def _act(desk: AppContext, request: Request, actor: Actor, what: CampaignAct, seen: str = "") -> Response:
    campaign_id, version = request.path_params["id"], int(seen) if seen.isascii() and seen.isdigit() else 0
    try:
        await desk.services.db.write(lambda tx: campaigns.act(tx, actor.operator, campaign_id, what, version))
    except Refusal as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, actor, STATUS.get(e.code, 409), e.code)
    return redirect(f"{AT}/{campaign_id}")


@acts(ONE + "/approve", Permission.CAMPAIGNS_DECIDE, "version", fresh=True, back=AT + "/{id}")
async def approve(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/campaigns/{id}/approve`: exactly what the page counted."""
    return await _act(desk, request, actor, "approve", values["version"][:9])


@acts(ONE + "/decline", Permission.CAMPAIGNS_DECIDE)
async def decline(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/campaigns/{id}/decline`."""
    return await _act(desk, request, actor, "decline")


@acts(ONE + "/pause", Permission.CAMPAIGNS_DRAFT)
async def pause(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/campaigns/{id}/pause`."""
    return await _act(desk, request, actor, "pause")


@acts(ONE + "/resume", Permission.CAMPAIGNS_DECIDE)
async def resume(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/campaigns/{id}/resume`."""
    return await _act(desk, request, actor, "resume")


@acts(ONE + "/stop", Permission.CAMPAIGNS_DRAFT)
async def stop(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/campaigns/{id}/stop`."""
    return await _act(desk, request, actor, "stop")


ROUTES = [show, new, add, one, approve, decline, pause, resume, stop]
