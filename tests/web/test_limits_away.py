"""Limits that several nodes share, on a real server that goes away and comes back (D13)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyback.settings import Unsafe
from keyback.settings_sections import Limits
from keyback.web.http.rate_limits import Limiter
from tests.support.live import add_person, canary, live, logged

REDIS = shutil.which("valkey-server") or shutil.which("redis-server") or ""
SIGN_IN = {"identifier": "maya", "password": "not the right one"}


class Redis:
    """A server of our own; `start` and `stop` as often as it takes."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen([REDIS, *options], stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    if not REDIS:
        pytest.skip("no Valkey or Redis: apt-get install redis-server")
    made = Redis(tmp_path)
    made.start()
    yield made
    made.stop()


def asked(client: httpx2.Client) -> int:
    return client.post("/api/v1/recoveries", json={"identifier": "maya"}).status_code


def signed(client: httpx2.Client) -> int:
    return client.post("/api/v1/sign-in", json=SIGN_IN).status_code


@pytest.mark.slow
@pytest.mark.covers("D13", "A-16.5.3", "A-16.3.4", "A-2.4.1")
def test_two_nodes_share_limits_and_without_them_no_secret_is_checked(
    make_database: Callable[[str], str], tmp_path: Path, redis: Redis
) -> None:
    limits = {"recoveries": 5, "proofs": 5, "sign_ins": 5, "checks": 5}
    over: dict[str, Any] = {"valkey_url": f"redis://127.0.0.1:{redis.port}/0", "limits": limits}
    url = make_database("sqlite")
    with live(url, tmp_path, **over) as one, live(url, tmp_path, worker=False, **over) as two, logged() as log:
        add_person(one, "maya")
        with one.client() as first, two.client() as second:
            ready = first.get("/readyz")
            assert (ready.status_code, ready.json()["status"], ready.json()["limits"]) == (200, "ok", "ok")
            assert [asked(c) for c in (first, second) * 3] == [202] * 5 + [429]
            assert signed(first) == 401
            redis.stop()
            ready = second.get("/readyz")
            assert (ready.status_code, ready.json()["status"], ready.json()["limits"]) == (200, "degraded", "down")
            assert [asked(first) for _ in range(8)] == [202] * 8  # for comfort only: goes on
            answer = first.post("/api/v1/sign-in", json=SIGN_IN)
            assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
                503,
                "unavailable",
                "5",
            )
            page = first.post("/sign-in", data=SIGN_IN)
            assert (page.status_code, page.headers["retry-after"]) == (503, "5")
            redis.start()
            assert second.get("/readyz").json()["status"] == "ok"
            assert (asked(first), signed(second)) == (202, 401)
    assert "limits_down" in log.getvalue()


@pytest.mark.covers("D13")
def test_a_server_that_takes_connections_and_says_nothing_is_not_waited_for_long(
    sqlite_url: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"valkey://127.0.0.1:{mute.getsockname()[1]}"
        with live(sqlite_url, tmp_path, valkey_url=url) as site, site.client() as client:
            assert asked(client) == 202
            assert signed(client) == 503
            assert client.get("/readyz").json()["limits"] == "down"


def test_without_valkey_readiness_says_nothing_of_it(sqlite_url: str, tmp_path: Path) -> None:
    with live(sqlite_url, tmp_path) as site, site.client() as client:
        assert "limits" not in client.get("/readyz").json()


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "valkey://", "memcached://127.0.0.1", "valkey://:SECRET@x:port"])
def test_an_address_that_is_none_is_named_without_its_password(url: str) -> None:
    secret = canary()
    with pytest.raises(Unsafe, match="valkey_url") as told:
        Limiter(Limits(), url.replace("SECRET", secret))
    assert secret not in str(told.value)
