"""`keyback people list`, `show`, `remove`, and recoveries of one person (`case list --person`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, select

from keyback.domain.secret import Secret
from keyback.storage.sql import schema as s
from tests.support.commands import Keyback
from tests.support.enrolled import add_totp, person_id
from tests.support.kit import Kit, person
from tests.support.steps import OLD, ask, drain, fit, set_password, sign_in

pytestmark = pytest.mark.both


@pytest.fixture
def kit(place: Path, make_kit: Callable[..., Kit], database_url: str, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Maya with all that somebody can have, and Omar, on the database that the commands work on."""
    kit = make_kit(url=database_url)
    monkeypatch.setenv("KEYBACK_DATABASE_URL", kit.settings.database)
    assert kit.settings.keyring is not None
    monkeypatch.setenv("KEYBACK_KEYRING", kit.settings.keyring.get_secret_value())
    fit(kit, person("maya", "maya@example.com", "team@example.com"), person("omar", "omar@example.com"))
    for who in ("maya", "omar"):
        set_password(kit, who)
    sign_in(kit, "maya", OLD)
    sign_in(kit, "maya", Secret("a wrong password of hers"))
    add_totp(kit, "maya")
    for who in ("maya", "omar"):
        ask(kit, who)
    drain(kit)
    return kit


def text_of(kit: Kit) -> dict[str, str]:
    """Every row of every table but the audit log, as one text a table."""

    def fn(tx: Any) -> dict[str, str]:
        out = {}
        for table in s.metadata.sorted_tables:
            if table.name != "events":
                plain = [c for c in table.c if not isinstance(c.type, LargeBinary)]
                out[table.name] = repr(tx.conn.execute(select(*plain)).all()) if plain else ""
        return out

    return kit.read(fn)  # type: ignore[no-any-return]


def test_people_are_listed_and_shown(kit: Kit, keyback: Keyback) -> None:
    listed = json.loads(keyback("people", "list", "--json").output)
    assert [p["state"] for p in listed] == ["active", "active"]
    assert person_id(kit, "maya") in keyback("people", "list", "--limit", "5").output
    assert "None." in keyback("people", "list", "--state", "disabled").output
    for name in ("maya", "Maya@Example.COM", person_id(kit, "maya")):
        shown = json.loads(keyback("people", "show", name, "--json").output)
        assert {c["address"] for c in shown["contacts"]} == {"maya@example.com", "team@example.com"}
        assert [f["kind"] for f in shown["factors"]] == ["totp"]
        assert len(shown["recoveries"]) == 1
    words = keyback("people", "show", "maya").output
    assert "maya@example.com" in words
    assert "$argon2" not in words
    assert "No one has this" in keyback("people", "show", "nobody", code=1).stderr


def test_recoveries_of_one_person(kit: Kit, keyback: Keyback) -> None:
    assert len(json.loads(keyback("case", "list", "--json").output)) == 2
    [mine] = json.loads(keyback("case", "list", "--person", "omar", "--json").output)
    assert mine["person_id"] == person_id(kit, "omar")
    assert "No one has this" in keyback("case", "list", "--person", "nobody", code=1).stderr


def test_a_person_who_is_removed_is_nowhere_but_in_the_audit_log(kit: Kit, keyback: Keyback) -> None:
    pid, omar = person_id(kit, "maya"), person_id(kit, "omar")
    before = text_of(kit)
    assert any(pid in text for text in before.values())
    keyback("people", "remove", "maya", "--reason", "Asked to be forgotten", code=2)
    done = json.loads(
        keyback("people", "remove", "maya", "--reason", "Asked to be forgotten", "--yes", "--json").output
    )
    assert {"accounts", "contacts", "credentials", "factors", "cases", "identifiers"} <= done["rows"].keys()
    after = text_of(kit)
    left = {name for name, text in after.items() if pid in text or "maya" in text.lower()}
    assert left == set()
    assert all(omar in after[name] for name, text in before.items() if omar in text), "nobody else loses anything"
    keyback("audit", "verify")
    events = kit.read(lambda tx: list(tx.audit.of_person(pid, 2**62, 50)))
    assert events[0].type == "person_removed"
    assert "No one has this" in keyback("people", "remove", "maya", "--reason", "Once more", "--yes", code=1).stderr
