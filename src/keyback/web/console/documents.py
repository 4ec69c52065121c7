"""`/console/documents`: pictures of identity documents, for two operators who don't know what the other one found."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import document_review
from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Permission
from keyback.locale import told
from keyback.web.console.pages_documents import DocumentPage, DocumentsPage
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.routes import Values

ONE = "/console/documents/{id:str}"
BACK = "/console/documents/{id}"
STATUS = {"yourself": 403, "rank": 403, "not_found": 404}


@shows("/console/documents", Permission.DOCUMENTS_REVIEW)
async def listed(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/documents`."""
    found = await desk.services.db.read(lambda tx: document_review.listing(tx, actor))
    return page(desk, request, actor, DocumentsPage(tuple(found)), path="/console/documents")


async def _draw(
    desk: AppContext, request: Request, actor: Actor, status: int = 200, error: str = "", ticked: tuple[str, ...] = (),
    same_name: bool | None = None,
) -> Response:  # fmt: skip
    document_id = request.path_params["id"]
    try:
        opened = await desk.services.db.read(lambda tx: document_review.open_document(tx, actor, document_id))
    except Refusal:
        return desk.page(request, ErrorPage(404, back="/console/documents"), 404, path="/console")
    service = desk.services.identity.get(opened.check.provider) if opened.check else None
    title = told(service.title, desk.locale(request)) if service else opened.check.provider if opened.check else ""
    checks = document_review.checks_of(opened.document)
    model = DocumentPage(opened, error, ticked, checks, title, same_name)
    return page(desk, request, actor, model, status, path=f"/console/documents/{document_id}")


@shows(ONE, Permission.DOCUMENTS_REVIEW, fresh=True)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/documents/{id}`."""
    return await _draw(desk, request, actor)


@shows(ONE + "/image", Permission.DOCUMENTS_REVIEW, fresh=True)
async def image(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/documents/{id}/image`: for whoever has taken it; each look is in the audit log."""
    return await _picture(desk, request, actor, document_review.view)


@shows(ONE + "/photo", Permission.DOCUMENTS_REVIEW, fresh=True)
async def photo(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/documents/{id}/photo`: HR's, likewise."""
    return await _picture(desk, request, actor, document_review.view_photo)


async def _picture(
    desk: AppContext, request: Request, actor: Actor, look: Callable[[Tx, Actor, str], bytes]
) -> Response:
    document_id = request.path_params["id"]
    try:
        found = await desk.services.db.write(lambda tx: look(tx, actor, document_id))
    except Refusal as e:
        note_refusal(request, e.code)
        return desk.page(request, ErrorPage(404, back="/console/documents"), 404, path="/console")
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(found, media_type="image/jpeg", headers=headers)


@acts(ONE + "/take", Permission.DOCUMENTS_REVIEW, fresh=True, back=BACK)
async def take(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/documents/{id}/take`."""
    document_id = request.path_params["id"]
    try:
        await desk.services.db.write(lambda tx: document_review.take(tx, actor, document_id))
    except Refusal as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, actor, STATUS.get(e.code, 409), e.code)
    return redirect(f"/console/documents/{document_id}")


@acts(ONE + "/answer", Permission.DOCUMENTS_REVIEW, "verdict", many=("checks",), fresh=True, back=BACK)
async def answer(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/documents/{id}/answer`."""
    document_id, ticked = request.path_params["id"], tuple(values["checks"].split("\n"))
    verdict, policy = values["verdict"], desk.services.policy
    try:
        await desk.services.db.write(lambda tx: document_review.answer(tx, actor, document_id, verdict, ticked, policy))
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        status = 422 if isinstance(e, BadInput) else STATUS.get(e.code, 409)
        return await _draw(desk, request, actor, status, e.code, ticked)
    return redirect("/console/documents")


@acts(ONE + "/name", Permission.DOCUMENTS_REVIEW, "name", fresh=True, back=BACK)
async def name(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/documents/{id}/name`: whether a name of another record is the one that was verified."""
    document_id, typed = request.path_params["id"], values["name"]
    try:
        same = await desk.services.db.write(lambda tx: document_review.try_name(tx, actor, document_id, typed))
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, actor, 422 if isinstance(e, BadInput) else STATUS.get(e.code, 409), e.code)
    return await _draw(desk, request, actor, same_name=same)


ROUTES = [listed, show, image, photo, take, answer, name]
