"""What proxies and load balancers write into X-Forwarded-For."""

from __future__ import annotations

from typing import Any

from keyback.web.http.proxies import Proxies
from tests.support.each import each


def source(header: str, peer: str = "10.0.0.7", *trusted: str) -> str:
    scope: dict[str, Any] = {"client": (peer, 1), "headers": [(b"x-forwarded-for", header.encode("latin-1"))]}
    return Proxies(trusted or ("10.0.0.0/8",)).source(scope)


@each(
    "header, found",
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:50412", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:50412", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9:1, 10.0.0.8:443", "203.0.113.9"),
        ("198.51.100.1, unknown, 10.0.0.8", "10.0.0.8"),  # nothing before what cannot be read is believed
        ("198.51.100.1, 203.0.113.9:99999999", "10.0.0.7"),
        ("198.51.100.1, [203.0.113.9", "10.0.0.7"),
        ("203.0.113.9, ", "203.0.113.9"),
        ("203.0.113.9, , 10.0.0.8,\t", "203.0.113.9"),
        (", ,", "10.0.0.7"),
        ("", "10.0.0.7"),
    ],
)
def test_addresses_with_ports_and_brackets(header: str, found: str) -> None:
    assert source(header) == found


def test_a_proxy_is_trusted_however_its_address_is_written() -> None:
    assert source("203.0.113.9", "::ffff:10.0.0.7") == "203.0.113.9"
    assert source("203.0.113.9", "2001:DB8::7", "2001:db8::/32") == "203.0.113.9"
    assert source("203.0.113.9", "192.0.2.1") == "192.0.2.1"
