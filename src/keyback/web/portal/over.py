"""What a page shows that had verified somebody, and may not go on after all."""

from __future__ import annotations

from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.recovery import remedy
from keyback.domain.errors import Refusal
from keyback.web.portal import pages
from keyback.web.portal.methods import more_page
from keyback.web.portal.view import RecoveryView, look
from keyback.web.ui.context import AppContext

REASONS: Final[dict[str, Literal["expired", "changed"]]] = {"expired": "expired", "not_enough_evidence": "changed"}


async def over_page(desk: AppContext, request: Request, handle: str, code: str, status: int = 200) -> Response:
    """Why, and the next step.

    Args:
        code: of the refusal. With `own_sign_in` nothing is over: another method does.
    """
    view = await desk.services.db.read(lambda tx: look(tx, handle)) if code == "own_sign_in" else None
    if view is not None:
        return await more_page(desk, request, view, status)
    return desk.page(request, pages.Ended(REASONS.get(code, "closed")), status, path=f"/r/{handle}")


async def not_open_page(desk: AppContext, request: Request, view: RecoveryView) -> Response:
    """The same for whoever was told only that the page may not go on."""
    code, handle = "", view.intake.handle
    try:
        await desk.services.db.read(lambda tx: remedy.open_recovery(tx, handle, desk.here(request)))
    except Refusal as e:
        code = e.code
    return await over_page(desk, request, handle, code)
