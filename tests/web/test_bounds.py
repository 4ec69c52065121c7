"""The worst header, address, cookie, query and body of every route: what is read of it, and what it costs (O5).

Routes come from the table, so that a new one is looked at too. Work is counted, not timed: calls of Python functions,
and the characters that reach the database.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy.engine.default import DefaultDialect

from keyback.application.signin.sessions import SignedIn
from keyback.domain.challenges.challenge import holder_secret
from keyback.web.app import make_app, make_context
from keyback.web.http import bounds
from keyback.web.http.edge import MAX_BODY
from keyback.web.http.proxies import Proxies
from keyback.web.ui.form_tokens import form_token
from tests.support import reach
from tests.support.kit import Kit, person
from tests.support.steps import HERE, OLD, ask, fit, set_password, sign_in

Make = Callable[..., Kit]
N = 30_000
AGENTS = (b"Linux Android " * 2300)[:N], b"(" * N, b"Windows NT ;" * 2500
WORST_HEADERS: dict[str, list[tuple[bytes, bytes]]] = {
    **{f"user-agent {i}": [(b"user-agent", a)] for i, a in enumerate(AGENTS)},
    "accept-language": [(b"accept-language", b"zh;q=0." + b"1," * (N // 2))],
    "cookies": [(b"cookie", b"; ".join(b"keyback-x%d=1" % i for i in range(2000)))],
    "one cookie": [(b"cookie", b"keyback-session=" + b"A" * N)],
    "cookie with signs": [(b"cookie", b"keyback-session=" + b'"\\' * (N // 2))],
    "hops": [(b"x-forwarded-for", b"192.0.2.1," * (N // 10))],
    "hops in lines": [(b"x-forwarded-for", b"10.0.0.1")] * 1000,
    "a zone": [(b"x-forwarded-for", b"fe80::1%" + b"z" * N)],
    "content-type": [(b"content-type", b"text/plain;" + b"a=b;" * (N // 4))],
    "authorization": [(b"authorization", b"Bearer " + b"A" * N)],
    "idempotency-key": [(b"idempotency-key", b"k" * N)],
    "origin": [(b"origin", b"https://" + b"o" * N)],
    "range": [(b"range", b"bytes=" + b"0-1," * (N // 4)), (b"if-none-match", b'"a",' * (N // 4))],
    "many": [(b"x-%d" % i, b"v" * 10) for i in range(1000)],
    "the same again": [(b"user-agent", b"Firefox/1")] * 1000,
}
WORST_QUERIES = {
    "long": b"lang=" + b"z" * N, "many": b"&".join(b"q%d=1" % i for i in range(3000)),
    "pairs": b"&".join(b"%x=" % i for i in range(400))[: bounds.QUERY],
    "digits": b"before=" + b"9" * 900, "target": b"target=" + b"t" * 900, "next": b"next=" + b"/account" * 100,
    "with": b"with=" + b"%00" * 300,
}  # fmt: skip
# Headers do not meet, so several go into one request, and a query along with them.
WORST: list[tuple[list[tuple[bytes, bytes]], bytes]] = []
for _i, _query in enumerate(WORST_QUERIES.values()):
    _first = {h[0][0]: h for h in [*WORST_HEADERS.values()][_i % 3 :: 3]}
    _other = {h[0][0]: h for h in WORST_HEADERS.values()}
    WORST.append(([x for h in {**_other, **_first}.values() for x in h], _query if _i % 2 == 0 else b""))
WORST.append(([], WORST_QUERIES["pairs"]))
TYPED = ("A" * (MAX_BODY - 200), "Linux Android " * 4000, "é" * 9000, "0" * 60_000)


class Site:
    """Every route of a Keyback, as ASGI, for somebody who is signed in and holds a recovery."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        desk = make_context(kit.settings, kit.services)
        desk.renderer.warm()
        self.app: Any = make_app(desk)
        self.routes = [(m, p) for m, p, _ in reach.routes(self.app._app.routes) if m in ("GET", "POST")]
        self.handle = ask(kit, "maya@example.com").handle
        secret = holder_secret(kit.services.seals.derive("holder"), self.handle)
        self.secret = secret
        self.enter()

    def enter(self) -> None:
        """Signs in (anew)."""
        done = sign_in(self.kit, "maya", OLD)
        assert isinstance(done, SignedIn)
        self.token = done.token
        self.cookie = f"keyback-session={done.token}; keyback-recovery={self.handle}.{self.secret}".encode()

    def path(self, pattern: str) -> str:
        for name, value in (("handle", self.handle), ("kind", "mail"), ("proof", "totp")):
            pattern = pattern.replace(f"{{{name}}}", value)
        return "".join("x" if c == "{" else c for c in pattern.replace("}", ""))

    def ask(
        self, method: str, pattern: str, headers: list[tuple[bytes, bytes]], query: bytes = b"", body: bytes = b""
    ) -> int:
        given = {k for k, _ in headers}
        path = self.path(pattern)
        if method == "POST" and path.startswith(("/account", "/sign-out")):
            body = b"&".join(filter(None, (body, b"form_token=" + form_token(self.token).encode())))
        kind = (
            b"application/json" if path.startswith(("/api/", "/passwords/")) else b"application/x-www-form-urlencoded"
        )
        secret = self.secret if "recoveries" in path else self.token
        usual = [
            (b"host", b"127.0.0.1:8080"), (b"sec-fetch-site", b"same-origin"), (b"content-type", kind),
            (b"cookie", self.cookie), (b"authorization", b"Bearer " + secret.encode()),
        ]  # fmt: skip
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query,
            "headers": [*headers, *(h for h in usual if h[0] not in given)], "client": (HERE.source, 4711),
            "server": ("127.0.0.1", 8080), "scheme": "http", "root_path": "", "http_version": "1.1",
        }  # fmt: skip
        status = 0

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        async def go() -> None:
            await self.app(scope, receive, send)

        self.kit.run(go())
        return status


