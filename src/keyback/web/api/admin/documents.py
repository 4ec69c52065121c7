"""Where identity documents stand, for programs: never a picture, and nothing of what one reviewer found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Query

from keyback.application.ports.documents import Document
from keyback.application.ports.storage import Tx
from keyback.domain.errors import Refusal
from keyback.domain.operators.roles import Permission
from keyback.web.api.admin import models as m
from keyback.web.api.admin import models_help as mh
from keyback.web.api.admin.access import PAGE, Caller, admin_router, needs, read_cursor, write_cursor
from keyback.web.api.auth import instant
from keyback.web.api.openapi import problems

router = admin_router()
Reads = Annotated[Caller, needs(Permission.CASES_VIEW)]


def _item(d: Document) -> mh.DocumentItem:
    return mh.DocumentItem(
        id=d.id,
        case=d.case_id,
        kind=d.kind,
        state=d.state,
        sent_at=instant(d.sent_at) if d.sent_at else None,
        decided_at=instant(d.decided_at) if d.decided_at else None,
        picture_gone_at=instant(d.destroyed_at) if d.destroyed_at else None,
        appealed=d.appealed,
        reviewers=len(d.reviews),
    )


@router.get(
    "/documents",
    operation_id="listDocuments",
    summary="See which identity documents wait for reviewers",
    description="Oldest first, and where each stands. Pictures are for operators in the console alone.",
    responses=problems({414: ["too_large"], 422: ["invalid"]}),
)
async def listed(
    caller: Reads, cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None
) -> mh.DocumentPage:
    after = read_cursor(cursor)
    found = list(await caller.read(lambda tx: tx.documents.open(PAGE + 1, after)))
    last = found[PAGE - 1] if len(found) > PAGE else None
    more = write_cursor(last.sent_at, last.id) if last else None
    return mh.DocumentPage(items=[_item(d) for d in found[:PAGE]], next=more)


@router.get(
    "/cases/{case_id}/documents",
    operation_id="listDocumentsOfCase",
    summary="See where the identity documents of a case stand",
    description="The newest first, by state alone: pictures are for reviewers in the console.",
)
async def of_case(caller: Reads, case_id: Annotated[str, Path(pattern=m.ID, description="A case.")]) -> mh.Documents:
    def look(tx: Tx) -> Sequence[Document]:
        if tx.cases.get(case_id) is None:
            raise Refusal("not_found")
        return tx.documents.of_case(case_id, PAGE)

    return mh.Documents(items=[_item(d) for d in await caller.read(look)])
