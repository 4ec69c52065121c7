"""The routes of the console, through one decorator that names what each needs: `shows` for a page, `acts` for a form.

A route that is made in any other way, or without a permission, turns the build red (`tests/web/test_console_matrix`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.desk.sessions import Actor
from keyback.domain.operators.roles import Permission
from keyback.web.console.session import may
from keyback.web.http.rate_limits import What
from keyback.web.ui.context import AppContext, context_of
from keyback.web.ui.forms import read_form
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.routes import WAIT_S, Values

Open = Callable[[AppContext, Request], Awaitable[Response]]
Shows = Callable[[AppContext, Request, Actor], Awaitable[Response]]
OpenForm = Callable[[AppContext, Request, Values], Awaitable[Response]]
Acts = Callable[[AppContext, Request, Values, Actor], Awaitable[Response]]


class ConsoleRoute(Route):
    """A route with what it needs. `fresh`: a second factor was shown just now."""

    def __init__(self, path: str, endpoint: Any, method: str, permission: Permission, fresh: bool) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.__wrapped__ = endpoint  # for whoever asks what it is made of
        self.permission = permission
        self.fresh = fresh


def shows(path: str, permission: Permission, *, fresh: bool = False) -> Callable[[Shows], ConsoleRoute]:
    """Makes the route of a page for operators who have this permission."""

    def of(show: Shows) -> ConsoleRoute:
        @wraps(show)
        async def handler(request: Request) -> Response:
            actor = await may(request, permission, fresh=fresh)
            return actor if isinstance(actor, Response) else await show(context_of(request), request, actor)

        return ConsoleRoute(path, handler, "GET", permission, fresh)

    return of


def acts(
    path: str, permission: Permission, *fields: str, many: Sequence[str] = (), fresh: bool = False, back: str = ""
) -> Callable[[Acts], ConsoleRoute]:
    """Makes the route of a form for operators who have this permission.

    Args:
        fields: as for `web.ui.routes.post`; so is `many`.
        back: where to go on after a step-up; the path's own names in braces.
    """

    def of(act: Acts) -> ConsoleRoute:
        @wraps(act)
        async def handler(request: Request) -> Response:
            values = await read_form(request, *fields, many=many)
            actor = await may(request, permission, fresh=fresh, back=back.format(**request.path_params))
            return actor if isinstance(actor, Response) else await act(context_of(request), request, values, actor)

        return ConsoleRoute(path, handler, "POST", permission, fresh)

    return of


def shows_anybody(path: str) -> Callable[[Open], ConsoleRoute]:
    """Makes the route of a page before the sign-in."""

    def of(show: Open) -> ConsoleRoute:
        @wraps(show)
        async def handler(request: Request) -> Response:
            return await show(context_of(request), request)

        return ConsoleRoute(path, handler, "GET", Permission.OPEN, False)

    return of


def acts_for_anybody(path: str, *fields: str, limit: What = "sign_ins") -> Callable[[OpenForm], ConsoleRoute]:
    """Makes the route of a form before the sign-in; beyond the limit of its network nothing is done."""

    def of(act: OpenForm) -> ConsoleRoute:
        @wraps(act)
        async def handler(request: Request) -> Response:
            desk, values = context_of(request), await read_form(request, *fields)
            if not await desk.allows(limit, request):
                return desk.page(request, ErrorPage(429, WAIT_S, "/console/sign-in"), 429)
            return await act(desk, request, values)

        return ConsoleRoute(path, handler, "POST", Permission.OPEN, False)

    return of