@pytest.fixture
def site(make_kit: Make, sqlite_url: str) -> Site:
    limits = dict.fromkeys(("sign_ins", "proofs", "recoveries", "checks"), 1_000_000)
    kit = make_kit(url=sqlite_url, limits=limits, trusted_proxies=["10.0.0.0/8", HERE.source])
    fit(kit, person("maya"))
    set_password(kit, "maya")
    return Site(kit)


@contextmanager
def counted() -> Iterator[list[int]]:
    """Calls of Python functions while the block lasts, in this thread and those that start in it."""
    calls = [0]

    def one(_frame: Any, what: str, _arg: Any) -> None:
        if what == "call":
            calls[0] += 1

    threading.setprofile(one)
    sys.setprofile(one)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def cost(site: Site, *asked: Any, **more: Any) -> int:
    with counted() as calls:
        status = site.ask(*asked, **more)
    assert 200 <= status < 500, (asked[:2], status)
    return calls[0]


@pytest.mark.slow
@pytest.mark.covers("O5", "INV-I10")
def test_behind_the_front_nothing_is_longer_than_its_reader_has_use_for(site: Site) -> None:
    seen: list[Any] = []
    inner, hot = site.app._app, dict(site.app._hot)

    def watched(app: Any) -> Any:
        async def look(scope: Any, receive: Any, send: Any) -> None:
            seen.append((scope["path"], scope["query_string"], list(scope["headers"])))
            await app(scope, receive, send)

        return look

    site.app._app, site.app._hot = watched(inner), {p: watched(a) for p, a in hot.items()}
    for method, pattern in site.routes:
        for headers, query in WORST:
            site.ask(method, pattern, headers, query)
    assert len(seen) > 5 * len(site.routes)
    assert max(len(path) for path, _, _ in seen) <= bounds.PATH
    assert max(len(query) for _, query, _ in seen) <= bounds.QUERY
    for _, _, headers in seen:
        assert len(headers) <= bounds.REPEATS * len(bounds.HEADERS)
        assert [(k, len(v)) for k, v in headers if len(v) > bounds.HEADERS[k]] == []
    for path in (
        "/" + "a" * 600,
        "/r/" + "b" * 5000,
        "/api/v1/recoveries/" + "c" * 30_000,
        "/static/0/" + "%41" * 9000,
    ):
        assert site.ask("GET", path, []) == 404


@pytest.mark.slow
@pytest.mark.covers("O5", "INV-I10")
def test_the_worst_headers_and_queries_cost_every_route_what_the_usual_ones_do(site: Site) -> None:
    for method, pattern in site.routes:
        body = b"{}" if site.path(pattern).startswith(("/api/", "/passwords/")) else b""
        site.ask(method, pattern, [], body=body)  # templates and imports, once
        usual = cost(site, method, pattern, [(b"user-agent", b"Firefox/1")], body=body)
        for i, (headers, query) in enumerate(WORST):
            worst = cost(site, method, pattern, headers, query=query, body=body)
            assert worst <= 2 * usual + 3000, (method, pattern, i, usual, worst)


