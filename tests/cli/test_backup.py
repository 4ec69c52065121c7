"""`keyback backup` and `restore`."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from keyback.settings import Settings
from keyback.storage.keys.keyring import Keyring
from tests.support.commands import Keyback, case_id, on_services, sql

__all__ = ["case_id"]


@pytest.mark.covers("C-9")
def test_a_backup_is_made_while_running_and_put_back_when_not(place: Path, case_id: str, keyback: Keyback) -> None:
    async def work(s: Any) -> None:
        assert await s.db.read(lambda tx: tx.now)  # it is open
        said = await asyncio.to_thread(keyback, "backup", "one.sqlite")
        assert "whole" in said.output
        said = await asyncio.to_thread(keyback, "restore", "one.sqlite", "--yes", code=1)
        assert "in use" in said.stderr

    on_services(work)
    assert stat.S_IMODE((place / "one.sqlite").stat().st_mode) == 0o600
    assert "not overwritten" in keyback("backup", "one.sqlite", code=1).stderr
    keyback("case", "cancel", case_id, "--reason", "Called us", "--yes")
    assert "--yes" in keyback("restore", "one.sqlite", code=2).output
    said = keyback("restore", "one.sqlite", "--yes").output
    assert "one.sqlite is in place; what was there is" in said
    assert "1 links and codes" in said
    assert "1 recoveries under way" in said
    assert len(list(Path(Settings().database.removeprefix("sqlite:///")).parent.glob("*.before-*"))) == 1
    [noted] = [json.loads(x) for x in keyback("audit", "export").stdout.splitlines() if '"restored"' in x]
    assert noted["data"]["links"] == 1
    assert "under way" in keyback("restore", "--yes").output  # as after a copy by hand; there is nothing left to end
    (place / "text").write_text("no database")
    assert "Nothing was changed" in keyback("restore", "text", "--yes", code=1).stderr


@pytest.mark.covers("C-9")
def test_a_backup_from_before_a_retired_key_says_what_it_lacks(
    place: Path, case_id: str, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyback("backup", "one.sqlite")
    monkeypatch.setenv("KEYBACK_KEYRING", Keyring.fresh_line("k2"))
    said = keyback("restore", "one.sqlite", "--yes", "--json", code=1)
    assert "1 rows are sealed with a key that is not in the keyring" in said.stderr
    assert json.loads(said.stdout)["ended"]["requests"] == 1
    sql("DELETE FROM intakes")
    keyback("restore", "--yes")


def test_postgresql_is_named_its_own_tools(keyback: Keyback, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYBACK_DATABASE_URL", "postgresql://u@127.0.0.1:1/x")
    assert "pg_dump" in keyback("backup", "x", code=1).stderr
    (place / "x").touch()
    assert "pg_restore" in keyback("restore", "x", "--yes", code=1).stderr
