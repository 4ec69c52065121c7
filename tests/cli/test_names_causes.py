"""The setting that is at fault is named, by `check` and by whatever else meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from keyback.cli.common import bad_url
from tests.support.commands import Keyback
from tests.support.each import each

BAD_SENDERS = [
    "nonsense",
    "Keyback <keyback@example.com>",
    "@example.com",
    "keyback@",
    "a b@example.com",
    "é@example.com",
    "a@b@example.com",
    "keyback@example.com, x@example.com",
]


@each("sender", BAD_SENDERS)
def test_init_takes_no_sender_that_is_none(sender: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("init")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        said = Keyback()("init", "--mail-host", "smtp.example.com", "--mail-sender", sender, code=2).output
        assert "mail.sender" in said
        assert "such as keyback@example.com" in said
        assert list(place.iterdir()) == []
        patch.setenv("KEYBACK_MAIL__SENDER", sender)
        assert "mail.sender" in Keyback()("check", code=1).output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "what", "named"),
    [
        ("PASSWORD_FILE", "missing", "mail.password_file cannot be read: No such file"),
        ("PASSWORD_FILE", "folder", "mail.password_file cannot be read: Is a directory"),
        ("PASSWORD_FILE", "binary", "mail.password_file: "),
        ("CA_FILE", "missing", "mail.ca_file cannot be read: No such file"),
        ("CA_FILE", "words", "mail.ca_file: "),
        ("CA_FILE", "folder", "mail.ca_file"),
        ("USERNAME", "keyback", "mail.username is set without a password"),
    ],
)
def test_check_names_the_setting_of_mail_at_fault(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch, setting: str, what: str, named: str
) -> None:
    (place / "folder").mkdir()
    (place / "binary").write_bytes(b"\xff\x00\xfe" * 9)
    (place / "words").write_text("no certificate\n")
    value = what if setting == "USERNAME" else str(place / what)
    monkeypatch.setenv(f"KEYBACK_MAIL__{setting}", value)
    if setting == "PASSWORD_FILE":
        monkeypatch.setenv("KEYBACK_MAIL__USERNAME", "keyback")
    checks: list[dict[str, Any]] = json.loads(keyback("check", "--json", code=1).output)["checks"]
    [mail] = [c for c in checks if c["name"] == "mail"]
    assert mail["status"] == "bad"
    assert mail["detail"].startswith(named), mail


def test_a_missing_driver_is_no_bad_address(place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYBACK_DATABASE_URL", "postgresql://keyback@127.0.0.1:1/keyback")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for command in ("migrate", "check", "serve"):
        said = keyback(command, code=1).output
        assert "PostgreSQL needs the package psycopg" in said, command
        assert "keyback[postgres]" in said
        assert "database_url cannot be used" not in said
    assert "database_url cannot be used (ArgumentError)" in bad_url(type("ArgumentError", (Exception,), {})())
