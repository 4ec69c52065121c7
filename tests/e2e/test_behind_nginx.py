"""Behind a real nginx with TLS and HTTP/2, by the very configuration that the operations page gives."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, expect

from keyback.testing.mailbox import Mailbox
from tests.e2e.proxies import NGINX, free_ports, proxied
from tests.e2e.steps import ask, choose
from tests.support.live import Live, add_person, live, read_all, status_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NGINX, reason="nginx is not installed: apt-get install nginx-light"),
]


@dataclass
class Site:
    keyback: Live
    mailbox: Mailbox
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


def raw(site: Site, data: bytes, source: str = "127.0.0.1") -> bytes:
    """Everything that nginx answers to these bytes over TLS, from an address of ours."""
    trusting = ssl.create_default_context(cafile=str(site.log.with_name("cert.pem")))
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=20, source_address=(source, 0)) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as s,
    ):
        s.sendall(data)
        return read_all(s)


@pytest.fixture
def site(tmp_path: Path, sqlite_url: str) -> Iterator[Site]:
    [port] = free_ports(1)
    over: dict[str, Any] = {"public_url": f"https://localhost:{port}", "trusted_proxies": ["127.0.0.1"]}
    with (
        Mailbox() as mailbox,
        live(sqlite_url, tmp_path, mail_port=mailbox.port, **over) as keyback,
        proxied(tmp_path, port, keyback.port),
    ):
        yield Site(keyback, mailbox, port, tmp_path / "keyback.log")


def test_a_recovery_through_tls_and_http2_leaves_no_secret_in_the_proxys_log(site: Site, browser: Browser) -> None:
    add_person(site.keyback, "maya")
    context = browser.new_context(base_url=site.url, ignore_https_errors=True)
    page = context.new_page()
    handle = ask(page, "maya")
    assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    assert {c["name"] for c in context.cookies() if c["secure"]} == {c["name"] for c in context.cookies()} != set()
    assert any(c["name"].startswith("__Host-") for c in context.cookies())
    link = next(x for x in site.mailbox.wait_for("maya@example.com")[0]["links"] if "/l/" in x)
    assert link.startswith(f"{site.url}/l/")
    page.goto(link)
    page.locator("form[action='/link/accept'] button").click()
    expect(page.locator("#new_password")).to_be_visible()
    choose(page)
    page.locator(".systems").wait_for()
    context.close()
    log = site.log.read_text()
    assert "GET /l/... 303" in log
    assert handle not in log
    assert link.rsplit("/", 1)[1] not in log


@pytest.mark.covers("O2", "O3", "C1")
def test_the_proxy_tells_who_asks_and_bounds_what_it_passes_on(site: Site) -> None:
    host = f"localhost:{site.port}"
    body = b'{"identifier": "maya"}'
    head = "POST /api/v1/recoveries HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    forged = f"X-Forwarded-For: 198.51.100.9\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = raw(site, (head.format(host) + forged).encode() + body, source="127.0.0.7")
    assert status_of(answer) == 202, answer[:400]
    handle = re.search(rb'"handle":\s*"([^"]+)"', answer)
    assert handle
    asked = site.keyback.read(lambda tx: tx.intakes.get(handle[1].decode()))
    assert asked.source == "127.0.0.7"  # not the proxy's, and not what the client claims
    large = (head.format(host) + "Content-Length: 70000\r\n\r\n").encode() + b"x" * 70000
    assert status_of(raw(site, large)) == 413
    get = "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"
    assert status_of(raw(site, get.format("/", "evil.example").encode())) in (400, 421)
    assert status_of(raw(site, get.format("/readyz", host).encode())) == 200
    assert status_of(raw(site, get.format("/readyz", host).encode(), source="127.0.0.7")) == 403
    page = raw(site, get.format("/forgot", host).encode())
    assert status_of(page) == 200
    assert b"strict-transport-security: max-age=63072000" in page.lower()


@pytest.mark.covers("O2", "O3")
def test_one_address_has_two_hundred_requests_under_way_and_no_more(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with contextlib.ExitStack() as open_:
        silent = open_.enter_context(socket.create_server(("127.0.0.1", 0), backlog=400))  # answers nothing
        open_.enter_context(proxied(tmp_path, port, silent.getsockname()[1]))
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))

        silent.settimeout(20)

        def ask_from(source: str) -> ssl.SSLSocket:
            plain = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))
            s = open_.enter_context(trusting.wrap_socket(plain, server_hostname="localhost"))
            s.sendall(f"GET /forgot HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            return s

        def passed_on() -> None:
            open_.enter_context(silent.accept()[0])

        for _ in range(200):
            ask_from("127.0.0.1")
            passed_on()
        assert b" 503 " in ask_from("127.0.0.1").recv(100)
        ask_from("127.0.0.7")
        passed_on()


@pytest.mark.covers("C8")
def test_while_keyback_is_away_no_link_stays_in_a_log_of_the_proxy(tmp_path: Path) -> None:
    port, nobody = free_ports(2)
    with proxied(tmp_path, port, nobody):
        site = Site(cast(Live, None), cast(Mailbox, None), port, tmp_path / "keyback.log")
        get = "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"
        assert status_of(raw(site, get.format("/l/canary-1234567890abcdef", f"localhost:{port}").encode())) == 502
    assert "GET /l/... 502" in site.log.read_text()
    assert not any("canary" in p.read_text("latin-1") for p in tmp_path.iterdir() if p.is_file())
