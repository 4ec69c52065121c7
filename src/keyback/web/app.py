"""The application: pages and API behind one strict front."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from keyback.application.ports.hashing import Busy
from keyback.application.ports.storage import StorageDown
from keyback.application.services import Services
from keyback.settings import Settings
from keyback.web import bots, delivery_reports, health, intake, sign_in_back
from keyback.web.account import sign_in as account
from keyback.web.api.app import make_api
from keyback.web.console import app as console
from keyback.web.http.cookies import Cookies
from keyback.web.http.edge import RequestGuard, TooLong, TooSlow
from keyback.web.http.problems import Why, problem, tell_down, why_down
from keyback.web.http.proxies import Proxies
from keyback.web.http.rate_limits import Limiter
from keyback.web.portal import (
    calendar,
    call,
    choose_again,
    diagnosis,
    document,
    help_request,
    identity,
    link,
    methods,
    password,
    recovery,
    recovery_contact,
    remedy,
    sign_in_with,
    started,
    static_pages,
    system_factors,
)
from keyback.web.ui.context import AppContext, context_of
from keyback.web.ui.forms import BadForm
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.rendering import Renderer
from keyback.web.ui.template_cache import TemplateCache

log = structlog.get_logger("keyback.web")
Lifespan = Callable[[AppContext], AbstractAsyncContextManager[None]]


def make_context(settings: Settings, services: Services) -> AppContext:
    """What routes work with."""
    cache = TemplateCache(settings.data_dir, services.seals.derive("templates"))
    renderer = Renderer(time_zone=settings.timezone, abouts=services.abouts, face=services.face, cache=cache)
    limiter = Limiter(settings.limits, settings.valkey_url)
    return AppContext(
        services, settings, renderer, limiter, Proxies(settings.trusted_proxies), Cookies(settings.secure)
    )  # fmt: skip


def make_app(desk: AppContext, *, more: list[BaseRoute] | None = None, lifespan: Lifespan | None = None) -> ASGIApp:
    """The whole ASGI application.

    Args:
        more: further routes, such as the demo's.
        lifespan: what runs beside it, such as the worker.
    """

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        if lifespan is None:
            yield
        else:
            async with lifespan(desk):
                yield

    api = make_api(desk)
    app = Starlette(
        routes=[
            Mount("/api/v1", api),  # first: a program asks more often than a person, and pages have two hundred routes
            *(more or []),
            *recovery.ROUTES,
            *calendar.ROUTES,
            *call.ROUTES,
            *help_request.ROUTES,
            *document.ROUTES,
            *identity.ROUTES,
            *methods.ROUTES,
            *sign_in_with.ROUTES,
            *sign_in_back.ROUTES,
            *recovery_contact.ROUTES,
            *remedy.ROUTES,
            *diagnosis.ROUTES,
            *system_factors.ROUTES,
            *link.ROUTES,
            *choose_again.ROUTES,
            *started.ROUTES,
            *static_pages.ROUTES,
            *password.ROUTES,
            *account.ROUTES,
            *console.ROUTES,
            *health.ROUTES,
            *delivery_reports.ROUTES,
            *bots.ROUTES,
        ],
        exception_handlers=HANDLERS,
        lifespan=life,
    )
    app.router.redirect_slashes = False  # it builds an absolute address, wrong behind a proxy that ends TLS
    app.state.desk = desk
    hot = {
        intake.API_PATH: intake.api_intake(desk),
        "/forgot": intake.form_intake(desk, "password"),
        "/find": intake.form_intake(desk, "username"),
    }
    return RequestGuard(
        app, desk.settings.public_url, lambda scope, status: draw_error(desk, Request(scope), status), hot
    )


CODES = {
    400: "malformed",
    403: "cross_site",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    414: "too_large",
    415: "unsupported_media_type",
}


def _error(request: Request, status: int, retry_after: int = 0, why: Why = "busy") -> Response:
    return draw_error(context_of(request), request, status, retry_after, why)


def draw_error(desk: AppContext, request: Request, status: int, retry_after: int = 0, why: Why = "busy") -> Response:
    """An error as a page in the reader's language, or as a problem for the API."""
    if request.url.path.startswith("/api/"):
        return problem(status, CODES.get(status, "error"), retry_after=retry_after)
    response = desk.page(request, ErrorPage(status, retry_after, why=why), status, path="/")
    if retry_after:
        response.headers["retry-after"] = str(retry_after)
    return response


async def _http(request: Request, e: Exception) -> Response:
    response = _error(request, e.status_code if isinstance(e, HTTPException) else 500)
    if isinstance(e, HTTPException) and e.headers:
        response.headers.update(e.headers)
    return response


async def _form(request: Request, e: Exception) -> Response:
    return _error(request, e.status if isinstance(e, BadForm) else 422)


async def _too_long(request: Request, e: Exception) -> Response:
    response = _error(request, 413 if isinstance(e, TooLong) else 408)
    response.headers["connection"] = "close"
    return response


async def _down(request: Request, e: Exception) -> Response:
    tell_down(context_of(request).seldom, e, _template(request))
    return _error(request, 503, 5, why_down(e))


async def _busy(request: Request, e: Exception) -> Response:
    return _error(request, 503, 2)


async def _broken(request: Request, e: Exception) -> Response:
    # The traceback may hold what was typed, so only its kind and place are told.
    frame: Any = e.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}" if frame else ""
    log.error("request_failed", path=_template(request), error=type(e).__name__, where=where)
    return _error(request, 500)


def _template(request: Request) -> str:
    """The route's pattern, never the path: handles and tokens stay out of logs (C8)."""
    route = request.scope.get("route")
    return getattr(route, "path", "") or request.url.path.split("/")[1][:20]


HANDLERS: dict[Any, Any] = {
    HTTPException: _http,
    BadForm: _form,
    TooLong: _too_long,
    TooSlow: _too_long,
    StorageDown: _down,
    Busy: _busy,
    Exception: _broken,
}


def openapi() -> dict[str, Any]:
    """The API's OpenAPI 3.1 document, without a running Keyback."""
    return make_api(None).openapi()
