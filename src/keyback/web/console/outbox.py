"""`/console/outbox`: messages that wait, fail or were given up, and other work that waits for a system."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import outbox
from keyback.application.desk.sessions import Actor
from keyback.application.ports.outbox_search import HEAPS
from keyback.domain.errors import Refusal
from keyback.domain.operators.roles import Permission
from keyback.web.console.pages_outbox import OutboxView
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values

AT = "/console/outbox"
AFTER = re.compile(r"([0-9]{1,15})-([A-Za-z0-9_-]{22})\Z")
STATUS: Final = {"not_found": 404, "yourself": 403, "rank": 403, "too_many": 429}


async def _draw(
    desk: AppContext, request: Request, actor: Actor, status: int = 200, error: str = "", of: str = ""
) -> Response:
    """One page of a heap."""
    q = request.query_params
    heap = next((h for h in HEAPS if h == q.get("heap")), HEAPS[0])
    at = AFTER.match(q.get("after", ""))
    after = (int(at[1]), at[2]) if at else (0, "")
    found = await desk.services.db.read(lambda tx: outbox.look(tx, actor, heap, after))
    more = f"?heap={heap}&after={found.more[0]}-{quote(found.more[1])}" if found.more else ""
    model = OutboxView(found, heap, more, error, of, q.get("done") == "again" and not error)
    return page(desk, request, actor, model, status, path=AT)


@shows(AT, Permission.OUTBOX_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/outbox`."""
    return await _draw(desk, request, actor)


@acts(AT + "/{id:str}/again", Permission.OUTBOX_RESEND)
async def again(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/outbox/{id}/again`: a message that was given up goes out once more."""
    job_id = request.path_params["id"]
    try:
        await desk.services.db.write(lambda tx: outbox.send_again(tx, actor, job_id))
    except Refusal as e:
        note_refusal(request, e.code)
        return await _draw(desk, request, actor, STATUS.get(e.code, 409), e.code, job_id)
    return redirect(f"{AT}?done=again")


ROUTES = [show, again]
