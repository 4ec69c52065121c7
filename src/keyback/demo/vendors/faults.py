"""How a vendor's cloud breaks: set by tests while it runs, used up by the calls that it hits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyback.testing.serving import Cut, until_gone

FaultKind = Literal[
    "time_out_after", "cut_after", "stall", "cut", "throttle", "unavailable", "html", "truncated", "huge", "redirect"
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
METADATA = "http://169.254.169.254/latest/meta-data/"
CHUNK = b'{"padding":"' + b"x" * 65536
HTML = "<!doctype html><title>Sign in</title><h1>Sign in</h1><p>Your session has ended.</p>"


@dataclass(slots=True)
class Fault:
    """One way to break.

    Args:
        kind: `time_out_after` applies the call, then never answers; `cut_after` applies it and breaks the connection in
            the answer; `stall` never answers and applies nothing; `cut` begins an answer and breaks off; `throttle` is
            the vendor's own "too many requests"; `unavailable` a 503 in HTML; `html` a 200 with a sign-in page;
            `truncated` half of a JSON text; `huge` JSON without end; `redirect` a 302 to `to`.
        path: regular expression that the path has to contain; empty for all.
        method: of HTTP, or empty for all.
        times: how many calls it hits; then it is gone.
        retry_after: what `throttle` says, in seconds.
        to: where `redirect` leads.
    """

    kind: FaultKind
    path: str = ""
    method: str = ""
    times: int = 1
    retry_after: int = 7
    to: str = METADATA

    def hits(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in ("", method) and re.search(self.path, path) is not None


class Faults:
    """All faults that are set. `injected` counts the calls that were hit."""

    def __init__(self) -> None:
        self._all: list[Fault] = []
        self.injected = 0

    def add(
        self,
        kind: FaultKind,
        path: str = "",
        method: str = "",
        *,
        times: int = 1,
        retry_after: int = 7,
        to: str = METADATA,
    ) -> None:
        """Sets one; see `Fault`. Raises `ValueError` for a kind that there is not."""
        if kind not in KINDS:
            raise ValueError(f"no such fault: {kind}")
        self._all.append(Fault(kind, path, method, times, retry_after, to))

    def clear(self) -> None:
        self._all.clear()

    def take(self, method: str, path: str) -> Fault | None:
        found = next((f for f in self._all if f.hits(method, path)), None)
        if found:
            found.times -= 1
            self.injected += 1
        return found


class Broken:
    """Puts a fault before or around `app` for one call.

    Args:
        throttled: makes the vendor's own answer to too many requests, from seconds.
    """

    def __init__(self, app: ASGIApp, fault: Fault, throttled: Callable[[int], Response]) -> None:
        self._app, self._fault, self._throttled = app, fault, throttled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = self._fault.kind
        if kind in ("time_out_after", "cut_after"):
            await self._app(scope, receive, _nowhere)
            if kind == "cut_after":
                await Cut()(scope, receive, send)
            else:
                await until_gone(Request(scope, receive))
        elif kind == "stall":
            await until_gone(Request(scope, receive))
        elif kind == "huge":
            await self._flood(receive, send)
        else:
            await self._instead()(scope, receive, send)

    def _instead(self) -> Response:
        match self._fault.kind:
            case "cut":
                return Cut()
            case "throttle":
                return self._throttled(self._fault.retry_after)
            case "unavailable":
                return HTMLResponse("<h1>503 Service Unavailable</h1>", 503)
            case "html":
                return HTMLResponse(HTML)
            case "truncated":
                return Response('{"totalSize":1,"value":[{"id":"0', media_type="application/json")
            case _:
                return RedirectResponse(self._fault.to, 302)

    async def _flood(self, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.ensure_future(_hung_up(receive))
        try:
            for _ in range(4096):  # 256 MiB, if somebody takes it all
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
                await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nowhere(message: Message) -> None:
    """Takes an answer that nobody gets."""
