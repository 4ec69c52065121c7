"""Attacks on the HTTP side, against a real server on a socket: slow, huge, forged, confused, stopped half-way."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from keyback.storage.database import make_engine
from keyback.storage.keys.keyring import Keyring
from keyback.storage.migrate import migrate
from keyback.testing.mailbox import Mailbox
from keyback.web.http.edge import MAX_BODY
from keyback.web.http.server import MAX_AHEAD, MAX_HEADER, ClientTimeouts
from keyback.web.ui.rendering import load_static
from tests.support.live import AGENT, Live, add_person, canary, live, logged, read_all, request, status_of

FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"
OURS = "Sec-Fetch-Site: same-origin"
HTTPS = "https://recover.example.com"
NEW = "supper ladder teapot 7"
PAGES = ("/", "/forgot", "/find", "/help", "/privacy", "/accessibility", "/sign-in")
# Every POST of the portal; `{h}` is a handle of the recovery that the browser holds.
POSTS = (
    "/forgot", "/find", "/sign-in", "/sign-out", "/link/accept", "/link/again", "/link/stop", "/stop",
    "/passwords/check", "/r/{h}/code", "/r/{h}/again", "/r/{h}/cancel", "/r/{h}/password",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("platform")


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as m:
        yield m


def fresh(path: Path) -> str:
    url = f"sqlite:///{path}"
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def site(folder: Path, mailbox: Mailbox) -> Iterator[Live]:
    with live(fresh(folder / "plain.sqlite"), folder, mail_port=mailbox.port) as s:
        yield s


@pytest.fixture(scope="module")
def secure(folder: Path, mailbox: Mailbox) -> Iterator[Live]:
    """Behind a proxy that ends TLS: people reach it as https."""
    with live(fresh(folder / "secure.sqlite"), folder, mail_port=mailbox.port, public_url=HTTPS) as s:
        yield s


def waiting(site: Live) -> int:
    """How many intakes the database holds."""
    return int(site.read(lambda tx: tx.conn.exec_driver_sql("SELECT count(*) FROM intakes").scalar()))


# ── O2: slowness ────────────────────────────────────────────────────────────

HASTY = ClientTimeouts(header=1.5, body=1.5, write=1.5, idle=1.5)
ON = request("GET /help", "{host}").replace(b"close", b"keep-alive")
STALLS = {
    "header": request("GET /", "{host}")[:-2],
    "nothing": b"",
    "body": request("POST /forgot", "{host}", FORM, OURS, "Content-Length: 1000", body=b"identifier="),
    "body nobody reads": ON.replace(b"/help", b"/none").replace(b"\r\n\r\n", b"\r\nContent-Length: 1000\r\n\r\nx"),
    "pipelined, unread": ON.replace(b"/help", load_static()["parts.css"].url.encode()) * MAX_AHEAD,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.covers("O2")
@pytest.mark.parametrize("how", STALLS)
def test_stalling_clients_hold_up_nobody_and_are_cut_off(sqlite_url: str, tmp_path: Path, how: str) -> None:
    with live(sqlite_url, tmp_path, patience=HASTY, connections_per_address=300) as site, site.client() as client:
        crowd = [_stalled(site, STALLS[how]) for _ in range(5 if "unread" in how else 250)]
        assert client.get("/help").status_code == 200
        assert client.post("/api/v1/recoveries", json={"identifier": "maya"}).status_code == 202
        if "unread" in how:
            time.sleep(HASTY.write * 2)
        for s in crowd:
            s.settimeout(15)
            got = read_all(s)  # ends only when the server has closed; a time-out here fails the test
            assert got.count(b"HTTP/1.1 200") < MAX_AHEAD  # cut off half-way, not served to the end
            s.close()


@pytest.mark.slow
@pytest.mark.covers("O2")
def test_dripping_bytes_buy_no_time(sqlite_url: str, tmp_path: Path) -> None:
    with live(sqlite_url, tmp_path, patience=HASTY) as site, socket.create_connection(("127.0.0.1", site.port)) as s:
        s.sendall(f"GET / HTTP/1.1\r\nHost: {site.host}\r\nX: ".encode())
        with pytest.raises(ConnectionError):
            _drip(s, 15)


def _drip(s: socket.socket, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        s.sendall(b"y")
        time.sleep(0.1)


def _stalled(site: Live, data: bytes) -> socket.socket:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", site.port))
    s.sendall(data.replace(b"{host}", site.host.encode()))
    return s


# ── O3: size ────────────────────────────────────────────────────────────────


@pytest.mark.covers("O3")
@pytest.mark.parametrize("path", ["/forgot", "/api/v1/recoveries", "/sign-in", "/passwords/check"])
def test_more_than_64_kb_is_refused_before_it_is_read(site: Live, path: str) -> None:
    said = site.raw(request(f"POST {path}", site.host, FORM, OURS, f"Content-Length: {MAX_BODY + 1}"))
    assert status_of(said) == 413
    chunk = b"1000\r\n" + b"a" * 4096 + b"\r\n"
    endless = request(f"POST {path}", site.host, FORM, OURS, "Transfer-Encoding: chunked", body=chunk * 17)
    kind = JSON if path in ("/api/v1/recoveries", "/passwords/check") else FORM
    assert status_of(site.raw(endless.replace(FORM.encode(), kind.encode()))) == 413


PAYLOADS = {
    "deep list": (b'{"identifier":' + b"[" * 20_000, 400),
    "deep list, whole": (b'{"identifier":' + b"[" * 20_000 + b"]" * 20_000 + b"}", 400),
    "deep list of objects": (b'{"identifier":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_001, 400),
    "many keys": (b"{" + b",".join(b'"%d":1' % n for n in range(6_000)) + b"}", 422),
    "one key many times": (b"{" + b",".join([b'"identifier":"a"'] * 3_000) + b"}", 422),
    "a long number": (b'{"identifier":' + b"9" * 60_000 + b"}", 400),
    "not UTF-8": (b'{"identifier":"\xff\xfe"}', 400),
    "a list": (b"[]", 422),
    "NaN": (b'{"identifier":NaN}', 422),
}


@pytest.mark.covers("O3")
@pytest.mark.parametrize("name", PAYLOADS)
def test_json_that_wants_to_hurt_is_a_plain_4xx(site: Live, name: str) -> None:
    body, status = PAYLOADS[name]
    before = waiting(site)
    with site.client() as client:
        for path in ("/api/v1/recoveries", "/passwords/check", "/api/v1/sign-in", "/api/v1/passwords/check"):
            r = client.post(path, content=body, headers={"content-type": "application/json"})
            assert r.status_code in (400, 422), path
        assert (
            client.post("/api/v1/recoveries", content=body, headers={"content-type": "application/json"}).status_code
            == status
        )
    assert waiting(site) == before


@pytest.mark.covers("O3")
def test_forms_with_many_fields_and_compressed_bodies_are_refused(site: Live) -> None:
    with site.client() as client:
        many = "&".join(f"f{n}=1" for n in range(5_000))
        form = {"content-type": "application/x-www-form-urlencoded"}
        assert client.post("/forgot", content=many, headers=form).status_code == 422
        for kind in ("gzip", "br", "deflate", "identity, gzip"):
            r = client.post("/forgot", content=b"x", headers={**form, "content-encoding": kind})
            assert r.status_code == 415


@pytest.mark.covers("O3")
def test_headers_are_bounded(site: Live) -> None:
    flood = request("GET /", site.host, *(f"X-{n}: {'y' * 1000}" for n in range(MAX_HEADER // 1000 + 70)))
    assert status_of(site.raw(flood)) in (0, 400, 431)  # 0: cut off while we were still sending
    long_path = request(f"GET /{'z' * (MAX_HEADER * 3)}", site.host)
    assert status_of(site.raw(long_path)) in (0, 400, 431)
    with site.client() as client:
        assert client.get("/help").status_code == 200


CHUNKED = "Transfer-Encoding: chunked"
FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.mark.covers("O3", "O5")
@pytest.mark.parametrize(
    "behind",
    [
        b"".join(b"a%d: %s\r\n" % (n, b"b" * 20) for n in range(40_000)),  # many fields behind the body
        b"a: " + b"b" * 2**20,  # one that never ends
        b"a" * 2**20,  # a name that never ends
    ],
)
def test_what_comes_behind_a_body_is_bounded(site: Live, behind: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as s:
        s.sendall(request("POST /forgot", site.host, CHUNKED, FORM, "Sec-Fetch-Site: same-origin", body=b"0\r\n"))
        with contextlib.suppress(ConnectionError):
            s.sendall(behind)
            s.sendall(b"\r\n\r\n")
        assert status_of(read_all(s)) in (0, 400, 431)  # 0: cut off while we were still sending
    with site.client() as client:
        assert client.get("/help").status_code == 200


@pytest.mark.covers("O5")
def test_a_body_in_small_pieces_with_a_field_behind_it_is_read(site: Live) -> None:
    pieces = b"".join(b"1;x=%d\r\n%c\r\n" % (n, c) for n, c in enumerate(b"identifier=someone%40example.com"))
    head = ("POST /forgot", site.host, CHUNKED, FORM, "Sec-Fetch-Site: same-origin", "Trailer: x-sum")
    answer = site.raw(request(*head, body=pieces + b"0\r\nx-sum: 1\r\ncookie: keyback-session=a\r\n\r\n"))
    assert status_of(answer) == 303


@pytest.mark.covers("O2", "O5")
def test_few_requests_of_one_connection_wait_for_others(site: Live) -> None:
    one = f"GET /healthz HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode()
    last = request("GET /healthz", site.host)
    assert site.raw(one * 9 + last).count(b"HTTP/1.1 200") == 10
    assert site.raw(one * 500 + last).count(b"HTTP/1.1 200") < 100


# ── O6: methods and types ───────────────────────────────────────────────────


@pytest.mark.covers("O6", "A-13.4.4")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/forgot", "/link/accept", "/api/v1/recoveries"])
def test_other_methods_do_nothing(site: Live, method: str, path: str) -> None:
    before = waiting(site)
    target = site.host if method == "CONNECT" else path
    said = site.raw(request(f"{method} {target}", site.host, FORM, OURS, "Content-Length: 12", body=b"identifier=a"))
    assert status_of(said) in (400, 405)
    assert b"Content-Length: 12" not in said
    assert waiting(site) == before


@pytest.mark.covers("O6")
def test_the_method_cannot_be_overridden(site: Live) -> None:
    before = waiting(site)
    with site.client() as client:
        for name in ("x-http-method-override", "x-method-override", "x-http-method"):
            assert client.get("/forgot?identifier=maya", headers={name: "POST"}).status_code == 200
        assert client.get("/forgot?_method=POST&identifier=maya").status_code == 200
        form = {"identifier": "maya", "_method": "GET"}
        assert client.post("/forgot", data=form).status_code == 422
        for path in ("/link/accept", "/link/fetch", "/sign-out", "/passwords/check"):
            assert client.get(path).status_code == 405, path
    assert waiting(site) == before


@pytest.mark.covers("O6")
@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml", "", "application/json"]
)
def test_a_form_comes_as_a_form(site: Live, kind: str) -> None:
    before = waiting(site)
    with site.client() as client:
        for path in ("/forgot", "/find", "/sign-in"):
            body = b'{"identifier":"maya@example.com"}' if "json" in kind else b"identifier=maya%40example.com"
            r = client.post(path, content=body, headers={"content-type": kind} if kind else {})
            assert r.status_code == 415, path
    assert waiting(site) == before


@pytest.mark.covers("O6")
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json", ""])
def test_the_api_takes_json_as_json(site: Live, kind: str) -> None:
    with site.client() as client:
        for path in ("/api/v1/recoveries", "/passwords/check"):
            r = client.post(path, content=b'{"identifier":"maya"}', headers={"content-type": kind} if kind else {})
            assert (r.status_code, r.headers["content-type"]) == (415, "application/problem+json"), path


@pytest.mark.covers("O6", "A-3.5.3", "R-5")
def test_head_is_get_without_its_body(site: Live) -> None:
    before = waiting(site)
    with site.client() as client:
        for path in PAGES:
            r = client.head(path)
            assert (r.status_code, r.content) == (200, b""), path
            assert r.headers["content-type"] == "text/html; charset=utf-8"
    said = site.raw(request("HEAD /help", site.host))
    assert said.endswith(b"\r\n\r\n")
    assert said.count(b"\r\n\r\n") == 1
    assert waiting(site) == before


@pytest.mark.covers("A-4.2")
@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Content-Length: 4", "Content-Length: 5"),
        ("Transfer-Encoding: xchunked",),
        ("Content-Length: -1",),
        ("Content-Length: 0x4",),
        ("Transfer-Encoding : chunked",),
    ],
)
def test_a_body_with_two_ends_is_refused(site: Live, framing: tuple[str, ...]) -> None:
    smuggled = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: " + site.host.encode() + b"\r\n\r\n"
    said = site.raw(request("POST /forgot", site.host, FORM, OURS, *framing, body=smuggled))
    assert status_of(said) in (0, 400, 413, 501)
    assert b'"status"' not in said


@pytest.mark.covers("O3", "O5")
@pytest.mark.parametrize(
    ("length", "statuses"),
    [
        ("0" * 4400 + "14", {303}), ("9" * 4400, {400, 413}), ("1" * 20, {400, 413}), ("+14", {400}), ("1_4", {400}),
        ("\u0661\u0664", {400}), ("14.0", {400}),
    ],
)  # fmt: skip
def test_a_length_of_any_number_of_digits_is_no_fault_of_ours(site: Live, length: str, statuses: set[int]) -> None:
    said = site.raw(request("POST /forgot", site.host, FORM, OURS, f"Content-Length: {length}", body=b"identifier=abc"))
    assert status_of(said) in statuses


# ── C1, C2: names of hosts ──────────────────────────────────────────────────


@pytest.mark.covers("C1")
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "{host}@evil.example", "evil.example#{host}", "{host}.evil.example",
     "127.0.0.1", "127.0.0.1:1", "", "{host}, evil.example", "{host}/", "[::1]:{port}"],
)  # fmt: skip
def test_another_host_is_not_served(site: Live, host: str) -> None:
    before = waiting(site)
    host = host.format(host=site.host, port=site.port)
    body = b"identifier=maya"
    for line in ("GET /forgot", "POST /forgot", "POST /api/v1/recoveries"):
        said = site.raw(request(line, host, FORM, OURS, f"Content-Length: {len(body)}", body=body))
        assert status_of(said) in (400, 421), (line, host)
    assert waiting(site) == before


@pytest.mark.covers("C1")
def test_two_hosts_or_none_are_not_served(site: Live) -> None:
    assert status_of(site.raw(request("GET /", site.host, "Host: evil.example"))) in (400, 421)
    assert status_of(site.raw(request("GET /", "evil.example", f"Host: {site.host}"))) in (400, 421)
    assert status_of(site.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")) in (400, 421)
    assert status_of(site.raw(b"GET / HTTP/1.0\r\n\r\n")) in (400, 421)
    absolute = site.raw(request("GET http://evil.example/forgot", site.host))
    assert b"evil.example" not in absolute


FORWARDED = (
    "X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-Host", "X-HTTP-Host-Override", "X_Forwarded_Host",
    "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Original-URL", "X-Rewrite-URL",
)  # fmt: skip


@pytest.mark.covers("C2", "C1", "A-4.1.3", "O-F5")
def test_headers_of_proxies_reach_no_link(secure: Live, mailbox: Mailbox) -> None:
    key = f"c2{time.monotonic_ns()}"
    add_person(secure, key)
    evil = dict.fromkeys(FORWARDED, "evil.example")
    evil |= {"forwarded": "host=evil.example;proto=http;for=203.0.113.9", "x-forwarded-for": "203.0.113.9"}
    with secure.client(**evil) as client:
        r = client.post("/forgot", data={"identifier": key})
        assert r.status_code == 303
        assert r.headers["location"].startswith("/r/")
        api = client.post("/api/v1/recoveries", json={"identifier": "nobody"}).json()
        pages = [client.get(p).text for p in PAGES]
        well_known = client.get("/.well-known/security.txt").text
    (mail,) = mailbox.wait_for(f"{key}@example.com")
    assert mail["links"]
    assert all(link.startswith(f"{HTTPS}/") for link in mail["links"])
    assert api["status_url"].startswith(f"{HTTPS}/api/")
    assert "evil.example" not in json.dumps(mail) + "".join(pages) + well_known
    assert "203.0.113.9" not in json.dumps(mail)


# ── headers ─────────────────────────────────────────────────────────────────

STRICT = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'none'; "
    "script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "strict-transport-security": "max-age=63072000; includeSubDomains",
}
ANSWERS = (
    ("GET", "/", 200), ("GET", "/forgot", 200), ("GET", "/find", 200), ("GET", "/help", 200), ("GET", "/privacy", 200),
    ("GET", "/accessibility", 200), ("GET", "/sign-in", 200), ("GET", "/account", 303), ("GET", "/r/none", 403),
    ("GET", "/r/none/status", 403), ("GET", "/l/none", 303), ("GET", "/link", 404), ("GET", "/stop", 410),
    ("GET", "/.well-known/change-password", 302), ("GET", "/.well-known/security.txt", 200), ("GET", "/none", 404),
    ("GET", "/healthz", 200), ("GET", "/readyz", 200), ("GET", "/api/v1/openapi.json", 200),
    ("GET", "/api/v1/none", 404),
    ("POST", "/forgot", 303), ("POST", "/find", 422), ("POST", "/api/v1/recoveries", 415), ("PUT", "/", 405),
    ("GET", "/link/accept", 405), ("POST", "/link/again", 422), ("POST", "/stop", 422), ("POST", "/sign-out", 422),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.covers(
    "A13",
    "A-3.4.1",
    "A-3.4.2",
    "A-3.4.3",
    "A-3.4.4",
    "A-3.4.5",
    "A-3.4.6",
    "A-3.4.8",
    "A-14.3.2",
    "O-F6",
    "W-8",
    "N-P15",
)
@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_answer_has_the_strict_headers_and_is_not_kept(secure: Live, method: str, path: str, status: int) -> None:
    with secure.client() as client:
        data = {"identifier": "maya"} if method == "POST" else None
        r = client.request(method, path, data=data)
    assert r.status_code == status
    assert {k: r.headers.get(k) for k in STRICT} == STRICT
    assert r.headers["cache-control"] == "no-store"
    assert {v.strip().lower() for v in r.headers["vary"].split(",")} >= {"cookie", "accept-language"}
    for unwanted in ("access-control-allow-origin", "server", "x-powered-by", "etag", "last-modified"):
        assert unwanted not in r.headers


@pytest.mark.covers("A13")
def test_only_the_look_is_kept_and_for_ever(secure: Live) -> None:
    with secure.client() as client:
        urls = re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/").text)
        assert urls
        for url in urls:
            r = client.get(url)
            assert (r.status_code, r.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
            assert "set-cookie" not in r.headers
            assert "cookie" not in r.headers["vary"].lower()
            stale = client.get(re.sub(r"/static/[0-9a-f]+/", "/static/000000000000/", url))
            assert (stale.status_code, stale.headers["cache-control"]) == (404, "no-store")


@pytest.mark.covers("K-1", "K-2", "R-9")
def test_well_known_addresses(secure: Live) -> None:
    with secure.client() as client:
        r = client.get("/.well-known/change-password")
        assert (r.status_code, r.headers["location"]) == (302, "/forgot")
        assert client.get(r.headers["location"]).status_code == 200
        missing = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
        assert client.get(missing).status_code == 404
        told = dict(line.split(": ", 1) for line in client.get("/.well-known/security.txt").text.splitlines())
        assert told["Contact"].startswith(HTTPS)
        assert told["Canonical"] == f"{HTTPS}/.well-known/security.txt"


# ── O8, CSRF ────────────────────────────────────────────────────────────────


def started(client: httpx2.Client, identifier: str = "nobody@example.com") -> str:
    r = client.post("/forgot", data={"identifier": identifier})
    assert r.status_code == 303
    return str(r.headers["location"])


@pytest.mark.covers("O8", "N-S4", "A-3.3")
def test_the_recovery_cookie_is_bound_to_this_host(secure: Live) -> None:
    with secure.client() as client:
        r = client.post("/forgot", data={"identifier": "nobody@example.com"})
        (cookie,) = r.headers.get_list("set-cookie")
        value = cookie.split(";")[0].partition("=")[2]
        parts = {p.strip().lower() for p in cookie.split(";")[1:]}
        assert cookie.startswith("__Host-keyback-recovery=")
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= parts
        assert not any(p.startswith("domain") for p in parts)
        page = r.headers["location"]

    def see(jar: str) -> int:
        with secure.client(cookie=jar) as other:
            return other.get(page).status_code

    assert see(f"__Host-keyback-recovery={value}") == 200
    # What a sibling domain can plant is the name without the prefix, which counts for nothing.
    for name in (
        "keyback-recovery",
        "__host-keyback-recovery",
        "__Secure-keyback-recovery",
        "__Host-keyback-recovery2",
    ):
        assert see(f"{name}={value}") == 403, name
    # Two of one name: one of them counts, never both, and nothing breaks.
    both = [see(f"__Host-keyback-recovery={a}; __Host-keyback-recovery={b}") for a, b in (("x", value), (value, "x"))]
    assert sorted(both) == [200, 403]


@pytest.mark.slow
@pytest.mark.covers("A-3.5.1", "A-3.5.2")
@pytest.mark.parametrize("path", POSTS)
def test_a_form_on_another_site_does_nothing(secure: Live, path: str) -> None:
    with secure.client() as client:
        r = client.post("/forgot", data={"identifier": "nobody@example.com"})
    page, jar = r.headers["location"], r.headers["set-cookie"].split(";")[0]
    before = waiting(secure)
    target = path.format(h=page.removeprefix("/r/"))
    foreign: tuple[dict[str, str], ...] = (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": HTTPS},
        {"origin": "https://evil.example"},
        {"origin": "https://recover.example.com.evil.example"},
        {"origin": "http://evil.example"},
        {},
    )
    for headers in foreign:
        with httpx2.Client(base_url=secure.url, trust_env=False) as other:
            r = other.post(target, data={"identifier": "maya"}, headers={"host": secure.host, "cookie": jar, **headers})
        assert r.status_code == 403, headers
    if path not in ("/forgot", "/find"):  # these two act for nobody whom the browser knows
        # A hidden origin counts only together with our cookie, which no foreign page can make a browser send.
        with httpx2.Client(base_url=secure.url, trust_env=False) as other:
            r = other.post(target, data={"identifier": "maya"}, headers={"host": secure.host, "origin": "null"})
        assert r.status_code == 403
    assert waiting(secure) == before


@pytest.mark.covers("A-3.5.1")
def test_our_own_page_may_post_also_from_a_browser_without_fetch_metadata(secure: Live) -> None:
    for headers in ({"sec-fetch-site": "same-origin"}, {"origin": HTTPS}):
        with httpx2.Client(base_url=secure.url, trust_env=False) as client:
            r = client.post("/forgot", data={"identifier": "maya"}, headers={"host": secure.host, **headers})
        assert r.status_code == 303


# ── C8, P6: logs ────────────────────────────────────────────────────────────


@pytest.mark.covers("C8", "L9", "A-16.2.5", "A-16.2.2")
def test_nothing_secret_is_logged_on_the_whole_way(
    sqlite_url: str, tmp_path: Path, mailbox: Mailbox, capfd: pytest.CaptureFixture[str]
) -> None:
    typed, wrong, old, query = canary(), canary(), f"{canary()} old", canary()
    with logged("debug") as log, live(sqlite_url, tmp_path, mail_port=mailbox.port) as site, site.client() as client:
        key = f"c8{time.monotonic_ns()}"
        add_person(site, key)
        page = started(client, key)
        handle = page.removeprefix("/r/")
        cookie = client.cookies["keyback-recovery"]
        (mail,) = mailbox.wait_for(f"{key}@example.com")
        client.get(f"{mail['links'][0].removeprefix(site.url)}?{query}")
        client.get("/link")
        client.post(f"{page}/code", data={"code": "00000000"})
        client.post("/sign-in", data={"identifier": typed, "password": wrong})
        client.post("/passwords/check", json={"password": old, "handle": handle})
        client.post(f"/none/{query}", data={"password": wrong})
        client.post("/api/v1/recoveries", json={"identifier": typed, "system": wrong})
        assert client.post(f"{page}/code", data={"code": mail["codes"][0]}).status_code == 303
        html = client.get(page).text
        fields = {"new_password": NEW, "submission": _value(html, "submission")}
        chosen = client.post(f"{page}/password", data={**fields, "accounts": _value(html, "accounts")})
        assert chosen.status_code == 303
        _until(lambda: "all_settled" in client.get(page).text or _signs_in(client, key, NEW))
        session = client.cookies["keyback-session"]
        client.get("/account")
        client.post("/sign-out", content=b"")
    lines = log.getvalue().splitlines()
    assert len([r for r in map(json.loads, lines) if r["event"] == "request"]) > 10
    assert all(r["at"].endswith("Z") for r in map(json.loads, lines))
    said = log.getvalue() + "".join(capfd.readouterr())
    tokens = [link.rsplit("/", 1)[1] for link in mail["links"]]
    secret = [
        handle,
        cookie,
        cookie.rpartition(".")[2],
        session,
        *tokens,
        *mail["codes"],
        NEW,
        typed,
        wrong,
        old,
        query,
    ]
    for s in (*secret, key, f"{key}@example.com", AGENT):
        assert s
        assert s not in said


def _value(html: str, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]*value="([^"]+)"', html)
    assert found, name
    return found[1]


def _signs_in(client: httpx2.Client, identifier: str, password: str) -> bool:
    return client.post("/sign-in", data={"identifier": identifier, "password": password}).status_code == 303


def _until(look: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.1)


NASTY = (
    'maya"}\r\n{"event":"forged","level":"info"}',
    "maya\x1b[2J\x1b]0;owned\x07",
    "maya\u2028forged\u2029\x0b\x0c\x85",
    "maya\\n{{7*7}}${jndi:ldap://x}%n%s",
)


@pytest.mark.covers("P6", "A-16.4.1")
def test_one_event_is_one_line_whatever_is_typed(sqlite_url: str, tmp_path: Path) -> None:
    with logged("debug") as log, live(sqlite_url, tmp_path) as site, site.client() as client:
        for text in NASTY:
            client.post("/forgot", data={"identifier": text})
            client.post("/sign-in", data={"identifier": text, "password": text})
            client.get("/forgot", params={"journey": text, "system": text, "lang": text})
            for path in ("/forgot", "/r/none", "/none"):
                agent = text.encode("utf-8").translate(None, b"\r\n\x00\x07\x0b\x0c\x1b")
                site.raw(
                    request(f"GET {path}", site.host).replace(b"\r\n\r\n", b"\r\nUser-Agent: " + agent + b"\r\n\r\n")
                )
        forged = b"GET / HTTP/1.1\r\nHost: " + site.host.encode() + b"\r\nUser-Agent: a\x1b[2J\nX: y\r\n\r\n"
        site.raw(forged + b"\xff\xff\r\n")
    lines = log.getvalue().splitlines()
    records = [json.loads(line) for line in lines]
    assert len([r for r in records if r["event"] == "request"]) >= 20
    assert not [r for r in records if r["event"] == "forged"]
    assert log.getvalue().isascii()
    assert "\x1b" not in log.getvalue()


# ── Q18: stopping ───────────────────────────────────────────────────────────

SERVE = (
    "import sys; from keyback.settings import Settings; from keyback.serving import serve; sys.exit(serve(Settings()))"
)


@pytest.mark.slow
@pytest.mark.covers("Q18")
def test_a_stop_under_load_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    url = fresh(tmp_path / "q18.sqlite")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("KEYBACK_")},
        "KEYBACK_PUBLIC_URL": base,
        "KEYBACK_LISTEN": f"127.0.0.1:{port}",
        "KEYBACK_DATA_DIR": str(tmp_path),
        "KEYBACK_DATABASE_URL": url,
        "KEYBACK_KEYRING": Keyring.fresh_line(),
        "KEYBACK_MAIL": json.dumps({"host": "127.0.0.1", "port": 1, "security": "plain", "sender": "k@example.com"}),
        "KEYBACK_LIMITS": json.dumps({"recoveries": 100_000}),
    }
    process = subprocess.Popen([sys.executable, "-c", SERVE], env=env, stderr=subprocess.PIPE, cwd=tmp_path)
    answered: list[str] = []
    go_on = threading.Event()
    try:
        _until(lambda: _alive(base, process), 60)
        threads = [threading.Thread(target=_pump, args=(base, answered, go_on)) for _ in range(6)]
        for t in threads:
            t.start()
        _until(lambda: len(answered) > 200, 60)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        go_on.set()
        for t in threads:
            t.join(10)
    finally:
        go_on.set()
        process.kill()
        process.wait()
    assert process.returncode == 0, err.decode()[-2000:]
    assert b'"event": "stopped"' in err
    engine = make_engine(url)
    with engine.connect() as c:
        kept = {r[0] for r in c.exec_driver_sql("SELECT handle FROM intakes")}
    engine.dispose()
    assert len(set(answered)) == len(answered) > 200
    assert set(answered) <= kept


def _alive(base: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    try:
        return httpx2.get(f"{base}/healthz", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


def _pump(base: str, answered: list[str], stop: threading.Event) -> None:
    """Asks until the server is gone; notes every request that was answered as taken."""
    with httpx2.Client(base_url=base, trust_env=False, timeout=10) as client:
        n: int = 0
        while not stop.is_set():
            n += 1
            try:
                if n % 2:
                    r = client.post("/api/v1/recoveries", json={"identifier": f"p{n}"})
                    handle = r.json()["handle"] if r.status_code == 202 else ""
                else:
                    r = client.post("/forgot", data={"identifier": f"p{n}"}, headers={"origin": base})
                    handle = r.headers["location"].removeprefix("/r/") if r.status_code == 303 else ""
            except httpx2.TransportError:
                return
            if handle:
                answered.append(handle)
