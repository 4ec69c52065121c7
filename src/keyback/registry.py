"""Connectors that installed packages bring by the entry point group `keyback.connectors`.

An entry point names a factory `make(name, title, options) -> Connector`, where `options` are the keys of the system's
table in `keyback.toml`. Prove one with the contract suite in `keyback.testing.connectors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from keyback.application.ports import Connector

GROUP = "keyback.connectors"
Factory = Callable[[str, str, Mapping[str, Any]], Connector]


def foreign_factory(kind: str) -> Factory | None:
    """The factory of a kind that Keyback itself does not know; None when no package brings it."""
    found = list(entry_points(group=GROUP, name=kind))
    return found[0].load() if found else None
