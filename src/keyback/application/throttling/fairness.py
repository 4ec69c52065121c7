"""Whose turn it is: nobody's requests hold up everybody else's (Q11).

Each request is given a turn when it is written down, and the worker takes what waits in the order of turns. A network
that asks now and then has its turn at once. One that asks for more than its pace gets each further turn later than the
last, so that whoever asks from elsewhere comes before most of it. Turns are an order and no delay: while nothing else
waits, later turns are taken at once. It is Virtual Clock (Zhang, SIGCOMM 1990) over networks and the wider ones that
hold them; it looks nothing up, and a node keeps only what lies ahead.
"""

from __future__ import annotations

import ipaddress
import threading
from functools import lru_cache

# Prefix length and pace (ms between turns), narrow first: what one customer of a provider has, and one provider.
PACES = {4: ((24, 1_000), (16, 100)), 6: ((56, 1_000), (32, 100))}
BITS = {4: 32, 6: 128}
Network = tuple[int, int, int]  # version, prefix length, prefix
UNKNOWN: Network = (0, 0, 0)
AHEAD = 15 * 60_000  # how late a turn may be (ms): a network is forgiven after as long
MAX_NETWORKS = 50_000  # networks that are remembered at once
FRESH = 5  # of each so many that are taken, one is the newest of all, whoever asks from however many networks


@lru_cache(maxsize=4096)
def networks(source: str) -> tuple[tuple[Network, int], ...]:
    """The networks that an address lies in, each with its pace in ms."""
    try:
        ip = ipaddress.ip_address(source)
    except ValueError:
        return ((UNKNOWN, PACES[4][0][1]),)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    number, version = int(ip), ip.version
    return tuple(((version, n, number >> (BITS[version] - n)), pace) for n, pace in PACES[version])


class Turns:
    """Gives turns. One for each node; may be used by several threads."""

    def __init__(self) -> None:
        self._next: dict[Network, int] = {}
        self._lock = threading.Lock()

    def take(self, source: str, now: int) -> int:
        """The turn (ms) of a request from this address; `now` for whoever asks for little."""
        with self._lock:
            mine = networks(source)
            turn = max(now, *(self._next.get(name, 0) for name, _ in mine))
            turn = min(turn, now + AHEAD)
            for name, pace in mine:
                self._next[name] = min(max(self._next.get(name, 0), now) + pace, now + AHEAD)
            if len(self._next) > MAX_NETWORKS:
                self._forget(now)
            return turn

    def _forget(self, now: int) -> None:
        """Those whose next turn has come are as good as new; of the others half, if there are still too many."""
        ahead = sorted(((at, name) for name, at in self._next.items() if at > now), reverse=True)
        self._next = {name: at for at, name in ahead[: MAX_NETWORKS // 2]}


def behind(asked_at: int, turn: int, now: int) -> int:
    """The turn of what follows from a request: as far behind as the request's own was."""
    return now + max(0, turn - asked_at)
