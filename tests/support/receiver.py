"""A receiver of events: checks signatures as the published specification says, and misbehaves as told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from keyback.testing.serving import served

PATH = "/events"


@dataclass
class Posted:
    """One call as it came."""

    id: str
    at: int
    signatures: tuple[str, ...]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)  # type: ignore[no-any-return]

    @property
    def seq(self) -> int:
        return int(self.event["data"]["seq"])

    def signed_with(self, secret: str) -> bool:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.digest(key, f"{self.id}.{self.at}.".encode() + self.body, "sha256")
        return "v1," + base64.b64encode(mac).decode() in self.signatures


@dataclass
class ReceiverStandIn:
    """Takes everything, unless told otherwise.

    Attributes:
        answers: statuses of the next calls, before `status` counts again; `hang` and `flood` are answers, too.
        refuses: types that are answered 500.
    """

    status: int | str = 200
    answers: list[int | str] = field(default_factory=list)
    refuses: frozenset[str] = frozenset()
    calls: list[Posted] = field(default_factory=list)
    taken: list[Posted] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        app = Starlette(routes=[Route(PATH, self._take, methods=["POST"])])
        with served(app) as url:
            yield url + PATH

    async def _take(self, request: Request) -> Response:
        h = request.headers
        body = await request.body()
        posted = Posted(h["webhook-id"], int(h["webhook-timestamp"]), tuple(h["webhook-signature"].split(" ")), body)
        self.calls.append(posted)
        answer = self.answers.pop(0) if self.answers else self.status
        if posted.event["type"] in self.refuses:
            answer = 500
        if answer == "hang":
            await asyncio.sleep(3600)
        if answer == "flood":
            return StreamingResponse(self._flood())
        if answer == 200:
            self.taken.append(posted)
        return Response(status_code=int(answer), headers=self.headers)

    async def _flood(self) -> Any:
        for _ in range(32):  # twice what is read of an answer
            yield b"x" * 65536

    def types(self) -> Sequence[str]:
        return [p.event["type"] for p in self.taken]
