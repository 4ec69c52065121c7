"""`/console/audit`: the audit log, searched and exported; an export is in the log itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.audit_log import plain_cell
from keyback.application.desk import audit_search
from keyback.application.desk.audit_search import Found, Wanted
from keyback.application.desk.sessions import Actor
from keyback.application.ports.enrolment_storage import Happened
from keyback.application.ports.system_states import AUDIT_LOG
from keyback.application.webhooks.words import worded
from keyback.domain.errors import BadInput
from keyback.domain.operators.roles import Permission
from keyback.web.console.pages_audit import AuditPage
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal
from keyback.web.ui.routes import Values

AT = "/console/audit"
WHO = ("operator", "by", "asked_by", "recommended_by")
ID = 22  # characters of an id
FIELDS = ("about", "operator", "event", "since", "until")


def wanted_of(values: Mapping[str, str]) -> Wanted:
    """What the fields of the page say."""
    return Wanted(**{f: values.get(f, "")[:254].strip() for f in FIELDS})


async def _draw(
    desk: AppContext,
    request: Request,
    actor: Actor,
    wanted: Wanted,
    before: int = 0,
    status: int = 200,
    error: str = "",
) -> Response:
    s, zone = desk.services, desk.services.hours.zone
    try:
        found = await s.db.read(lambda tx: audit_search.search(tx, wanted, zone, before))
    except BadInput as e:
        note_refusal(request, e.code)
        found, status, error = Found((), 0), 422, e.code
    operators = await s.db.read(lambda tx: tx.operators.listed())
    named = sorted({str(r.data[k]) for r in found.rows for k in WHO if isinstance(r.data.get(k), str)})
    streams = sorted({r.stream for r in found.rows if len(r.stream) == ID})
    names, people, checked = await s.db.read(
        lambda tx: (tx.operators.many(named), tx.people.people(streams), tx.system_states.all().get(AUDIT_LOG))
    )
    words = worded(desk.locale(request))
    model = AuditPage(found, wanted, tuple(operators), names, error, words, s.titles, people, checked)
    return page(desk, request, actor, model, status, path=AT)


@shows(AT, Permission.AUDIT_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/audit`: the newest rows."""
    return await _draw(desk, request, actor, Wanted())


@acts(AT, Permission.AUDIT_VIEW, *FIELDS, "before")
async def search(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/audit`: rows that fit; an address of a person is in no address bar."""
    before = values["before"]
    older = int(before) if before.isascii() and before.isdecimal() and len(before) < 16 else 0
    return await _draw(desk, request, actor, wanted_of(values), older)


@acts(AT + "/export", Permission.AUDIT_VIEW, *FIELDS, "format")
async def export(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/audit/export`: the same rows as a file, CSV or JSON."""
    wanted, zone = wanted_of(values), desk.services.hours.zone
    try:
        rows = await desk.services.db.write(lambda tx: audit_search.export(tx, actor, wanted, zone))
    except BadInput as e:
        return await _draw(desk, request, actor, wanted, status=422, error=e.code)
    kind = "json" if values["format"] == "json" else "csv"
    write, media = FORMATS[kind]
    response = Response(write(rows), media_type=media)
    response.headers["content-disposition"] = f'attachment; filename="keyback-audit.{kind}"'
    return response


def as_csv(rows: Sequence[Happened]) -> str:
    """For a spreadsheet; no cell is a formula (ASVS 5.0 1.2.10)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("seq", "at", "stream", "type", "data"))
    for r in rows:
        data = json.dumps(dict(r.data), sort_keys=True)
        writer.writerow((r.seq, r.at, plain_cell(r.stream), plain_cell(r.type), plain_cell(data)))
    return out.getvalue()


def as_json(rows: Sequence[Happened]) -> str:
    """A list of rows."""
    return json.dumps(
        [{"seq": r.seq, "at": r.at, "stream": r.stream, "type": r.type, "data": dict(r.data)} for r in rows]
    )


FORMATS: Mapping[str, tuple[Callable[[Sequence[Happened]], str], str]] = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "json": (as_json, "application/json"),
}
ROUTES = [show, search, export]
