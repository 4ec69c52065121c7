"""`/console/reports`: figures out of the audit log, as charts with a table each, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import Tx
from keyback.application.reports.report import Money, Period, Report, as_json, build
from keyback.application.reports.report import as_csv as report_csv
from keyback.domain.errors import BadInput
from keyback.domain.operators.roles import Permission
from keyback.web.console.pages_reports import ReportsPage, charts_of
from keyback.web.console.routes import shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext

AT = "/console/reports"
LAST = {"7": 7, "30": 30, "90": 90}
MAX_COST = 10**6
COSTS = ("desk_cost", "own_cost")
CSV = {"content-disposition": 'attachment; filename="keyback-report.csv"'}
JSON = {"content-disposition": 'attachment; filename="keyback-report.json"'}


def _asked(desk: AppContext, request: Request, now: int) -> tuple[Period, str]:
    """The period that the address names, and what is wrong with it; then the last 30 days."""
    q = request.query_params
    today: date = datetime.fromtimestamp(now / 1000, desk.services.zone).date()
    days = LAST.get(q.get("days", ""), 30)
    try:
        return Period.of(
            "" if q.get("days") else q.get("from", ""), "" if q.get("days") else q.get("to", ""), today, days
        ), ""
    except BadInput as e:
        return Period.of("", "", today), e.code


async def _built(desk: AppContext, request: Request) -> tuple[Report, dict[str, str], str]:
    def of(tx: Tx) -> tuple[Report, str, dict[str, str]]:
        period, error = _asked(desk, request, tx.now)
        report = build(tx, period)
        ids = sorted({i for pair in report.sums.get("pairs", {}) for i in pair.split("/") if i})
        return report, error, {i: o.name for i, o in tx.operators.many(ids).items()}

    report, error, names = await desk.services.db.read(of)
    return report, names, error


def _cost(typed: str) -> float | None:
    try:
        value = float(typed.replace(",", "."))
    except ValueError:
        return None
    return value if 0 <= value <= MAX_COST else None


def _costs(desk: AppContext, request: Request) -> dict[str, str]:
    """The two costs as they were typed, or as the settings have them."""
    q, own = request.query_params, desk.settings.reports
    known = {"desk_cost": "", "own_cost": ""}
    if own.desk_cost is not None:
        known = {"desk_cost": f"{own.desk_cost:g}", "own_cost": f"{own.own_cost:g}"}
    return {k: q.get(k, known[k])[:12] for k in COSTS}


def _saved(report: Report, typed: Mapping[str, str]) -> float | None:
    desk_cost = _cost(typed["desk_cost"])
    return None if desk_cost is None else report.saved(desk_cost, _cost(typed["own_cost"]) or 0)


@shows(AT, Permission.REPORTS_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/reports`."""
    report, names, error = await _built(desk, request)
    q = request.query_params
    typed = {k: q.get(k, "")[:12] for k in ("from", "to", "days")} | _costs(desk, request)
    seen = names if actor.operator.may(Permission.OPERATORS_VIEW) else {}
    saved = _saved(report, typed)
    if any(typed[k] and _cost(typed[k]) is None for k in COSTS):
        error = error or "cost"
    currency = desk.settings.reports.currency
    model = ReportsPage(report, charts_of(report, desk.locale(request), seen), typed, error, saved, currency)
    return page(desk, request, actor, model, 422 if error else 200, path=AT)


def _money(desk: AppContext, request: Request, report: Report) -> Money | None:
    saved = _saved(report, _costs(desk, request))
    return None if saved is None else Money(saved, desk.settings.reports.currency)


@shows(AT + ".csv", Permission.REPORTS_VIEW)
async def as_csv(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/reports.csv`: every figure a row; operators by their ids alone."""
    report, _, _ = await _built(desk, request)
    return Response(
        report_csv(report, _money(desk, request, report)), media_type="text/csv; charset=utf-8", headers=CSV
    )


@shows(AT + ".json", Permission.REPORTS_VIEW)
async def json_file(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/reports.json`."""
    report, _, _ = await _built(desk, request)
    body = as_json(report, _money(desk, request, report))
    return Response(json.dumps(body, indent=1), media_type="application/json", headers=JSON)


ROUTES = [show, as_csv, json_file]
