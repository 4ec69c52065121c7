"""A phone that rings by Standard Webhooks: the other side of `channels/gateways/webhook.py`, for tests and `keyback
demo`."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyback.testing.kept import Kept
from keyback.testing.serving import KEEP, Service, served

PATH = "/messages"
SKEW_S = 300
_CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")
_LINK = re.compile(r"https?://[^\s<>\"'）】」]+")


class Phone(Service):
    """Takes messages that are signed with `secret` and keeps the last 500; a repeated id is taken once.

    Args:
        clock: seconds since 1970; for tests that move it.
        keep: file that holds the messages, so that the next phone there begins with them.

    A message: `id` (1, 2, …), `at` (ms), `to`, `channel`, `text`, `codes`, `links`, besides `message_id`, `kind` and
    `params`.
    """

    def __init__(self, clock: Callable[[], float] = time.time, keep: Path | None = None) -> None:
        super().__init__()
        self._kept = Kept(keep, KEEP)
        self.messages = self._kept.load()
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self.secret = "whsec_" + base64.b64encode(self._key).decode()

    def routes(self) -> Sequence[Any]:
        return [("POST", PATH, self._take)]

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Gives the address to post to."""
        with served(self) as url:
            yield url + PATH

    async def _take(self, request: Request, body: bytes) -> Response:
        if not self._signed(request, body) or self.trouble == "stranger":
            return JSONResponse({"error": "unauthorized"}, 401)
        for trouble, status in (("busy", 429), ("balance", 402), ("recipient", 422)):
            if self.trouble == trouble:
                return JSONResponse({"error": trouble}, status)
        m = json.loads(body)
        if m["id"] not in {kept["message_id"] for kept in self.messages}:
            number = int(self.messages[-1]["id"]) + 1 if self.messages else 1
            self.keep(
                str(number), m["to"], m["text"], at=int(self._clock() * 1000), channel=m["channel"],
                message_id=m["id"], kind=m["kind"], params=m["params"],
                codes=list(dict.fromkeys(_CODE.findall(m["text"]))), links=_LINK.findall(m["text"]),
            )  # fmt: skip
            self._kept.add(self.messages[-1])
        return self.taken({"ok": True})

    def _signed(self, request: Request, body: bytes) -> bool:
        h = request.headers
        at, given = h.get("webhook-timestamp", ""), h.get("webhook-signature", "")
        if not at.isdecimal() or abs(int(at) - self._clock()) > SKEW_S:
            return False
        mac = hmac.digest(self._key, f"{h.get('webhook-id', '')}.{at}.".encode() + body, "sha256")
        return hmac.compare_digest(given.encode(), b"v1," + base64.b64encode(mac))
