"""Hosts and origins as proxies, load balancers and health checks really write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyback.settings import plain_origin
from keyback.web.http.edge import RequestGuard
from keyback.web.http.hosts import origin_of, place_of
from tests.support.each import each
from tests.support.live import live, request, status_of

PUBLIC = "https://recover.example.com"


@each(
    "public, host, ours",
    [
        (PUBLIC, "recover.example.com", True),
        (PUBLIC, "recover.example.com:443", True),
        (PUBLIC, "recover.example.com:0443", True),
        (PUBLIC, "recover.example.com:", True),
        (PUBLIC, "RECOVER.Example.Com", True),
        (PUBLIC, "recover.example.com.", True),
        (PUBLIC, "Recover.Example.Com.:443", True),
        (PUBLIC, "recover.example.com:80", False),  # another port is another server
        (PUBLIC, "recover.example.com:8443", False),
        (PUBLIC, "recover.example.com..", False),
        (PUBLIC, "recover.example.com:443:443", False),
        (PUBLIC, "user@recover.example.com", False),
        (PUBLIC, "recover.example.com/", False),
        (PUBLIC, "recover.example.com,evil.example", False),
        (PUBLIC, "evil.example", False),
        (PUBLIC, "", False),
        ("https://recover.example.com:443", "recover.example.com", True),
        ("https://recover.example.com.", "recover.example.com", True),
        ("https://recover.example.com:8443", "recover.example.com:8443", True),
        ("https://recover.example.com:8443", "recover.example.com", False),
        ("http://127.0.0.1", "127.0.0.1:80", True),
        ("http://127.0.0.1", "127.0.0.1:443", False),
        ("http://127.0.0.1:80", "localhost", True),
        ("https://找回.example", "xn--zbs73y.example", True),
        ("https://找回.example", "找回.example:443", True),
        ("https://xn--zbs73y.example", "找回。EXAMPLE", True),
        ("https://bücher.example", "XN--BCHER-KVA.example.", True),
        ("https://[2001:db8::1]", "[2001:DB8:0:0:0:0:0:1]:443", True),
        ("https://[2001:db8::1]", "[2001:db8::2]", False),
    ],
)
def test_hosts_are_compared_by_what_they_mean(public: str, host: str, ours: bool) -> None:
    front = RequestGuard(lambda *_: None, plain_origin(public))  # type: ignore[arg-type]
    assert front._is_ours(host.encode()) is ours
    scheme = public.partition("://")[0]
    assert front._ours("/sign-in", f"{scheme}://{host}".encode(), b"", b"") is ours


@each(
    "host", ["a b", "[::1", "[::g]", "::1", "[]", "a" * 256, "a:123456", "\ufffd", "a\u2028b", "-找.example", "?", "."]
)
def test_what_is_no_host_is_nobodys(host: str) -> None:
    assert place_of(host, "https") is None
    assert origin_of(f"https://{host}") == ("https", None)


HOSTS = ("10.0.0.5", "10.0.0.5:8080", "[fd00::5]:8080", "ip-10-0-0-5.internal", "evil.example", "")


@pytest.mark.covers("C1")
def test_health_answers_whatever_the_host_and_pages_only_to_their_own(sqlite_url: str, tmp_path: Path) -> None:
    with live(sqlite_url, tmp_path, public_url=PUBLIC) as site:
        for host in ("recover.example.com", "RECOVER.example.com.:443"):
            assert status_of(site.raw(request("GET /", host))) == 200, host
        for host in HOSTS:
            for line in ("GET /healthz", "GET /readyz", "HEAD /healthz", "GET /healthz/", "HEAD /readyz/"):
                assert status_of(site.raw(request(line, host))) == 200, (line, host)
            for line in (
                "GET /",
                "GET /healthz//",
                "GET /healthz/x",
                "GET /healthz/../",
                "POST /healthz",
                "GET /x/healthz",
            ):
                assert status_of(site.raw(request(line, host))) in (400, 421), (line, host)
        assert status_of(site.raw(b"GET /healthz HTTP/1.0\r\n\r\n")) == 200
        assert status_of(site.raw(b"GET /readyz HTTP/1.0\r\n\r\n")) == 200
        assert status_of(site.raw(b"GET / HTTP/1.0\r\n\r\n")) == 421
        said = site.raw(request("GET /readyz", "evil.example"))
        assert b"evil" not in said
