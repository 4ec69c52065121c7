"""`/r/{handle}/document`: consent, a picture, what is covered of it, and the sending; after a first proof only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.clock import wall_clock
from keyback.application.desk import documents
from keyback.application.desk.documents import Sending
from keyback.application.ports.images import BadImage
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.documents import GRID, MAX_BYTES
from keyback.locale import N_, gettext
from keyback.web.portal.pages_document import SendDocument, Stage
from keyback.web.portal.view import RecoveryView, held, step
from keyback.web.ui.context import AppContext, context_of, note_refusal, redirect
from keyback.web.ui.routes import Values, get, too_often
from keyback.web.ui.uploads import read_upload

WATERMARK = N_("Only for recovering {name} at {company}, {day}")
"""What is written over a picture, so that it is good for nothing else."""
STAGES: dict[str, Stage] = {
    "consented": "upload",
    "draft": "cover",
    "waiting": "waiting",
    "third": "waiting",
    "agreed": "agreed",
    "refused": "refused",
    "withdrawn": "withdrawn",
}


async def _draw(
    desk: AppContext, request: Request, handle: str, view: RecoveryView | None, status: int = 200, **over: Any
) -> Response:
    if view is None or view.case is None:
        return redirect(f"/r/{handle}")
    s = desk.services
    found = await s.db.read(lambda tx: documents.look(tx, handle, s.policy))
    why = "off" if s.images is None else found.closed
    d = found.document
    stage: Stage = STAGES[d.state] if d else "consent"
    if d is None or stage in ("consent", "upload", "cover"):
        stage = "closed" if why else stage
    elif "new" in request.query_params and not why and stage in ("refused", "withdrawn"):
        stage = "consent"
    model = SendDocument(
        handle,
        stage,
        why,
        kind=d.kind if d else "",
        name=found.name,
        picture=(d.digest or b"").hex()[:12] if d else "",
        may_appeal=found.may_appeal,
        version=_version(found),
        **over,
    )
    return desk.page(request, model, status, step=1, path=f"/r/{handle}/document")


def _version(found: Sending) -> str:
    """Changes when the page would: while it is looked at, by nothing but the end."""
    d = found.document
    return f"{STAGES[d.state]}{d.appealed:d}" if d else "none"


@get(held)
async def show(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/document`."""
    return await _draw(desk, request, handle, view)


@step("kind", "agree", limit="recoveries")
async def consent(
    desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None
) -> Response:
    """POST `/r/{handle}/document`: agrees to it, separately from everything else."""
    s = desk.services
    try:
        if s.images is None:
            raise Refusal("off")
        if values["agree"] != "yes":
            raise BadInput("agree")
        await s.db.write(lambda tx: documents.consent(tx, handle, values["kind"], s.policy))
    except (BadInput, Refusal) as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, handle, view, 422 if isinstance(e, BadInput) else 409, error=e.code)
    return redirect(f"/r/{handle}/document")


async def upload(request: Request) -> Response:
    """POST `/r/{handle}/document/image`: the picture. Whose page it is, and that somebody agreed, comes before any of
    it is read."""
    known = await held(request)
    if isinstance(known, Response):
        return known
    handle, view = known
    desk = context_of(request)
    images = desk.services.images
    found = await desk.services.db.read(lambda tx: documents.look(tx, handle, desk.services.policy))
    d = found.document
    if images is None or d is None or d.state not in ("consented", "draft") or found.closed:
        note_refusal(request, "wrong_state")
        return redirect(f"/r/{handle}/document")
    if not await desk.allows("proofs", request):
        return too_often(desk, request, f"/r/{handle}/document")
    data = await read_upload(request, "picture", MAX_BYTES)
    if not data:
        return await _draw(desk, request, handle, view, 422, error="missing")
    day = datetime.fromtimestamp(wall_clock() / 1000, UTC).date().isoformat()
    locale = desk.locale(request)
    mark = gettext(locale, WATERMARK, name=found.name, company=desk.settings.company.of(locale), day=day)
    try:
        made = await images.clean(data, mark)
        await desk.services.db.write(lambda tx: documents.keep(tx, handle, made))
    except (BadImage, Refusal) as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, handle, view, 422, error=e.code)
    return redirect(f"/r/{handle}/document")


@get(held)
async def picture(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/document/image`: until it was sent."""
    found = await desk.services.db.read(lambda tx: documents.picture(tx, handle))
    if found is None:
        raise HTTPException(404)
    return jpeg(found)


def jpeg(body: bytes) -> Response:
    """A picture that no browser keeps, guesses about or shows elsewhere."""
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(body, media_type="image/jpeg", headers=headers)


@step("act", many=("cells",), limit="recoveries")
async def act(desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/document/send`: covers parts of the picture, sends it, appeals, or takes consent back."""
    s, what = desk.services, values["act"]
    try:
        if what == "withdraw":
            await s.db.write(lambda tx: documents.withdraw(tx, handle))
        elif what == "appeal":
            await s.db.write(lambda tx: documents.appeal(tx, handle, s.policy))
        elif what == "cover":
            await _cover(desk, handle, values["cells"])
        else:
            seen = await documents.copies(s.db, handle)
            await s.db.write(lambda tx: documents.send(tx, handle, s.policy, seen))
    except (BadImage, BadInput, Refusal) as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, handle, view, 409, error=e.code)
    return redirect(f"/r/{handle}/document")


async def _cover(desk: AppContext, handle: str, ticked: str) -> None:
    s = desk.services
    cells = sorted({int(c) for c in ticked.split("\n") if c.isascii() and c.isdecimal() and int(c) < GRID * GRID})
    if not cells:
        raise BadInput("no_cells")
    before = await s.db.read(lambda tx: documents.picture(tx, handle))
    if before is None or s.images is None:
        raise Refusal("not_found")
    made = await s.images.clean(before, "", cells)
    await s.db.write(lambda tx: documents.keep(tx, handle, made, covered=True))


async def status(request: Request) -> Response:
    """GET `/r/{handle}/document/status`: a word that changes when the page would."""
    known = await held(request)
    if isinstance(known, Response):
        return JSONResponse({"version": ""}, 403)
    s = context_of(request).services
    found = await s.db.read(lambda tx: documents.look(tx, known[0], s.policy))
    return JSONResponse({"version": _version(found)})


ROUTES = [
    Route("/r/{handle:str}/document", show, methods=["GET"]),
    Route("/r/{handle:str}/document", consent, methods=["POST"]),
    Route("/r/{handle:str}/document/image", picture, methods=["GET"]),
    Route("/r/{handle:str}/document/image", upload, methods=["POST"]),
    Route("/r/{handle:str}/document/send", act, methods=["POST"]),
    Route("/r/{handle:str}/document/status", status, methods=["GET"]),
]
