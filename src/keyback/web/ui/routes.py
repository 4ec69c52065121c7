"""What every page's route does before its own part: who may see it, what was sent, and how often.

`get` makes the route of a page that shows something, `post` that of a form. Both take a gate, which gives what it knows
to the handler, or answers by itself: with the way to sign in, or the page for browsers that hold no such recovery.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import TypeVarTuple

from starlette.requests import Request
from starlette.responses import Response

from keyback.web.http.rate_limits import What
from keyback.web.ui.context import AppContext, context_of
from keyback.web.ui.forms import read_form
from keyback.web.ui.page import ErrorPage

Ts = TypeVarTuple("Ts")
Values = dict[str, str]
Handler = Callable[[Request], Awaitable[Response]]
Refused = Callable[[AppContext, Request, Values, Response], Response]
WAIT_S = 60


async def anybody(request: Request) -> tuple[()]:
    """The gate of pages that are for everybody; whoever has a mailed link names it in the form."""
    return ()


def get(
    gate: Callable[[Request], Awaitable[tuple[*Ts] | Response]],
) -> Callable[[Callable[[AppContext, Request, *Ts], Awaitable[Response]]], Handler]:
    """Makes the route of a page from what shows it."""

    def of(show: Callable[[AppContext, Request, *Ts], Awaitable[Response]]) -> Handler:
        @wraps(show)
        async def handler(request: Request) -> Response:
            known = await gate(request)
            return known if isinstance(known, Response) else await show(context_of(request), request, *known)

        return handler

    return of


def too_often(desk: AppContext, request: Request, back: str) -> Response:
    """The page that asks to wait. `back`: path that it leads back to."""
    return desk.page(request, ErrorPage(429, WAIT_S, back), 429)


def post(
    gate: Callable[[Request], Awaitable[tuple[*Ts] | Response]],
    *fields: str,
    many: Sequence[str] = (),
    limit: What | None = None,
    at: str = "",
    gate_first: bool = False,
    refused: Refused | None = None,
) -> Callable[[Callable[[AppContext, Request, Values, *Ts], Awaitable[Response]]], Handler]:
    """Makes the route of a form from what it does.

    Args:
        fields: what the form holds, each once; `many` may be there more often, and is joined by newlines.
        limit: what it counts as; beyond the limit nothing is done.
        at: where the page that says so leads back to, with the path's own names in braces; its own path by default.
        gate_first: whether the gate answers before the form is read; one that asks whose form it is cannot.
        refused: makes something else of the gate's answer.

    Raises:
        BadForm: as `read_form`.
    """

    def of(act: Callable[[AppContext, Request, Values, *Ts], Awaitable[Response]]) -> Handler:
        @wraps(act)
        async def handler(request: Request) -> Response:
            desk, values = context_of(request), {}
            if not gate_first:
                values = await read_form(request, *fields, many=many)
            known = await gate(request)
            if isinstance(known, Response):
                return refused(desk, request, values, known) if refused else known
            if gate_first:
                values = await read_form(request, *fields, many=many)
            if limit and not await desk.allows(limit, request):
                return too_often(desk, request, at.format(**request.path_params) or request.url.path)
            return await act(desk, request, values, *known)

        return handler

    return of
