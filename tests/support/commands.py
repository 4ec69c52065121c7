"""Commands in this process: a place with settings in the environment, and what lies in its database."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import text

from keyback.application.origin import Origin
from keyback.application.recovery import resolve, start
from keyback.bootstrap import build, close
from keyback.cli import main
from keyback.settings import Settings
from keyback.storage.database import make_engine
from keyback.storage.keys.keyring import Keyring
from tests.support.cheaper import migrate_once
from tests.support.kit import person

setattr(importlib.import_module("keyback.cli.init"), "run_migrations", migrate_once)  # noqa: B010 - typed as a module


@pytest.fixture
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in, without settings."""
    place = tmp_path / "place"
    place.mkdir()
    for name in os.environ:
        if name.startswith("KEYBACK_") and name != "KEYBACK_TEST_POSTGRES":
            monkeypatch.delenv(name)
    monkeypatch.chdir(place)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield place
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def place(empty_place: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Path:
    """A folder with safe settings and a migrated database."""
    values = {
        "KEYRING": Keyring.fresh_line(),
        "DATABASE_URL": sqlite_url,
        "MAIL__HOST": "127.0.0.1",
        "MAIL__PORT": "1",
        "MAIL__SECURITY": "plain",
        "MAIL__SENDER": "keyback@example.com",
        "PASSWORD__ARGON2_T": "2",
        "PASSWORD__ARGON2_M_KIB": "19456",
        "PASSWORD__MEMORY_BUDGET_MIB": "64",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"KEYBACK_{name}", value)
    return empty_place


class Keyback:
    """Runs commands in this process."""

    def __call__(self, *args: str, code: int = 0, text: str | None = None) -> Result:
        result = CliRunner().invoke(main, args, input=text)
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result


@pytest.fixture
def keyback() -> Keyback:
    return Keyback()


def on_services(work: Callable[[Any], Any]) -> Any:
    """Runs `await work(services)` with the settings of this place."""

    async def go() -> Any:
        services = build(Settings())
        try:
            return await work(services)
        finally:
            await close(services)

    return asyncio.run(go())


def sql(*statements: str) -> None:
    engine = make_engine(Settings().database)
    with engine.execution_options(writes=True).begin() as conn:
        for s in statements:
            conn.execute(text(s))
    engine.dispose()


@pytest.fixture
def case_id(place: Path) -> str:
    """A recovery that waits for its proof, of somebody with a hostile name."""

    async def work(s: Any) -> str:
        evil = person("mäya")
        evil = type(evil)(**{**{f: getattr(evil, f) for f in evil.__slots__}, "name": "Maya\x1b[2J\u202eevil"})
        await s.db.write(lambda tx: tx.people.save_imported([evil]))
        origin = Origin("192.0.2.7", "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36")
        now = await s.db.read(lambda tx: tx.now)
        await start.write_down(
            s.db, s.seals, "mäya@example.com", journey="password", system="", locale="en", origin=origin, now=now
        )
        await s.db.write(lambda tx: resolve.resolve(tx))
        [case] = await s.db.read(lambda tx: tx.cases.listed(state=None, limit=5))
        return str(case.id)

    return str(on_services(work))
