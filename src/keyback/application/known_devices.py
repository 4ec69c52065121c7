"""Browsers that somebody signed in with, known again by a cookie of their own for half a year; and their networks."""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from keyback.application.origin import Origin, network_of
from keyback.application.ports.storage import Tx
from keyback.domain.people.factor import Device
from keyback.domain.tokens import token_digest
from keyback.domain.units import HOUR

LIFE = 180 * 24 * HOUR
NETWORK_LIFE = 30 * 24 * HOUR  # a network counts as known this long after a sign-in from it
LENGTH = 43  # characters of 32 bytes in base64url


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of the far end of a request about one person: whether they signed in with this browser, and from
    this network."""

    device: bool = False
    network: bool = False
    seen_at: int = field(default=0, compare=False)  # when they last signed in with this browser
    near: bool = field(default=False, compare=False)  # a network that the policy knows for everybody

    @property
    def somewhere_new(self) -> bool:
        """Whether nothing of it is known."""
        return not (self.device or self.network or self.near)


def remember(tx: Tx, person_id: str, origin: Origin) -> str:
    """Notes that a person signed in fully with this browser; the value for its cookie, a new one each time.

    What the browser had before is good for nothing any more, for nobody: whoever sat there earlier may have kept it,
    and must not be taken for the one who signs in now, nor the other way round (E6).

    Args:
        origin: with the cookie that the browser has already.
    """
    cookie = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
    words, source = origin.agent, origin.source[:45]
    new = Device(token_digest(cookie), person_id, words, source, tx.now, tx.now, tx.now + LIFE)
    tx.devices.remember(new, token_digest(origin.device) if len(origin.device) == LENGTH else b"")
    return cookie


def standing(tx: Tx, person_id: str, origin: Origin, networks: Sequence[str] = ()) -> Standing:
    """What is known of where a request about a person comes from: one answer for waits, holds and warnings (K15)."""
    return known(tx, person_id, origin.device, origin, networks)


def known(tx: Tx, person_id: str, cookie: str, origin: Origin, networks: Sequence[str] = ()) -> Standing:
    """Whether a person signed in with this browser, or from its network in the last 30 days.

    Costs one statement, for a person that is none (an empty id) too (L10).

    Args:
        cookie: by which the browser says it is known; empty where it says nothing.
        networks: CIDRs that count as known for everybody.
    """
    own = tx.devices.of_person(person_id)
    digest, here = token_digest(cookie), network_of(origin.source)
    lately = {network_of(d.source) for d in own if d.seen_at > tx.now - NETWORK_LIFE}
    near = here in lately - {"unknown"} or within(origin.source, tuple(networks))
    this = next((d for d in own if d.digest == digest), None)
    return Standing(this is not None, near, this.seen_at if this else 0, origin.near)


@lru_cache(maxsize=4096)
def within(source: str, networks: tuple[str, ...]) -> bool:
    """Whether an address is in one of these networks (CIDRs)."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(n, strict=False) for n in networks)
