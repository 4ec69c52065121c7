"""Connected systems for programs: how each is, from what storage knows. No vendor is called."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import Path

from keyback.application.desk import systems
from keyback.application.desk.systems import SystemLine, SystemsSeen
from keyback.domain.operators.roles import Permission
from keyback.web.api.admin import models_systems as ms
from keyback.web.api.admin.access import Caller, admin_router, needs
from keyback.web.api.auth import instant
from keyback.web.api.models import Instant
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError

router = admin_router()
Reads = Annotated[Caller, needs(Permission.SYSTEMS_VIEW)]
SystemName = Annotated[str, Path(max_length=40, description="Its name in the settings.", examples=["builtin"])]


async def _seen(caller: Caller) -> SystemsSeen:
    s = caller.desk.services
    return await caller.read(lambda tx: systems.look(tx, s.connectors, s.titles))


def _at(ms: int) -> Instant | None:
    return instant(ms) if ms else None


def _system(x: SystemLine) -> ms.System:
    s, w, r = x.state, x.work, x.sync
    return ms.System(
        name=x.name,
        title=x.title,
        state=x.face,
        builtin=x.own,
        guided=x.guided,
        reached_at=_at(s.good_at),
        failing_since=_at(s.failing_since),
        check=ms.SystemCheck(status=s.check_status, at=instant(s.checked_at), old=x.check_old)
        if s.check_status
        else None,
        work=ms.Work(waiting=w.waiting, failing=w.failing, dead=w.dead, code=w.code or None, oldest_at=_at(w.oldest)),
        tasks=ms.Tasks(open=sum(x.tasks.values()), kinds=dict(x.tasks), oldest_at=_at(x.oldest_task)),
        sync=ms.Sync(state=r.state, started_at=instant(r.started_at), done_at=_at(r.done_at), code=r.code or None)
        if r
        else None,
        capabilities={f.name: str(getattr(x.capabilities, f.name)) for f in dataclasses.fields(x.capabilities)},
    )


@router.get(
    "/systems",
    operation_id="listSystems",
    summary="See the connected systems",
    description="As the console's page shows them: how each was reached last, what the last `keyback check` said, what "
    "waits for it, and its last sync. In the order of the settings. Systems can't be paused, here or there.",
)
async def listed(caller: Reads) -> ms.Systems:
    found = await _seen(caller)
    return ms.Systems(items=[_system(x) for x in found.lines], more_waits=found.full)


@router.get(
    "/systems/{system}",
    operation_id="getSystem",
    summary="See a connected system",
    description="`state` is `stop` where it can't be reached or its last check failed, `care` where something waits "
    "for somebody, and `unknown` where nobody has called or checked it yet.",
    responses=problems({422: ["invalid"]}),
)
async def get(caller: Reads, system: SystemName) -> ms.System:
    found = next((x for x in (await _seen(caller)).lines if x.name == system), None)
    if found is None:
        raise ApiError(404, "not_found")
    return _system(found)
