"""The audit log for programs, such as whatever collects logs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from keyback.application.desk import audit_search
from keyback.application.desk.audit_search import PAGE, Wanted
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput
from keyback.domain.operators.roles import Permission
from keyback.web.api.admin import models as m
from keyback.web.api.admin.access import Caller, admin_router, needs, read_cursor, refused, write_cursor
from keyback.web.api.auth import instant
from keyback.web.api.openapi import problems

router = admin_router()
Day = Annotated[str, Query(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="A day of the company's.")]


@router.get(
    "/audit",
    operation_id="listAudit",
    summary="Read the audit log",
    description="The newest rows first; `next` leads to older ones. A page may hold few rows, or none, and still have "
    "a `next`. No person is named; rows hold ids.",
    responses=problems({414: ["too_large"], 422: ["invalid"]}),
)
async def audit(
    caller: Annotated[Caller, needs(Permission.AUDIT_VIEW)],
    cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE, description="Rows of a page, at most.")] = PAGE,
    case: Annotated[str, Query(pattern=m.ID, description="Of one case.")] = "",
    operator: Annotated[str, Query(pattern=m.ID, description="By one operator or program.")] = "",
    type: Annotated[str, Query(max_length=40, description="Of one kind, such as `review_started`.")] = "",
    since: Day = "",
    until: Day = "",
) -> m.AuditPage:
    wanted, before = Wanted(case, operator, type, since, until), read_cursor(cursor)[0]
    zone = caller.desk.services.hours.zone

    def look(tx: Tx) -> audit_search.Found:
        try:
            return audit_search.search(tx, wanted, zone, before, limit)
        except BadInput as e:
            raise refused(e, "since") from None

    found = await caller.read(look)
    items = [
        m.AuditRow(seq=r.seq, at=instant(r.at), stream=r.stream, type=r.type, data=dict(r.data)) for r in found.rows
    ]
    return m.AuditPage(items=items, next=write_cursor(found.more, "-") if found.more else None)