@pytest.mark.slow
@pytest.mark.covers("O5", "O3", "INV-I10")
def test_no_field_of_any_form_goes_further_than_its_reader_reads(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from keyback.web import intake
    from keyback.web.ui import forms

    handed: dict[str, set[str]] = {}
    plain = forms.parse_form

    def watched(body: bytes, single: Any, many: Any = ()) -> dict[str, str]:
        handed.setdefault(now[0], set()).update({*single, *many})
        out = plain(body, single, many)
        assert [(k, len(v)) for k, v in out.items() if len(v) > bounds.FIELDS.get(k, bounds.FIELD)] == []
        return out

    for module in (forms, intake):
        monkeypatch.setattr(module, "parse_form", watched)
    written: list[int] = []
    monkeypatch.setattr(DefaultDialect, "do_execute", _noting(written, DefaultDialect.do_execute))
    now = [""]
    posts = [p for m, p in site.routes if m == "POST" and not p.startswith(("/api/", "/passwords/"))]
    posts.sort(key=lambda p: p == "/account/lock")  # after which nobody signs in
    # Once to learn the names of the fields that each reads, and then the worst in each of them.
    for pattern in posts:
        now[0] = pattern
        assert 200 <= site.ask("POST", pattern, [], body=b"zzz=1") < 500
    early = {p for p in posts if p not in handed}  # these look first whether it is their turn, and then read
    assert {p.partition("/r/{handle}/")[2].partition("/")[0] for p in early} <= {
        "factor",
        "passkey",
        "mailbox",
        "unlock",
        "document",
    }
    for pattern in posts:
        now[0] = pattern
        site.enter()
        for text in TYPED:
            for name in sorted(handed.get(pattern, {"code"})):
                sent = urlencode({name: text}).encode()
                if name != "form_token" and len(sent) <= MAX_BODY - 100:
                    assert 200 <= site.ask("POST", pattern, [], body=sent) < 500, (pattern, name)
        many = "&".join(
            f"{n}={i}" for i in range(3000) for n in sorted(handed.get(pattern, {"code"}))[:1] or ["a"]
        ).encode()
        assert site.ask("POST", pattern, [], body=many[: MAX_BODY - 100]) < 500
    assert len(written) > 100
    assert max(written) <= 9000


def _noting(written: list[int], plain: Any) -> Any:
    def do_execute(self: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        written.append(_longest(parameters))
        plain(self, cursor, statement, parameters, context)

    return do_execute


def _longest(params: Any) -> int:
    """Characters of the longest value of a statement."""
    if isinstance(params, dict):
        params = list(params.values())
    if isinstance(params, (list, tuple)):
        return max((_longest(p) for p in params), default=0)
    return len(params) if isinstance(params, (str, bytes)) else 0


@pytest.mark.slow
@pytest.mark.covers("O5", "O3", "INV-I10")
def test_no_json_costs_any_route_more_than_its_bytes(site: Site) -> None:
    worst = [
        b"[" * MAX_BODY, b'{"a":' * 13_000, b'{"identifier":' + b"9" * 60_000 + b"}", b"[" * 21 + b"]" * 21,
        json.dumps({f"k{i}": i for i in range(5000)}).encode()[:MAX_BODY], b'"' + b"\\u0041" * 10_000 + b'"',
        json.dumps({"password": "A" * 65_000, "identifier": "B" * 400}).encode(),
        json.dumps({"code": "0" * 65_000}).encode(), json.dumps({"new_password": "é" * 10_000}).encode(),
        json.dumps({"accounts": ["x" * 60] * 1000, "new_password": "x"}).encode(), b'{"a":1e999999999}',
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ]  # fmt: skip
    for method, pattern in site.routes:
        if method != "POST" or not pattern.startswith(("/api/", "/passwords/")):
            continue
        site.ask(method, pattern, [], body=b"{}")
        usual = cost(site, method, pattern, [], body=b"{}")
        for body in worst:
            with counted() as calls:
                status = site.ask(method, pattern, [], body=body)
            assert 200 <= status < 500, (pattern, body[:40])
            assert calls[0] <= 2 * usual + 10_000, (pattern, body[:40], usual)


@pytest.mark.covers("K5", "A-4.1.3")
@pytest.mark.parametrize(
    ("hops", "source"),
    [
        (b"203.0.113.9", "203.0.113.9"), (b"evil, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (b"fe80::1%call-010-5551234", "10.0.0.1"), (b"203.0.113.9%evil", "10.0.0.1"), (b"2001:DB8::9", "2001:db8::9"),
        (b"203.0.113.9:4711", "203.0.113.9"), (b"9" * 900 + b", 10.0.0.3", "10.0.0.3"),
        (b"198.51.100.1," * 500 + b"203.0.113.9", "203.0.113.9"),
    ],
)  # fmt: skip
def test_what_a_proxy_says_of_the_sender_is_an_address_or_nothing(hops: bytes, source: str) -> None:
    headers = bounds.headers([(b"x-forwarded-for", hops)])
    assert Proxies(["10.0.0.0/8"]).source({"client": ("10.0.0.1", 1), "headers": headers}) == source


@pytest.mark.covers("O5")
@pytest.mark.parametrize(
    ("length", "read"),
    [
        (b"0", 0), (b"12", 12), (b"65536", 65536), (b"65537", 65537), (b"0" * 4400 + b"5", 5), (b"9" * 4400, 65537),
        (b"", None), (b"-1", None), (b"+5", None), (b" 5", None), (b"5_0", None), ("٥".encode(), None), (b"1e3", None),
    ],
)  # fmt: skip
def test_a_length_is_digits_however_many(length: bytes, read: int | None) -> None:
    assert bounds.size(length, MAX_BODY) == read
