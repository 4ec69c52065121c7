"""The outermost layer: who may talk to us and how. Plain ASGI, so that the intake costs next to nothing.

Headers, address and body are bounded before anything reads them (O2, O3, O5; `bounds`), hosts other than ours are
refused (C1; `hosts`) but for health checks, which come by address, unsafe methods must come from our own pages (CSRF),
and every answer carries the same strict headers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyback.web.http import bounds, hosts
from keyback.web.http.access_log import REFUSED
from keyback.web.http.cookies import Cookies
from keyback.web.http.server import LOOP

log = structlog.get_logger("keyback.web")
MAX_BODY = 64 * 1024
PICTURE = re.compile(r"/r/[A-Za-z0-9_-]{22}/document/image\Z")  # the one path that takes a file
MAX_PICTURE = 12 * 1024 * 1024 + 8192
PICTURE_TIME_S = 120.0
BODY_TIME_S = 15.0
CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'none'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
HEALTH = frozenset({"/healthz", "/readyz", "/healthz/", "/readyz/"})
"""What load balancers ask by address, or without a Host at all; the answers are the same for everybody."""


class TooLong(Exception):
    """The body is larger than we read."""


class TooSlow(Exception):
    """The body did not come in time."""


class RequestGuard:
    """Wraps the application.

    Args:
        app: the routes.
        public_url: the one origin that people reach us by.
        error: draws the answer of a status: a page in the reader's language, or a problem for the API.
        hot: path to a plain handler for POST, which is called before any routing (ADR 11).
    """

    def __init__(
        self,
        app: ASGIApp,
        public_url: str,
        error: Callable[[Scope, int], Response] | None = None,
        hot: dict[str, ASGIApp] | None = None,
    ) -> None:
        parts = urlsplit(public_url)
        self._app = app
        self._error = error or (lambda _, status: PlainTextResponse(f"{status}\n", status))
        self._hot = hot or {}
        self._cookies = Cookies(parts.scheme == "https")
        self._scheme = parts.scheme
        own = hosts.place_of(parts.netloc, parts.scheme)
        self._places = {own}
        if own is not None and own[0] in ("127.0.0.1", "localhost"):
            self._places |= {(h, own[1]) for h in ("127.0.0.1", "localhost")}
        self._usual = parts.netloc.encode()
        headers = {
            "content-security-policy": CSP,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
            "cache-control": "no-store",
            "vary": "Accept-Language, Cookie",
        }
        if parts.scheme == "https":
            headers["strict-transport-security"] = "max-age=63072000; includeSubDomains"
        self._headers = [(k.encode(), v.encode()) for k, v in headers.items()]
        self._own = {k for k, _ in self._headers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                kept = list(message.get("headers", ()))
                given = self._own.intersection(k.lower() for k, _ in kept)
                message["headers"] = kept + (
                    [h for h in self._headers if h[0] not in given] if given else self._headers
                )
            await send(message)

        try:
            status = bounds.cut(scope) or self._refuse(scope)
            if status:
                if status == 403:
                    scope[REFUSED] = "cross_site"
                await self._answer(scope, status)(scope, receive, guarded)
                return
            reader = _Body(scope, receive)
            app = self._hot.get(scope["path"]) if scope["method"] == "POST" else None
            await (app or self._app)(scope, reader, guarded)
        except TooLong:
            if not started:
                await self._answer(scope, 413, close=True)(scope, receive, guarded)
        except TooSlow:
            if not started:
                await self._answer(scope, 408, close=True)(scope, receive, guarded)
        except Exception as e:
            # A traceback may hold what was typed: only its kind is told (A-16.5.1, L9).
            log.error("request_failed", error=type(e).__name__)
            if not started:
                await self._answer(scope, 500, close=True)(scope, receive, guarded)

    def _answer(self, scope: Scope, status: int, *, close: bool = False) -> Response:
        response = plain(status) if status == 421 else self._error(scope, status)
        if status == 405:
            response.headers["allow"] = "GET, HEAD, POST"
        if close:
            response.headers["connection"] = "close"
        return response

    def _refuse(self, scope: Scope) -> int:
        host = origin = site = cookie = b""
        named = 0
        for k, v in scope["headers"]:
            if k == b"host":
                host, named = v, named + 1
            elif k == b"origin":
                origin = v
            elif k == b"sec-fetch-site":
                site = v
            elif k == b"cookie":
                cookie = v
            elif k == b"content-encoding":
                return 415  # nothing that we would have to inflate (O3)
            elif k == b"content-length":
                most = most_of(scope)
                length = bounds.size(v, most)
                if length is None or length > most:
                    return 400 if length is None else 413
        if (named != 1 or not self._is_ours(host)) and (
            scope["path"] not in HEALTH or scope["method"] not in ("GET", "HEAD")
        ):
            return 421
        if scope["method"] not in METHODS:
            return 405
        if "\0" in scope["path"]:
            return 404  # no name of ours has one, and PostgreSQL takes none
        if scope["method"] == "POST" and not self._ours(scope["path"], origin, site, cookie):
            return 403
        return 0

    def _is_ours(self, host: bytes) -> bool:
        if host == self._usual:  # as nearly all requests say it
            return True
        place = hosts.place_of(host.decode("utf-8", "replace"), self._scheme)
        return place is not None and place in self._places

    def _ours(self, path: str, origin: bytes, site: bytes, cookie: bytes) -> bool:
        """Whether a POST may be trusted to come from our own page: by Sec-Fetch-Site, else by Origin. The API takes
        JSON only, which no foreign page can send without asking first; it must just not come from one."""
        if site:
            return site == b"same-origin" or (site == b"none" and path.startswith("/api/"))
        if origin == b"null":
            # Browsers before 2023 lack Sec-Fetch-Site, and under no-referrer they hide the origin. What is asked for
            # here either changes nothing for anybody known, or needs a SameSite cookie that no foreign page can send.
            return path in self._hot or bool(self._cookies.read(cookie))
        if origin:
            scheme, place = hosts.origin_of(origin.decode("utf-8", "replace"))
            return scheme == self._scheme and place is not None and place in self._places
        return path.startswith("/api/")


def most_of(scope: Scope) -> int:
    """How many bytes a request may bring."""
    taken = scope["method"] == "POST" and PICTURE.match(scope["path"])
    return MAX_PICTURE if taken else MAX_BODY


class _Body:
    """`receive` with a size and a time for the whole body."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._left = most_of(scope)
        self._loop: asyncio.AbstractEventLoop = scope.get(LOOP) or asyncio.get_running_loop()
        self._until = self._loop.time() + (BODY_TIME_S if self._left == MAX_BODY else PICTURE_TIME_S)
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        task, late = asyncio.current_task(self._loop), False

        def cut() -> None:
            nonlocal late
            late = True
            if task is not None:
                task.cancel()

        # What `asyncio.timeout_at` does, at a quarter of its cost.
        timer = self._loop.call_at(self._until, cut)
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if late and task is not None and task.uncancel() == 0:
                raise TooSlow from None
            raise
        finally:
            timer.cancel()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._left < 0:
                raise TooLong
        return message


def plain(status: int) -> Response:
    """An answer to somebody who did not come by our own address."""
    return PlainTextResponse("This is not the address of this service.\n", status)
