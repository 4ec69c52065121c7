"""`keyback check` asks every system by its connector's own check, and names the system and its keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from keyback.application.ports.connectors import CheckLine
from keyback.cli import check_systems
from keyback.connectors.base import ConnectorBase


class Checked(ConnectorBase):
    name = title = "crm"

    def __init__(self, *lines: CheckLine, raises: Exception | None = None, hangs: bool = False) -> None:
        self._lines, self._raises, self._hangs = lines, raises, hangs

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        if self._hangs:
            await asyncio.Event().wait()
        if self._raises:
            raise self._raises
        return self._lines


def asked(*lines: CheckLine, **more: Any) -> Any:
    return asyncio.run(check_systems._asked("crm", Checked(*lines, **more)))


def test_the_gravest_line_decides_and_the_keys_are_named() -> None:
    fine = CheckLine("reach", "ok", "answers")
    missing = CheckLine("permission", "bad", "may not unlock", ("unlock",), "Give it the role.")
    found = asked(fine, CheckLine("clock", "warn", "two minutes ahead"), missing)
    assert (found.name, found.status) == ("system crm", "bad")
    assert found.detail == "permission: may not unlock (no unlock); clock: two minutes ahead"
    assert found.next == "Give it the role. Keys: systems.crm. All of it: keyback connector test crm"
    assert asked(fine) == check_systems.Result("system crm", "ok", "answers")


def test_one_that_hangs_or_breaks_off_is_named_and_leaves_out_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_systems, "PATIENCE_S", 0.01)
    hung = asked(hangs=True)
    assert (hung.status, hung.detail) == ("bad", "does not answer")
    assert "systems.crm.url" in hung.next
    broken = asked(raises=RuntimeError("canary-4711"))
    assert (broken.status, broken.detail) == ("bad", "its check broke off (RuntimeError)")
    assert "canary" not in repr(broken)
