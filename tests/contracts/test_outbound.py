"""What the guarded client adds for channels: other bodies, queries that stay out of sight."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint
from keyback.testing.connectors import served

CANARY = "kanarienvogel4711"


async def _echo(request: Request) -> JSONResponse:
    body = (await request.body()).decode()
    kind = request.headers["content-type"]
    return JSONResponse({"path": request.url.path, "query": dict(request.query_params), "body": body, "kind": kind})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(Starlette(routes=[Route("/{path:path}", _echo, methods=["GET", "POST"])])) as url:
        yield url


def ask(base: str, path: str, **kw: object) -> dict[str, object]:
    async def go() -> dict[str, object]:
        endpoint = Endpoint(base)
        try:
            return (await endpoint.call("POST", path, **kw)).json()  # type: ignore[arg-type]
        finally:
            await endpoint.close()

    return asyncio.run(go())


def test_a_form_and_bytes_go_as_they_are(url: str) -> None:
    got = ask(url, "a", form={"To": "+86 1", "Body": "一 & 二"})
    assert (got["kind"], got["body"]) == (
        "application/x-www-form-urlencoded",
        "To=%2B86+1&Body=%E4%B8%80+%26+%E4%BA%8C",
    )
    assert ask(url, "a", content=b'{"a": 1}')["body"] == '{"a": 1}'


def test_an_empty_path_is_the_address_itself(url: str) -> None:
    assert ask(f"{url}/hook/sms", "")["path"] == "/hook/sms"
    assert ask(f"{url}/hook", "sms")["path"] == "/hook/sms"


@pytest.mark.covers("N10")
def test_a_query_reaches_the_server_and_no_log(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="httpx2"):
        logging.getLogger("httpx2").disabled = False  # whatever an earlier test of this process set
        got = ask(url, "token", query={"secret": CANARY, "id": "a&b"}, headers={"Authorization": Secret(CANARY)})
    assert got["query"] == {"secret": CANARY, "id": "a&b"}
    assert "/token" in caplog.text, "the client logged nothing: this test would not see a leak"
    assert CANARY not in caplog.text
