"""The ledger against the contract of connectors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from keyback_samples.ledger import Ledger

from keyback.testing.connector_harness import OLD, Traits
from keyback.testing.connectors import ConnectorContract


class Books:
    """The ledger's own side: its file."""

    traits = Traits(policy=True, network=False, counts=False)

    def __init__(self, file: Path) -> None:
        self._file = file
        file.write_text("{}", "utf-8")
        self.connector = Ledger.from_options("ledger", "Ledger", {"file": str(file)})

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        users = json.loads(self._file.read_text("utf-8"))
        key = str(len(users) + 1)
        users[key] = {"name": username, "mail": mail, "password": OLD, "admin": privileged, "gone": disabled}
        self._file.write_text(json.dumps(users), "utf-8")
        return key

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        users = json.loads(self._file.read_text("utf-8")).values()

        async def alive() -> bool:
            return True

        return alive if any((u["name"], u["password"]) == (username, password) for u in users) else None


class TestLedger(ConnectorContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Books:
        return Books(tmp_path / "ledger.json")
