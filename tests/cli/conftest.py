"""A place with settings in the environment, for commands."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from keyback.cli import main
from keyback.storage.keys.keyring import Keyring


@pytest.fixture
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in, without settings."""
    import os

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
