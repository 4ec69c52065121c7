"""What the pages of a recovery depend on, from one snapshot, and whether this browser may see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.notifications.notify import username_of
from keyback.application.ports.storage import Intake, Tx
from keyback.application.ports.tasks import Task
from keyback.application.tasks import lifecycle as tasks
from keyback.domain.recovery.case import Case
from keyback.web.http.rate_limits import What
from keyback.web.portal import pages
from keyback.web.ui.context import AppContext, context_of
from keyback.web.ui.routes import Handler, Values, post


@dataclass(frozen=True, slots=True)
class RecoveryView:
    """Everything that the page of a recovery depends on, from one snapshot."""

    intake: Intake
    case: Case | None
    username: str
    now: int
    tasks: tuple[Task, ...] = ()

    @property
    def version(self) -> str:
        """Changes when the page would; says nothing about the person until a proof was accepted here."""
        if self.case is not None:
            changes = sum(t.version + 1 for t in self.tasks)
            return f"c{self.case.version}" + (f"t{changes}" if changes else "")
        over = self.now >= self.intake.expires_at
        return f"w{self.intake.sends}{self.intake.state == 'stopped':d}{over:d}"


def look(tx: Tx, handle: str) -> RecoveryView | None:
    """The recovery `handle`; None when there is none (any more)."""
    intake = tx.intakes.get(handle)
    if intake is None:
        return None
    case = tx.cases.get(intake.case_id) if intake.case_id else None
    username = username_of(tx, case.person_id) if case is not None else ""
    waiting = tuple(tasks.of_case(tx, case.id)) if case is not None and case.results else ()
    return RecoveryView(intake, case, username, tx.now, waiting)


async def held(request: Request) -> tuple[str, RecoveryView | None] | Response:
    """The gate of a recovery's pages (`routes`): its handle, and what is known of it, if this browser holds it; else
    the page that says so, the same for handles that never were."""
    desk, handle = context_of(request), request.path_params["handle"]
    if not desk.cookies.holds(request, desk.services.seals, handle):
        return desk.page(request, pages.NotYours(), 403)
    return handle, await desk.services.db.read(lambda tx: look(tx, handle))


def step(
    *fields: str, many: Sequence[str] = (), limit: What | None = None
) -> Callable[[Callable[[AppContext, Request, Values, str, RecoveryView | None], Awaitable[Response]]], Handler]:
    """Makes the route of a form on a recovery's pages: whose it is comes before what was sent."""
    return post(held, *fields, many=many, limit=limit, at="/r/{handle}", gate_first=True)
