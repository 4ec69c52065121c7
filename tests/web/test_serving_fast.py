"""What is cut short for speed and still has to hold: heads of answers, the count of a network, the worker's rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from keyback import worker as worker_module
from keyback.settings_sections import Limits
from keyback.web.http import rate_limits as limits_module
from keyback.web.http.rate_limits import Limiter, OneProcess
from keyback.web.http.server import _kept, bind, make_server
from keyback.worker import Worker
from tests.support.kit import Kit

GET = b"GET / HTTP/1.1\r\nHost: x\r\n%b\r\n"


async def answers(app: Any, *requests: bytes) -> list[bytes]:
    """What the real server says to each request, in one connection, until it closes or all are answered."""
    sock = bind("127.0.0.1:0")
    server = make_server(app, lifespan=False)
    task = asyncio.create_task(server.serve([sock]))
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*sock.getsockname()[:2])
    out = []
    for request in requests:
        writer.write(request)
        head = body = b""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length or b"0"))
        except asyncio.IncompleteReadError as e:
            body = e.partial
        out.append(head + body)
    writer.close()
    server.should_exit = True
    await task
    return out


def app_with(headers: list[tuple[bytes, bytes]], body: bytes = b"fine") -> Any:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def head_of(answer: bytes) -> dict[bytes, bytes]:
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return dict(line.split(b": ", 1) for line in lines)  # type: ignore[arg-type]


def test_a_head_out_of_kept_lines_is_whole_on_every_answer() -> None:
    headers = [(b"X-Name", b"one"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-length", b"4")]
    first, second = asyncio.run(answers(app_with(headers), GET % b"", GET % b""))
    for answer in (first, second):
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nfine")
        assert answer.count(b"set-cookie: ") == 2
        assert {b"date", b"x-name"} <= head_of(answer).keys()
        assert b"connection" not in head_of(answer)


def test_the_last_answer_of_a_connection_and_one_of_unknown_length_say_so() -> None:
    (last,) = asyncio.run(answers(app_with([(b"content-length", b"4")]), GET % b"Connection: close\r\n"))
    assert head_of(last)[b"connection"] == b"close"
    (chunked,) = asyncio.run(answers(app_with([]), GET % b""))
    assert head_of(chunked)[b"transfer-encoding"] == b"chunked"


@pytest.mark.covers("C2")
@pytest.mark.parametrize("bad", [(b"location", b"/x\r\nset-cookie: a=1"), (b"x-a\r\nb", b"1"), (b"x-a", b"1\n2")])
def test_no_header_ends_early(bad: tuple[bytes, bytes]) -> None:
    for _ in range(2):  # what was refused once is not kept as good
        (answer,) = asyncio.run(answers(app_with([bad, (b"content-length", b"4")]), GET % b""))
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"set-cookie" not in answer


@pytest.mark.covers("C8")
def test_cookies_and_addresses_are_not_kept() -> None:
    _kept.cache_clear()
    headers = [(b"set-cookie", b"keyback-recovery=secret"), (b"location", b"/r/handle"), (b"content-length", b"4")]
    asyncio.run(answers(app_with(headers), GET % b"", GET % b""))
    assert _kept.cache_info().currsize == 2  # the date and the length; it may have been two dates


def test_a_body_that_is_longer_or_shorter_than_said_is_no_answer() -> None:
    for said in (b"3", b"9"):
        (answer,) = asyncio.run(answers(app_with([(b"content-length", said)]), GET % b""))
        assert len(answer.partition(b"\r\n\r\n")[2]) != int(said)  # and the connection is over


def in_pieces(*pieces: bytes) -> Any:
    """Says `content-length: 4` and sends its body so."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        for n, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": n < len(pieces)})

    return app


def test_a_head_waits_for_its_body_and_is_sent_with_or_without_it() -> None:
    whole = asyncio.run(answers(in_pieces(b"fine"), GET % b"", GET % b""))
    pieces = asyncio.run(answers(in_pieces(b"fi", b"", b"ne"), GET % b"", GET % b""))
    assert (
        [a.partition(b"\r\n\r\n")[2] for a in whole] == [a.partition(b"\r\n\r\n")[2] for a in pieces] == [b"fine"] * 2
    )
    assert {tuple(head_of(a)) for a in whole} == {tuple(head_of(a)) for a in pieces}
    # The answer to HEAD has no body: what follows its head is the answer to the request behind it.
    (both,) = asyncio.run(answers(in_pieces(b"fine"), b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + GET % b""))
    assert both.endswith(b"\r\n\r\nHTTP")


# ── the count of a network ──────────────────────────────────────────────────


@pytest.mark.covers("A7")
def test_a_network_waits_for_its_window_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(limits_module.time, "monotonic", lambda: now[0])

    async def go() -> None:
        limiter = Limiter(Limits(recoveries=2, proofs=1, sign_ins=1, checks=1))
        memory = limiter._storage
        assert isinstance(memory, OneProcess)
        assert [await limiter.allows("recoveries", "192.0.2.1") for _ in range(3)] == [True, True, False]
        assert await limiter.allows("recoveries", "192.0.2.2")
        assert await limiter.allows("proofs", "192.0.2.1")
        now[0] += 59
        assert not await limiter.allows("recoveries", "192.0.2.1")
        now[0] += 2
        assert await limiter.allows("recoveries", "192.0.2.1")
        assert len(memory.hits) == 1  # those that are over were swept out

    asyncio.run(go())


@pytest.mark.covers("D7", "O5")
def test_refused_requests_count_for_nothing_and_are_not_remembered() -> None:
    async def go() -> None:
        limiter = Limiter(Limits(recoveries=2, times_56=2, times_48=3))
        memory = limiter._storage
        assert isinstance(memory, OneProcess)
        answers = [await limiter.allows("recoveries", f"2001:db8:0:{n:x}::1") for n in range(200)]
        assert sum(answers) == 4
        assert len(memory.hits) == 4 + 1 + 1, "of networks that were refused nothing is kept"
        busy = [await limiter.allows("recoveries", "2001:db8:1::1") for _ in range(50)]
        assert sum(busy) == 2
        assert await limiter.allows("recoveries", "2001:db8:1:1::1"), (
            "what one network was refused is not its neighbours'"
        )

    asyncio.run(go())


# ── rounds ──────────────────────────────────────────────────────────────────


def test_a_full_round_is_followed_by_the_next_at_once(
    make_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "GATHER_S", 3600.0)
    monkeypatch.setattr(worker_module, "GATHER_MORE_S", 3600.0)
    kit = make_kit()

    async def go() -> int:
        worker = Worker(kit.services)
        found = [10, 10, 9]  # the third leaves something to wait for
        rounds = 0

        async def step() -> int:
            nonlocal rounds
            rounds += 1
            return found.pop(0)

        task = asyncio.create_task(worker._forever(step, 10))
        while found:
            await asyncio.sleep(0)
        task.cancel()
        return rounds

    assert kit.run(go()) == 3
