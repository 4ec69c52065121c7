"""What installed packages bring by entry points: connectors, gateways for SMS and chat messages, and proofs.

`keyback.connectors` names a factory `make(name, title, options) -> Connector`, `keyback.gateways` a factory
`make(options, clock) -> Gateway` (see `channels/gateways/base.py`). `options` are the further keys of the table in
`keyback.toml`, `clock` gives now in ms. `keyback.proofs` names a factory `make(gate, public_url) -> Proof`; the setting
`proofs` switches it on. Prove them with the contract suites in `keyback.testing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from keyback.application.ports.connectors import Connector
from keyback.application.ports.hashing import PasswordHasher
from keyback.application.ports.proofs import Proof

GROUP = "keyback.connectors"
GATEWAYS = "keyback.gateways"
PROOFS = "keyback.proofs"
Factory = Callable[[str, str, Mapping[str, Any]], Connector]


def foreign_factory(kind: str) -> Factory | None:
    """The factory of a kind that Keyback itself does not know; None when no package brings it."""
    found = list(entry_points(group=GROUP, name=kind))
    return found[0].load() if found else None


def foreign_gateway(kind: str) -> Callable[[Mapping[str, Any], Callable[[], int]], Any] | None:
    """As `foreign_factory`, for a gateway."""
    found = list(entry_points(group=GATEWAYS, name=kind))
    return found[0].load() if found else None


def foreign_proof(name: str) -> Callable[[PasswordHasher, str], Proof] | None:
    """As `foreign_factory`, for a proof."""
    found = list(entry_points(group=PROOFS, name=name))
    return found[0].load() if found else None
