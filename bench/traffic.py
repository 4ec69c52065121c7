"""Raw requests as a browser or an API client sends them, and waiting until nothing is left to do."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from urllib.parse import urlencode

from bench import seed
from bench.stage import Base, Sink

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


def http(port: int, path: str, body: bytes, kind: str, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: {AGENT}\r\nAccept: */*\r\n{more}"
    return f"{head}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def get(port: int, path: str, cookie: str) -> bytes:
    """A request for a page, as a browser sends it."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: {AGENT}\r\nAccept: text/html\r\n"
    return f"{head}Accept-Language: en-GB,en;q=0.8\r\nCookie: {cookie}\r\n\r\n".encode()


def api(port: int, identifier: str) -> bytes:
    """A request to recover, by the API."""
    return http(port, "/api/v1/recoveries", json.dumps({"identifier": identifier}).encode(), "application/json")


def form(port: int, identifier: str) -> bytes:
    """A request to recover, by the page."""
    more = f"Origin: http://127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\nAccept-Language: en-GB,en;q=0.8\r\n"
    body = urlencode({"identifier": identifier, "system": "", "journey": "password"}).encode()
    return http(port, "/forgot", body, "application/x-www-form-urlencoded", more)


def mixed(port: int, people: int, n: int, first: int, make=api) -> Iterator[tuple[int, bytes]]:  # type: ignore[no-untyped-def]
    """`n` requests, half of them for people that exist (tag 1), in random order.

    Args:
        first: number of the first person; a run that uses others each time meets no mail budget.
    """
    rng = random.Random(first)
    tags = [i % 2 for i in range(n)]
    rng.shuffle(tags)
    step = max(1, people // max(1, n // 2 + 1))
    for i, tag in enumerate(tags):
        who = (first + i * step) % people
        yield tag, make(port, seed.known(who) if tag else seed.unknown(first + i))


def drain(base: Base, sink: Sink | None, limit_s: float = 60.0) -> float:
    """Waits until no work is left and no more mail comes; seconds, and an error after `limit_s`."""
    begun, before = time.monotonic(), -1
    while time.monotonic() - begun < limit_s:
        count = sink.count if sink else 0
        if count == before and base.backlog() == 0:
            return time.monotonic() - begun
        before = count
        time.sleep(0.25)
    raise SystemExit(f"work was still waiting after {limit_s:.0f} s")
