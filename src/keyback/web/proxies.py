"""Where a request came from; headers of proxies count only from addresses that the configuration trusts (A-4.1.3)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.types import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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
        peer = client[0] if client else ""
        if not self._trusted or not self._trusts(peer):
            return peer
        hops = [v for k, v in scope["headers"] if k == b"x-forwarded-for"]
        for raw in reversed(b",".join(hops).decode("latin-1").split(",")[-20:]):
            hop = raw.strip()
            try:
                ipaddress.ip_address(hop)
            except ValueError:
                return peer
            if not self._trusts(hop):
                return hop
            peer = hop
        return peer

    def _trusts(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in net for net in self._trusted)
