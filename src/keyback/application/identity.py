"""What is known about the far end of a request, reduced to words that are safe to show and to store."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache

MAX_AGENT = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: the network address (after trusted proxies), the browser's own words, cut, and the
    cookie by which it is known once somebody signed in with it (a secret). `near`: from a network that the policy names
    as known for everybody."""

    source: str
    agent: str = ""
    device: str = field(default="", repr=False)
    near: bool = False


def clean_agent(agent: str) -> str:
    """Printable ASCII only, at most 200 characters."""
    return "".join(c for c in agent[: MAX_AGENT * 2] if " " <= c <= "~")[:MAX_AGENT]


@lru_cache(maxsize=4096)
def device_words(agent: str) -> str:
    """`Windows, Chrome` out of a user agent; empty when it tells nothing. Only names from the parser's own list."""
    from ua_parser import parse_os, parse_user_agent

    system, browser = parse_os(agent), parse_user_agent(agent)
    words = [w.family for w in (system, browser) if w and w.family and w.family != "Other"]
    return ", ".join(w for w in words if all(c.isalnum() or c in " .+-/" for c in w))[:60]


@lru_cache(maxsize=4096)
def network_of(source: str) -> str:
    """The name under which a source is limited: the IPv4 address, or the /64 of an IPv6 one."""
    try:
        ip = ipaddress.ip_address(source)
    except ValueError:
        return "unknown"
    if ip.version == 6:
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
