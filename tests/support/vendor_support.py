"""What the tests of the vendors' fakes share: time, and the names of the contract beside those of the fake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keyback.demo.vendors.vendor import Vendor
from tests.support.held import read

VERBS = frozenset({"get", "post", "put", "patch", "delete"})


class Clock:
    """Time that tests move; ms."""

    def __init__(self, now: int = 1_795_800_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def document(name: str) -> Mapping[str, Any]:
    return read(name)


def named(name: str) -> set[tuple[str, str]]:
    """(method, path) of everything that the contract names."""
    paths = document(name)["paths"]
    return {(verb.upper(), path) for path, methods in paths.items() for verb in VERBS & set(methods)}


def answered(fake: Vendor) -> set[tuple[str, str]]:
    """(method, path) of everything that the fake's API answers."""
    routes = [(verb, re.sub(r":\w+}", "}", r.path)) for r in fake.routes for verb in r.methods or ()]
    return {(verb, path) for verb, path in routes if verb != "HEAD"}
