"""The outermost layer: counts every answer and logs it, as one JSON line, by the route's pattern.

A line never holds path, query, handle, token, address or anything else that a client chose (C8, P6, A-16.2.5). Of the
intake's requests, which may be many, at most fifty a second have a line of their own; the next one says how many more
there were. A request that was refused is a warning that says why (A-16.3.2, A-16.3.3); of the intake's, one a second
for each reason. Every line of a request has its id, which a trusted proxy may give; an answer that is our fault has it.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Collection

import structlog
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyback.web.http.metrics import Metrics

log = structlog.get_logger("keyback.access")
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"})
UNMATCHED = "unmatched"
CUT = 499  # the connection ended before there was an answer
REFUSED = "keyback.refused"  # in the scope: why, where the status does not say it; empty where it only seems to
BY_STATUS = {
    401: "unauthorized", 403: "unauthorized", 405: "method", 410: "over", 413: "too_large", 414: "too_large",
    421: "other_host", 429: "slow_down",
}  # fmt: skip
EVERY_S = 1.0
LINES = 50  # of accepted requests to the intake, a second
IDS = 256
REQUEST_ID = b"x-request-id"
GIVEN = re.compile(rb"[A-Za-z0-9_-]{8,64}")


class AccessLog:
    """Wraps the whole application.

    Args:
        app: with its front.
        metrics: where answers are counted.
        hot: paths whose POST is counted and not logged.
        clock: seconds, for how often those are logged.
        trusts: whether an address is a proxy's whose X-Request-Id counts.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        hot: Collection[str],
        clock: Callable[[], float] = time.monotonic,
        trusts: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._hot = frozenset(hot)
        self._clock = clock
        self._trusts = trusts
        self._ids: list[str] = []
        self._second, self._lines, self._more = 0, 0, 0
        self._told: dict[str, tuple[float, int]] = {}  # why: (when last, how many since)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, sent = CUT, 0
        begun = time.perf_counter()

        async def seen(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 500:
                    message["headers"] = [*message.get("headers", ()), (REQUEST_ID, request_id.encode())]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        path, method = scope["path"], scope["method"]  # routing may change the scope
        request_id = self._id(scope)
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, seen)
        finally:
            seconds = time.perf_counter() - begun
            method = method if method in METHODS else "other"
            why = scope.get(REFUSED, BY_STATUS.get(status, ""))
            if path in self._hot and method == "POST":
                self._metrics.count(method, path, status, seconds)
                if why:
                    self._refused(path, status, why)
                else:
                    self._accepted(path, status, seconds)
            else:
                route = route_of(scope)
                self._metrics.count(method, route, status, seconds)
                ms = round(seconds * 1000, 1)
                size = sent if method != "HEAD" else 0
                said = {"method": method, "route": route, "status": status, "ms": ms, "bytes": size}
                if why:
                    log.warning("request", **said, refused=why)
                else:
                    log.info("request", **said)
            structlog.contextvars.reset_contextvars(**bound)

    def _id(self, scope: Scope) -> str:
        client = scope.get("client")
        if client and self._trusts(client[0]):
            given = next((v for k, v in scope["headers"] if k == REQUEST_ID), b"")
            if GIVEN.fullmatch(given):
                return given.decode("ascii")
        if not self._ids:  # many at once: asking the system costs more than the id
            drawn = secrets.token_hex(IDS * 8)
            self._ids = [drawn[n : n + 16] for n in range(0, len(drawn), 16)]
        return self._ids.pop()

    def _accepted(self, path: str, status: int, seconds: float) -> None:
        """Logs a request to the intake that was taken, as long as there are not too many."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= LINES:
            self._more += 1
            return
        self._lines += 1
        more = {"more": self._more} if self._more else {}
        self._more = 0
        log.info("request", method="POST", route=path, status=status, ms=round(seconds * 1000, 1), **more)

    def _refused(self, path: str, status: int, why: str) -> None:
        """Logs a refusal of the intake, unless the last one for the same reason was just now."""
        last, more = self._told.get(why, (-EVERY_S, 0))
        now = self._clock()
        if now - last < EVERY_S:
            self._told[why] = last, more + 1
            return
        self._told[why] = now, 0
        log.warning("request", method="POST", route=path, status=status, refused=why, more=more)


def route_of(scope: Scope) -> str:
    """The pattern that a request was routed by, such as `/r/{handle}`; never a part of its path."""
    route, root = scope.get("route"), scope.get("root_path", "")
    if isinstance(route, Mount):
        return f"{root}/*"
    return f"{root}{route.path_format}" if isinstance(route, Route) else UNMATCHED
