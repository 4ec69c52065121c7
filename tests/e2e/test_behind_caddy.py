"""Behind a real Caddy with TLS by its own authority, by the very configuration that the operations page gives."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from tests.e2e.proxies import free_ports
from tests.support.house import ROOT
from tests.support.live import Live, live, read_all, status_of

CADDY = shutil.which("caddy") or ""
EXAMPLE = ROOT / "docs" / "examples" / "Caddyfile"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CADDY, reason="caddy is not installed: apt-get install caddy"),
]
GET = "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"


@dataclass
class Site:
    keyback: Live
    port: int
    folder: Path

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def raw(self, data: str, source: str = "127.0.0.1") -> bytes:
        """Everything that Caddy answers to this over TLS, from an address of ours."""
        root = self.folder / "store" / "pki" / "authorities" / "local" / "root.crt"
        trusting = ssl.create_default_context(cafile=str(root))
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=(source, 0)) as plain,
            trusting.wrap_socket(plain, server_hostname="localhost") as s,
        ):
            s.sendall(data.encode())
            return read_all(s)


@contextlib.contextmanager
def proxied(folder: Path, port: int, upstream: int) -> Iterator[None]:
    """Runs Caddy by the example, with addresses and paths of this place."""
    here = (
        f"admin off\n skip_install_trust\n default_bind 127.0.0.1\n http_port {free_ports(1)[0]}\n https_port {port}\n"
    )
    changes = {
        "{\n\t# Mailed": f"{{\n {here} storage file_system {folder / 'store'}\n\t# Mailed",
        "127.0.0.1:8080": f"127.0.0.1:{upstream}",
        "recover.example.com {": "localhost {\n\ttls internal",
    }
    text = EXAMPLE.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    conf, log = folder / "Caddyfile", folder / "caddy.log"
    conf.write_text(text)
    own = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    with log.open("w") as out:
        process = subprocess.Popen([CADDY, "run", "--config", str(conf), "--adapter", "caddyfile"], stderr=out, env=own)
    try:
        for _ in range(400):
            assert process.poll() is None, log.read_text()
            if next((folder / "store").glob("certificates/local/localhost/*.crt"), None) is not None:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def site(tmp_path: Path, sqlite_url: str) -> Iterator[Site]:
    [port] = free_ports(1)
    url = f"https://localhost:{port}"
    with (
        live(sqlite_url, tmp_path, public_url=url, trusted_proxies=["127.0.0.1"]) as keyback,
        proxied(tmp_path, port, keyback.port),
    ):
        yield Site(keyback, port, tmp_path)


@pytest.mark.covers("O2", "O3", "C1")
def test_the_proxy_tells_who_asks_and_passes_on_what_is_for_everybody(site: Site) -> None:
    body = '{"identifier": "maya"}'
    head = f"POST /api/v1/recoveries HTTP/1.1\r\nHost: {site.host}\r\nConnection: close\r\n"
    head += "Content-Type: application/json\r\n"
    forged = f"X-Forwarded-For: 198.51.100.9\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = site.raw(head + forged + body, source="127.0.0.7")
    assert status_of(answer) == 202, answer[:400]
    handle = re.search(rb'"handle":\s*"([^"]+)"', answer)
    assert handle
    asked = site.keyback.read(lambda tx: tx.intakes.get(handle[1].decode()))
    assert asked.source == "127.0.0.7"  # not the proxy's, and not what the client claims
    assert status_of(site.raw(head + "Content-Length: 70000\r\n\r\n" + "x" * 70000)) == 413
    assert status_of(site.raw(GET.format("/readyz", site.host))) == 404
    page = site.raw(GET.format("/forgot", site.host))
    assert status_of(page) == 200
    assert b"strict-transport-security: max-age=63072000" in page.lower()


@pytest.mark.covers("C8")
def test_while_keyback_is_away_no_link_stays_in_a_log_of_the_proxy(tmp_path: Path) -> None:
    port, nobody = free_ports(2)
    with proxied(tmp_path, port, nobody):
        site = Site(cast(Live, None), port, tmp_path)
        asking = GET.format("/l/canary-1234567890abcdef", site.host)
        referer = f"Referer: https://{site.host}/r/canary-1234567890abcdef\r\n\r\n"
        assert status_of(site.raw(asking.removesuffix("\r\n") + referer)) == 502
    log = (tmp_path / "caddy.log").read_text()
    assert '"status":502' in log
    assert "canary" not in log
