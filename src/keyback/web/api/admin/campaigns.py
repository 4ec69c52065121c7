"""Campaigns for programs: drafted, counted by the worker, watched, paused and stopped. An officer approves each."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from keyback.application.campaigns import lifecycle
from keyback.application.campaigns.lifecycle import CampaignView, Draft
from keyback.application.desk import campaigns
from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.campaigns import CampaignAct, Pacing, Selection
from keyback.domain.operators.roles import Permission
from keyback.web.api.admin import models as m
from keyback.web.api.admin import models_campaigns as mc
from keyback.web.api.admin.access import PAGE, Caller, OnceKey, admin_router, needs, read_cursor, refused, write_cursor
from keyback.web.api.auth import instant
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError

router = admin_router()
CampaignId = Annotated[str, Path(pattern=m.ID, description="A campaign.")]
Reads = Annotated[Caller, needs(Permission.CAMPAIGNS_VIEW)]
Drafts = Annotated[Caller, needs(Permission.CAMPAIGNS_DRAFT)]
MEMBERS = {"empty": "name", "no_list": "people"}
ACTS = problems(
    {
        400: ["bad_idempotency_key"],
        403: ["forbidden", "needs_person"],
        409: ["wrong_state"],
        422: ["key_of_another_request"],
    }
)


def _campaign(v: CampaignView) -> mc.Campaign:
    c, t, s = v.campaign, v.tally, v.campaign.selection
    return mc.Campaign(
        id=c.id,
        version=c.version,
        name=c.name,
        state=c.state,
        reason=c.reason,
        system=s.system or None,
        tier=s.tier or None,
        group=s.group or None,
        older_days=s.older_days,
        listed=s.listed,
        lines_unknown=c.unknown,
        per_minute=c.pacing.per_minute,
        end_sessions=c.end_sessions,
        must_renew=c.must_renew,
        drafted_by=_by(c.drafted_by, v.drafted_by),
        drafted_at=instant(c.drafted_at),
        decided_by=_by(c.decided_by, v.decided_by),
        decided_at=instant(c.decided_at) if c.decided_at else None,
        ended_at=instant(c.ended_at) if c.ended_at else None,
        people=mc.Counts(
            all=t.of(),
            privileged=t.of(privileged=True),
            waiting=t.of("waiting"),
            queued=t.of("queued"),
            sent=t.of("sent"),
            failed=t.of("failed"),
            gone=t.of("gone"),
            unreachable=t.of("unreachable"),
            elsewhere=t.of("elsewhere"),
            opened=t.did("opened", "recovered", "ended"),
            recovered=t.did("recovered"),
            ended=t.did("ended"),
        ),
        seconds_left=v.left_s if c.pacing.per_minute else None,
    )


def _by(operator_id: str, name: str) -> m.By | None:
    """None also for what was drafted on the server, which is nobody of these."""
    return m.By(id=operator_id, name=name) if operator_id and operator_id != lifecycle.SERVER else None


@router.get(
    "/campaigns",
    operation_id="listCampaigns",
    summary="See the campaigns",
    description="The newest first, each with how far it is.",
    responses=problems({414: ["too_large"], 422: ["invalid"]}),
)
async def listed(
    caller: Reads, cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None
) -> mc.CampaignPage:
    after = read_cursor(cursor) if cursor else None
    found = await caller.read(lambda tx: lifecycle.listed(tx, PAGE + 1, after))
    last = found[PAGE - 1].campaign if len(found) > PAGE else None
    more = write_cursor(last.drafted_at, last.id) if last else None
    return mc.CampaignPage(items=[_campaign(v) for v in found[:PAGE]], next=more)


@router.get(
    "/campaigns/{campaign_id}",
    operation_id="getCampaign",
    summary="See a campaign",
    description="While it is `drafted`, its counts are the dry run: who would be asked, who could not be. Then they "
    "are its progress, and after its end the report.",
)
async def get(caller: Reads, campaign_id: CampaignId) -> mc.Campaign:
    return _campaign(await caller.read(lambda tx: lifecycle.view(tx, campaign_id)))


@router.post(
    "/campaigns",
    operation_id="draftCampaign",
    summary="Draft a campaign",
    description="The worker counts who is meant; nobody is asked before a security officer approves exactly that, in "
    "the console. All security officers are told of the draft.",
    status_code=201,
    response_model=m.Made,
    responses=problems(
        {
            400: ["bad_idempotency_key"],
            409: ["many_campaigns"],
            422: ["key_of_another_request", "invalid"],
        },
        body=True,
    ),
)
async def draft(caller: Drafts, given: mc.NewCampaign, once: OnceKey = None) -> Response:
    group, listed = (given.group or "").strip(), given.people is not None
    selection = Selection(given.system or "", given.tier or "", given.older_days, listed, group)
    pacing = Pacing(given.per_minute, _minute(given.quiet_from), _minute(given.quiet_until))
    wanted = Draft(given.name, given.reason, selection, pacing, given.end_sessions, given.must_renew)
    systems = caller.desk.services.titles

    def act(tx: Tx, actor: Actor) -> m.Made:
        try:
            made = campaigns.draft(tx, actor.operator, wanted, systems, given.people or ())
        except Refusal as e:
            raise ApiError(409, "many_campaigns") from e
        except BadInput as e:
            raise refused(e, MEMBERS.get(e.code, e.code)) from e
        return m.Made(id=made.id)

    return await caller.act(once, act, 201)


def _minute(clock: str | None) -> int:
    return int(clock[:2]) * 60 + int(clock[3:]) if clock else 0


async def _act(caller: Caller, campaign_id: str, what: CampaignAct, once: str | None) -> Response:
    def act(tx: Tx, actor: Actor) -> None:
        campaigns.act(tx, actor.operator, campaign_id, what)

    return await caller.act(once, act)


@router.post(
    "/campaigns/{campaign_id}/pause",
    operation_id="pauseCampaign",
    summary="Pause a campaign",
    description="Nobody else is asked until it is resumed. Messages that are on their way go out.",
    status_code=204,
    responses=ACTS,
)
async def pause(caller: Drafts, campaign_id: CampaignId, once: OnceKey = None) -> Response:
    return await _act(caller, campaign_id, "pause", once)


@router.post(
    "/campaigns/{campaign_id}/resume",
    operation_id="resumeCampaign",
    summary="Resume a campaign",
    description="Only one that this program paused itself: what an operator paused, an operator resumes.",
    status_code=204,
    responses=ACTS,
)
async def resume(caller: Drafts, campaign_id: CampaignId, once: OnceKey = None) -> Response:
    return await _act(caller, campaign_id, "resume", once)


@router.post(
    "/campaigns/{campaign_id}/stop",
    operation_id="stopCampaign",
    summary="Stop a campaign",
    description="For good: nobody else is asked, and messages that wait in the outbox are not sent.",
    status_code=204,
    responses=ACTS,
)
async def stop(caller: Drafts, campaign_id: CampaignId, once: OnceKey = None) -> Response:
    return await _act(caller, campaign_id, "stop", once)
