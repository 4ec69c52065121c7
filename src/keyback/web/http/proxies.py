"""Where a request came from; headers of proxies count only from addresses that the configuration trusts (A-4.1.3)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from starlette.types import Scope

from keyback.application.origin import plain_address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d{1,5})?|(\d+\.\d+\.\d+\.\d+):\d{1,5}")


def address_in(hop: str) -> str | None:
    """The address in one entry of X-Forwarded-For, None where there is none.

    Some proxies add the port, brackets or quotes. IPv4 within IPv6 is IPv4. An address with a zone is none of the
    internet's, and a zone may hold any text.
    """
    bare = hop.strip().strip('"')
    found = _WITH_PORT.fullmatch(bare)
    address = (found[1] or found[2]) if found else bare
    return None if "%" in address else plain_address(address) or None


class Proxies:
    """Args:
    trusted: addresses or networks of reverse proxies, such as `127.0.0.1` or `10.0.0.0/8`.

    Raises:
        ValueError: one of them is not an address.
    """

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._trusted: tuple[Network, ...] = tuple(ipaddress.ip_network(t, strict=False) for t in trusted)

    def source(self, scope: Scope) -> str:
        """The network address of the client: the last one in X-Forwarded-For that is not a trusted proxy's."""
        client = scope.get("client")
        peer = plain_address(client[0]) if client else ""
        if not self.trusts(peer):
            return peer
        hops = [v for k, v in scope["headers"] if k == b"x-forwarded-for"]
        for raw in reversed(b",".join(hops).decode("latin-1").split(",")[-20:]):
            if not raw.strip(" \t"):
                continue  # an empty element of a list says nothing (RFC 9110 section 5.6.1.2)
            hop = address_in(raw)
            if hop is None:
                return peer
            if not self.trusts(hop):
                return hop
            peer = hop
        return peer

    def trusts(self, address: str) -> bool:
        """Whether an address is a trusted proxy's."""
        plain = plain_address(address) if self._trusted else ""
        if not plain:
            return False
        ip = ipaddress.ip_address(plain)
        return any(ip in net for net in self._trusted)
