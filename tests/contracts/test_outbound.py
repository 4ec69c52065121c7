"""What the guarded client adds for channels: other bodies, queries that stay out of sight."""

from __future__ import annotations

import asyncio
import gzip
import logging
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, Reply
from keyback.testing.connectors import served
from tests.support.each import each

CANARY = "kanarienvogel4711"


BOMB = gzip.compress(b'{"id": "' + b"0" * (64 << 20) + b'"}')


async def _said(request: Request) -> Response:
    """Answers as a hostile or an old system would, by path."""
    query = request.query_params
    headers = {k.replace("_", "-"): query[k] for k in ("content_encoding", "content_type", "retry_after") if k in query}
    body = {
        "bomb": BOMB,
        "gzip": gzip.compress(b'{"id": 1}'),
        "broken": gzip.compress(b'{"id": 1}')[:10] + b"junk",
        "deflate": zlib.compress(b'{"id": 1}'),
        "gbk": '{"id": "客户"}'.encode("gbk"),
        "latin": '{"id": "Müller"}'.encode("latin-1"),
        "utf-16": '{"id": "客户"}'.encode("utf-16"),
        "mark": b'\xef\xbb\xbf{"id": 1}',
        "deep": b"[" * 200_000,
        "digits": b'{"id": ' + b"9" * 5000 + b"}",
    }.get(request.path_params["path"], b"{}")
    return Response(body, headers=headers | {"date": "Sun, 29 Nov 2026 12:00:00 GMT", **headers})


async def _echo(request: Request) -> JSONResponse:
    body = (await request.body()).decode()
    kind = request.headers["content-type"]
    return JSONResponse({"path": request.url.path, "query": dict(request.query_params), "body": body, "kind": kind})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    said = Route("/said/{path:path}", _said, methods=["POST"])
    with served(Starlette(routes=[said, Route("/{path:path}", _echo, methods=["GET", "POST"])])) as url:
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


def reply(base: str, path: str, **query: str) -> Reply:
    async def go() -> Reply:
        endpoint = Endpoint(base)
        try:
            return await endpoint.call("POST", f"said/{path}", query=query)
        finally:
            await endpoint.close()

    return asyncio.run(go())


@pytest.mark.covers("N1", "N11")
def test_an_answer_that_unpacks_without_end_takes_no_memory(url: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MaybeDone, match="too long"):
            reply(url, "bomb", content_encoding="gzip")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    for how in ("gzip", "deflate"):
        assert reply(url, how, content_encoding=how).any_json() == {"id": 1}
    assert reply(url, "mark", content_encoding="gzip").any_json() == {"id": 1}, "said to be packed, and is not"
    for path, how in (("gzip", "deflate, gzip"), ("gzip", "zstd"), ("broken", "gzip"), ("mark", "deflate")):
        with pytest.raises(MaybeDone, match="cannot be unpacked"):
            reply(url, path, content_encoding=how)


@each(
    "path, kind, value",
    [
        ("gbk", "application/json; charset=GB2312", "客户"),
        ("latin", 'text/html; charset="ISO-8859-1"', "Müller"),
        ("utf-16", "application/json", "客户"),
        ("mark", "text/plain", 1),
    ],
)
def test_the_charset_that_an_old_system_names_is_read(path: str, kind: str, value: object) -> None:
    with served(Starlette(routes=[Route("/said/{path:path}", _said, methods=["POST"])])) as url:
        assert reply(url, path, content_type=kind).any_json() == {"id": value}


def test_what_no_reader_takes_is_no_json(url: str) -> None:
    for path, kind in (("gbk", "application/json"), ("gbk", "text/x; charset=punycode"), ("deep", ""), ("digits", "")):
        assert reply(url, path, content_type=kind).any_json() is None


@each(
    "said, waits",
    [
        ("77", 77_000), ("0000000077", 77_000),
        ("31536000", 300_000), ("9" * 400, 300_000), ("-5", 10_000), ("1.5", 10_000), ("soon", 10_000),
        ("Sun, 29 Nov 2026 12:01:30 GMT", 90_000), ("Sun, 29 Nov 2026 11:00:00 GMT", 10_000),
        ("Fri, 31 Dec 2099 23:59:59 GMT", 300_000), ("Sun, 29 Nov 99999 12:00:00 GMT", 10_000),
    ],
)  # fmt: skip
def test_a_wait_is_never_in_the_past_and_never_long(said: str, waits: int) -> None:
    date = {"date": "Sun, 29 Nov 2026 12:00:00 GMT"}
    assert Reply(503, b"", {"retry-after": said, **date}).retry_after_ms(10_000) == waits
