"""A Keyback without faces, its clock, and people to put in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from keyback.application.ports.storage import Imported, ImportedAccount
from keyback.application.services import Services
from keyback.settings import Settings

T = TypeVar("T")


@dataclass
class Clock:
    """An injectable clock in ms."""

    now: int = 1_795_000_000_000

    def __call__(self) -> int:
        return self.now

    def forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        self.now += int((hours * 3600 + minutes * 60 + seconds) * 1000)


def person(
    key: str, *mails: str, locale: str = "en", tier: Any = "standard", state: Any = "active", **account: Any
) -> Imported:
    """A person with one built-in account named like the key."""
    values = {"system": "builtin", "external_id": key, "username": key, **account}
    return Imported(
        key, key.title(), locale, tier, state, mails or (f"{key}@example.com",), (ImportedAccount(**values),)
    )


@dataclass
class Kit:
    """A Keyback without faces: settings, parts, clock and a loop to run them in."""

    settings: Settings
    services: Services
    clock: Clock
    runner: asyncio.Runner = field(repr=False)

    def run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.runner.run(wait())

    def write(self, fn: Callable[[Any], T]) -> T:
        return self.run(self.services.db.write(fn))

    def read(self, fn: Callable[[Any], T]) -> T:
        return self.run(self.services.db.read(fn))
