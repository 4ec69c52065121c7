"""Reports for programs: the figures of the console's page, as JSON and CSV."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from keyback.application.ports.storage import Tx
from keyback.application.reports import report as reports
from keyback.domain.errors import BadInput
from keyback.domain.operators.roles import Permission
from keyback.web.api.admin.access import Caller, admin_router, needs, refused
from keyback.web.api.admin.models_outbox import Report
from keyback.web.api.openapi import problems

router = admin_router()
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
Reads = Annotated[Caller, needs(Permission.REPORTS_VIEW)]
First = Annotated[str, Query(alias="from", pattern=DAY, description="First day. Default: 29 days before the last.")]
Last = Annotated[str, Query(alias="to", pattern=DAY, description="Last day. Default: today, by the company's clock.")]
BAD = problems({414: ["too_large"], 422: ["invalid"]})
CSV = "text/csv; charset=utf-8"


async def _built(caller: Caller, first: str, last: str) -> reports.Report:
    zone = caller.desk.services.zone

    def build(tx: Tx) -> reports.Report:
        today = datetime.fromtimestamp(tx.now / 1000, zone).date()
        try:
            return reports.build(tx, reports.Period.of(first, last, today))
        except BadInput as e:
            raise refused(e, "from") from None

    return await caller.read(build)


@router.get(
    "/reports",
    operation_id="getReport",
    summary="Read the report of a period",
    description="At most 400 days, figures that name nobody: times to recover, what people solved alone, the funnel, "
    "causes, holds, callers, approvals by pair (ids of operators), deliveries by channel.",
    responses=BAD,
)
async def report(caller: Reads, first: First = "", last: Last = "") -> Report:
    return Report.model_validate(reports.as_json(await _built(caller, first, last)))


@router.get(
    "/reports.csv",
    operation_id="getReportCsv",
    summary="Read the report of a period as CSV",
    description="Every figure a row of figure, part, day, value.",
    response_class=Response,
    responses={**BAD, 200: {"description": "A table.", "content": {CSV: {"schema": {"type": "string"}}}}},
)
async def report_csv(caller: Reads, first: First = "", last: Last = "") -> Response:
    return Response(reports.as_csv(await _built(caller, first, last)), media_type=CSV)
