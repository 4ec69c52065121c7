"""`keyback operator key`: keys for programs that use the admin API."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.commands import Keyback

KEY = re.compile(r"keyback_[a-z2-7]{8}_[A-Za-z0-9_-]{43}")


def test_keys_on_the_command_line(keyback: Keyback, place: Path) -> None:
    made = json.loads(keyback("operator", "key", "add", "Tickets", "--scope", "cases.view", "--json").stdout)
    assert KEY.fullmatch(made["key"])
    assert "cases.view" in keyback("operator", "key", "list").stdout
    assert made["key"] not in keyback("operator", "key", "list", "--json").stdout
    assert "Tickets" not in keyback("operator", "list").stdout
    assert KEY.search(keyback("operator", "key", "rotate", made["id"], "--overlap", "0").stdout)
    keyback("operator", "key", "remove", made["id"], "--yes")
    assert "No such key" in keyback("operator", "key", "remove", made["id"], "--yes", code=1).output
    keyback("operator", "key", "add", "X", "--scope", "cases.decide", code=2)
