"""Connections of one address: nobody holds them all (O2)."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyback.web.http.proxies import Proxies
from keyback.web.http.server import Doorkeeper
from tests.support.live import Live, live, logged, read_all, request, status_of

MOST = 10


@contextlib.contextmanager
def idle(site: Live, count: int, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """Connections that say nothing; the server has seen each, as it has answered one after them."""
    with contextlib.ExitStack() as held:
        socks = [held.enter_context(connected(site, source)) for _ in range(count)]
        assert asked(site, "127.0.0.9") == 200
        yield socks


def connected(site: Live, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.port), timeout=10, source_address=(source, 0))


def asked(site: Live, source: str) -> int:
    """The status that a request from this address gets."""
    with connected(site, source) as s:
        with contextlib.suppress(ConnectionError):
            s.sendall(request("GET /healthz", site.host))
        return status_of(read_all(s))


@pytest.mark.slow
@pytest.mark.covers("O2", "INV-I10")
def test_one_address_that_holds_all_it_may_keeps_nobody_else_out(sqlite_url: str, tmp_path: Path) -> None:
    here = live(sqlite_url, tmp_path, worker=False, connections_per_address=MOST)
    with logged("info") as log, here as site, idle(site, MOST) as socks:
        assert [asked(site, "127.0.0.1") for _ in range(3)] == [503, 503, 503]
        assert [asked(site, f"127.0.0.{n}") for n in (2, 3, 4)] == [200, 200, 200]
        socks[0].sendall(request("GET /healthz", site.host))
        assert status_of(read_all(socks[0])) == 200, "one that is in, stays in"
        assert asked(site, "127.0.0.1") == 200, "and makes room when it is over"
        assert asked(site, "127.0.0.1") == 200
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    assert len([r for r in told if r["event"] == "address_full"]) == 1
    assert "127.0.0.1:" not in "".join(str(r) for r in told if r["event"] == "address_full")


@pytest.mark.covers("O2")
def test_a_trusted_proxy_may_hold_as_many_as_it_brings(sqlite_url: str, tmp_path: Path) -> None:
    more = {"connections_per_address": MOST, "trusted_proxies": ["127.0.0.0/30"]}
    with live(sqlite_url, tmp_path, worker=False, **more) as site, idle(site, 3 * MOST):
        assert asked(site, "127.0.0.1") == 200
        with idle(site, MOST, "127.0.0.8"):
            assert asked(site, "127.0.0.8") == 503


@pytest.mark.covers("O2")
@pytest.mark.parametrize(
    ("addresses", "same"),
    [
        (["203.0.113.7", "203.0.113.7"], True), (["203.0.113.7", "203.0.113.8"], False),
        (["2001:db8::1", "2001:db8::ffff:1"], True), (["2001:db8:0:1::1", "2001:db8:0:2::1"], False),
        (["203.0.113.7", "::ffff:203.0.113.7"], True), (["fe80::1%eth0", "fe80::2%eth1"], True),
    ],
)  # fmt: skip
def test_what_counts_as_one_address(addresses: list[str], same: bool) -> None:
    door = Doorkeeper(1)
    first = door.enter(addresses[0])
    assert first
    second = door.enter(addresses[1])
    assert (second is None) is same
    door.leave(first)
    assert door.enter(addresses[0]) == first


@pytest.mark.covers("O2", "D7")
@pytest.mark.parametrize(
    ("pattern", "most"),
    [("2001:db8:0:{:x}::1", 20), ("2001:db8:0:{:x}00::1", 40), ("2001:db8:{:x}::1", 500), ("203.0.113.{}", 250)],
)
def test_networks_around_an_ipv6_address_count_too(pattern: str, most: int) -> None:
    door = Doorkeeper(MOST)
    entered = [door.enter(pattern.format(n % 250)) for n in range(500)]
    held = [name for name in entered if name is not None]
    assert len(held) == (500 if most >= 250 else most)
    for name in held:
        door.leave(name)
    assert door.enter(pattern.format(1)), "who left makes room, in the networks around too"


def test_whoever_has_no_address_or_is_a_proxy_is_not_counted() -> None:
    exempt: Callable[[str], bool] = Proxies(["10.0.0.0/8", "2001:db8::/32"]).trusts
    door = Doorkeeper(1, exempt)
    for address in ("", "10.1.2.3", "2001:db8::9", "::ffff:10.1.2.3"):
        assert [door.enter(address) for _ in range(3)] == ["", "", ""]
    assert [door.enter("192.0.2.1") is None for _ in range(3)] == [False, True, True]
