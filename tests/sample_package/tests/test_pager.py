"""The pager against the contract of channels, and a stand-in of the service."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from keyback_samples.pager import Pager
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyback.application.ports.channels import Message
from keyback.channels.gateways.base import PhoneChannel
from keyback.channels.gateways.texts import PhoneTexts
from keyback.registry import gateway_faults
from keyback.testing.channels import BASE, COMPANY, ChannelContract, short_letter
from keyback.testing.serving import Service, Trouble, served

SECRET = "pager-secret-4711"
SAYS = {"busy": "LATER", "balance": "EMPTY", "recipient": "WHO", "stranger": "NO"}


def now() -> int:
    return time.time_ns() // 1_000_000


class PagerService(Service):
    """Takes pages of whoever knows the secret, and breaks on demand."""

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        return [("POST", "/", self.page)]

    async def page(self, request: Request, body: bytes) -> Response:
        if request.headers["authorization"] != f"Bearer {SECRET}":
            return JSONResponse({"answer": "NO"})
        if self.trouble in SAYS:
            return JSONResponse({"answer": SAYS[self.trouble]})
        page = json.loads(body)
        self.keep(page["id"], page["to"], page["text"])
        return self.taken({"answer": "TAKEN"})


class Pages:
    troubles: frozenset[Trouble] = frozenset({"busy", "broken", "cut", "stranger", "balance", "recipient"})
    secrets = (SECRET,)

    def __init__(self, service: PagerService, url: str) -> None:
        self._service = service
        gateway = Pager.from_options({"url": url, "secret": SECRET, "site": "qingyu"}, now)
        self.channel = PhoneChannel("sms", gateway, PhoneTexts(COMPANY, "UTC", BASE), now)

    def letter(self, number: int, **over: Any) -> Message:
        return short_letter(number, "sms", over.pop("to", f"+1202555010{number}"), now(), **over)

    def got(self) -> Sequence[tuple[str, str]]:
        return [(m["to"], m["text"]) for m in self._service.messages]

    def trouble(self, how: Trouble) -> None:
        self._service.trouble = how


class TestPager(ChannelContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[Pages]:
        service = PagerService()
        with served(service) as url:
            pages = Pages(service, url)
            yield pages
            await pages.channel.close()


def test_it_says_what_it_is() -> None:
    assert gateway_faults(Pager) == []
