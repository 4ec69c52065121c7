"""`/console/systems`: connected systems and how they are, from what storage knows; no vendor is called."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import systems
from keyback.application.desk.sessions import Actor
from keyback.domain.operators.roles import Permission
from keyback.web.console.pages_systems import SystemsPage
from keyback.web.console.routes import shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext

AT = "/console/systems"


@shows(AT, Permission.SYSTEMS_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/systems`."""
    s = desk.services
    found = await s.db.read(lambda tx: systems.look(tx, s.connectors, s.titles))
    return page(desk, request, actor, SystemsPage(found), path=AT)


ROUTES = [show]
