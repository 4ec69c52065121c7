"""Which host a request is for: names and ports are compared by what they mean, not by how they are written (B10).

Proxies, load balancers and people write the same address in many ways: with the usual port, with the dot that ends a
name, in capitals, an international name in either form (RFC 9110 sections 4.2.3 and 7.2, RFC 3986 section 3.2.2,
RFC 5891).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import idna

PORTS = {"http": 80, "https": 443}
MAX_NAME = 255
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\\\s]+)(?::([0-9]{0,5}))?\Z")
Place = tuple[str, int]


@lru_cache(maxsize=512)
def place_of(authority: str, scheme: str) -> Place | None:
    """Host and port that an authority means: the host as an A-label or a plain address, the scheme's port if unnamed.

    Args:
        authority: what a Host header holds, or an origin after its scheme.
        scheme: `http` or `https`.

    Returns:
        None for what is no host, or names a user.
    """
    found = _AUTHORITY.match(authority.strip(" \t")) if len(authority) <= MAX_NAME else None
    host = _plain(found[1]) if found else ""
    if not found or not host:
        return None
    return host, int(found[2] or PORTS[scheme])


def origin_of(text: str) -> tuple[str, Place | None]:
    """Scheme and place of an Origin header; the place is None where it is no origin of the web."""
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    return scheme, place_of(rest, scheme) if scheme in PORTS else None


def _plain(host: str) -> str:
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            return ""
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except ValueError:
            return ""
    return host.lower().removesuffix(".")
