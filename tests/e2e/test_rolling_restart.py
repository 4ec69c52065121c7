"""Two nodes behind a real nginx restart one after the other under load, as the operations page says: none is lost."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyback.storage.keys.keyring import Keyring
from keyback.testing.mailbox import Mailbox
from tests.e2e.proxies import NGINX, free_ports, proxied
from tests.support.house import ROOT
from tests.support.live import AGENT

SCRIPT = ROOT / "docs" / "examples" / "rolling-restart"
BODY = {"identifier": "nobody@example.com"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NGINX, reason="nginx is not installed: apt-get install nginx-light"),
]


class Node:
    """`keyback serve` on a port, in a process of its own."""

    def __init__(self, port: int, env: dict[str, str]) -> None:
        self.port, self._env = port, env | {"KEYBACK_LISTEN": f"127.0.0.1:{port}"}
        self._log = Path(env["KEYBACK_DATA_DIR"]).joinpath(f"{port}.txt").open("w")
        self.restarts = -1
        self.restart()

    def restart(self) -> None:
        if self.restarts >= 0:
            self.stop()
        self.restarts += 1
        self._process = subprocess.Popen(
            [sys.executable, "-m", "keyback.cli", "serve"], env=self._env, stderr=self._log, cwd=ROOT
        )

    def wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if httpx2.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False).status_code == 200:
                    return
            except httpx2.HTTPError:
                time.sleep(0.1)
        raise AssertionError(Path(self._log.name).read_text())

    def close(self) -> None:
        self._log.close()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        assert code == 0, Path(self._log.name).read_text()


class Load:
    """Clients that ask without a pause; what came of it."""

    def __init__(self, url: str, ca: Path) -> None:
        self._url, self._context = url, ssl.create_default_context(cafile=str(ca))
        self.found: Counter[str] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(4)]

    def _ask(self, n: int) -> None:
        while not self._over.is_set():
            # Half of them keep their connection for a while, as browsers do.
            with httpx2.Client(verify=self._context, base_url=self._url, timeout=30, trust_env=False) as client:
                for _ in range(1 if n % 2 else 50):
                    if self._over.is_set():
                        return
                    self._one(client)

    def _one(self, client: httpx2.Client) -> None:
        for method, path, more in (("GET", "/help", {}), ("POST", "/api/v1/recoveries", {"json": BODY})):
            self.found[f"{method} {self._ask_once(client, method, path, more)}"] += 1

    def _ask_once(self, client: httpx2.Client, method: str, path: str, more: dict[str, Any]) -> int | str:
        """The status. A proxy that loads its settings anew closes kept connections, perhaps in the moment a request
        sets out; clients then ask once more (RFC 9110, 9.2.2), safely even with a POST since its key is the same."""
        headers = {"user-agent": AGENT, "idempotency-key": secrets.token_hex(16)}
        for again in (True, False):
            try:
                return client.request(method, path, headers=headers, **more).status_code
            except httpx2.RemoteProtocolError as e:
                if not again:
                    return type(e).__name__
            except httpx2.HTTPError as e:
                return type(e).__name__
        raise AssertionError

    def __enter__(self) -> Load:
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for t in self._threads:
            t.join(60)


@pytest.fixture
def nodes(tmp_path: Path, sqlite_url: str) -> Iterator[tuple[int, list[Node]]]:
    port, one, other = free_ports(3)
    with Mailbox() as mailbox:
        env = {k: v for k, v in os.environ.items() if not k.startswith("KEYBACK_")} | {
            "KEYBACK_PUBLIC_URL": f"https://localhost:{port}",
            "KEYBACK_TRUSTED_PROXIES": '["127.0.0.1"]',
            "KEYBACK_DATABASE_URL": sqlite_url,
            "KEYBACK_DATA_DIR": str(tmp_path),
            "KEYBACK_KEYRING": Keyring.fresh_line(),
            "KEYBACK_MAIL__HOST": "127.0.0.1",
            "KEYBACK_MAIL__PORT": str(mailbox.port),
            "KEYBACK_MAIL__SECURITY": "plain",
            "KEYBACK_MAIL__SENDER": "keyback@example.com",
            "KEYBACK_LIMITS__RECOVERIES": "1000000",
        }
        made = [Node(one, env), Node(other, env)]
        try:
            for node in made:
                node.wait()
            yield port, made
        finally:
            for node in made:
                node.stop()
                node.close()


class Restarter:
    """What the script's RESTART talks to: it asks for the restart of a node and waits until it was done."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = {f"127.0.0.1:{n.port}": n for n in nodes}
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                s, _ = self._server.accept()
            except OSError:
                return
            with s:
                self._nodes[s.makefile().readline().strip()].restart()
                s.sendall(b"done\n")

    def close(self) -> None:
        self._server.close()


@pytest.mark.covers("Q18")
def test_a_rolling_restart_under_load_loses_nothing(tmp_path: Path, nodes: tuple[int, list[Node]]) -> None:
    port, made = nodes
    names = [f"127.0.0.1:{n.port}" for n in made]
    upstream = f"{made[0].port} max_fails=0;\n    server 127.0.0.1:{made[1].port}"
    restarter = Restarter(made)
    ask = (
        "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
        "s.sendall(sys.argv[2].encode() + b'\\n'); assert s.recv(9)"
    )
    (tmp_path / "ask.py").write_text(ask)
    with proxied(tmp_path, port, upstream):  # type: ignore[arg-type]
        env = os.environ | {
            "CONF": str(tmp_path / "nginx.conf"),
            "NGINX_PID": str(tmp_path / "pid"),
            "RELOAD": f"kill -HUP {(tmp_path / 'pid').read_text().strip()}",
            "RESTART": f'{sys.executable} {tmp_path / "ask.py"} {restarter.port} "$1"',
        }
        with Load(f"https://localhost:{port}", tmp_path / "cert.pem") as load:
            time.sleep(1)
            for _ in range(2):
                done = subprocess.run(["sh", str(SCRIPT), *names], env=env, capture_output=True, text=True, timeout=240)
                assert done.returncode == 0, done.stdout + done.stderr
                assert done.stdout.splitlines() == [f"restarted {n}" for n in names]
            time.sleep(1)
    restarter.close()
    print(dict(load.found))
    assert [n.restarts for n in made] == [2, 2]
    assert set(load.found) == {"GET 200", "POST 202"}, load.found
    assert min(load.found.values()) > 100
    assert " down" not in (tmp_path / "nginx.conf").read_text()


def test_a_node_that_does_not_come_back_stops_the_script(tmp_path: Path) -> None:
    (tmp_path / "c.conf").write_text("upstream keyback {\n    server 127.0.0.1:1 max_fails=0;\n}\n")
    (tmp_path / "pid").write_text("1")
    env = os.environ | {
        "CONF": str(tmp_path / "c.conf"), "RELOAD": "true", "RESTART": "true", "PATIENCE": "1",
        "NGINX_PID": str(tmp_path / "pid"),
    }  # fmt: skip
    run = {"env": env, "capture_output": True, "text": True, "timeout": 60}
    done = subprocess.run(["sh", str(SCRIPT), "127.0.0.1:1", "127.0.0.1:2"], **run)  # type: ignore[call-overload]
    assert done.returncode == 1
    assert "127.0.0.1:1 is not ready" in done.stderr
    assert "127.0.0.1:1 down" in (tmp_path / "c.conf").read_text()
    done = subprocess.run(["sh", str(SCRIPT), "127.0.0.1:9"], **run)  # type: ignore[call-overload]
    assert (done.returncode, "no line for 127.0.0.1:9" in done.stderr) == (1, True)
