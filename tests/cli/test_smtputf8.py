"""Addresses that a relay without SMTPUTF8 takes no mail for: said at import and by `check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keyback.domain.people.person import needs_utf8
from keyback.testing.mailbox import Mailbox
from tests.support.commands import Keyback
from tests.support.each import each

pytestmark = pytest.mark.both

ROWS = "username,name,email,backup_email\n{}"
PEOPLE = """chenyu,陈屿,陈屿@example.com,
jose,José Ruiz,josé@example.com,
maya,Maya Okafor,maya@example.com,
lena,Lena Groß,lena@straße.example,
omar,Omar,omar@example.com,ömar@example.org
"""


@each(
    "address, needs",
    [
        ("陈屿@example.com", True), ("josé@example.com", True), ("ömar@例子.example", True), ("ma@例子.example", False),
        ("maya@example.com", False), ("maya+crm@example.com", False), ("м@example.com", True),
    ],
)  # fmt: skip
def test_only_what_stands_before_the_sign_counts(address: str, needs: bool) -> None:
    assert needs_utf8(address) is needs


def found(keyback: Keyback) -> list[dict[str, Any]]:
    checks = json.loads(keyback("check", "--json").output)["checks"]
    return [c for c in checks if c["name"] == "mail addresses"]


@pytest.mark.covers("K12")
def test_import_names_them_and_check_counts_them_where_the_relay_takes_none(
    place: Path, keyback: Keyback, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYBACK_DATABASE_URL", database_url)
    (place / "people.csv").write_text(ROWS.format(PEOPLE), encoding="utf-8")
    with Mailbox() as old, Mailbox(utf8=True) as modern:
        monkeypatch.setenv("KEYBACK_MAIL__PORT", str(old.port))
        assert found(keyback) == []
        said = keyback("people", "import", "people.csv").output
        assert "3 people have an address with letters beyond ASCII before the @ (陈屿, José Ruiz, Omar)" in said
        assert "SMTPUTF8" in said
        [told] = found(keyback)
        assert told["status"] == "warn"
        assert told["detail"].startswith("3 addresses have letters beyond ASCII")
        assert "SMTPUTF8" in told["next"]
        monkeypatch.setenv("KEYBACK_MAIL__PORT", str(modern.port))
        assert found(keyback) == []
    (place / "plain.csv").write_text("username,name,email\nnoor,Noor,noor@example.com\n", encoding="utf-8")
    assert "beyond ASCII" not in keyback("people", "import", "plain.csv").output
