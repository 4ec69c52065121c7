"""`keyback people list`, `show`, `remove`, and recoveries of one person (`case list --person`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, func, select

from keyback.application.delivery import send_batch
from keyback.application.ports.channels import Receipt
from keyback.application.ports.messages import MessageKind
from keyback.domain.secret import Secret
from keyback.storage.sql import schema as s
from tests.support.commands import Keyback
from tests.support.enrolled import SMS, add_contact, add_totp, person_id
from tests.support.kit import Kit, person
from tests.support.steps import OLD, ask, drain, fit, set_password, sign_in

pytestmark = pytest.mark.both


@pytest.fixture
def kit(place: Path, make_kit: Callable[..., Kit], database_url: str, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Maya with all that somebody can have, and Omar, on the database that the commands work on."""
    kit = make_kit(url=database_url, sms=SMS)
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


def catch_up(kit: Kit) -> None:
    """Puts the worker's clock where that of the command was."""
    written = kit.read(lambda tx: tx.conn.execute(select(func.max(s.outbox.c.created_at))).scalar_one())
    kit.clock.now = max(kit.clock.now, int(written))


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
    assert done["notices"] == 2
    waiting = text_of(kit)
    assert {name for name, text in waiting.items() if pid in text or "maya" in text.lower()} == {"outbox"}
    catch_up(kit)
    drain(kit)
    after = text_of(kit)
    left = {name for name, text in after.items() if pid in text or "maya" in text.lower()}
    assert left == set()
    assert all(omar in after[name] for name, text in before.items() if omar in text), "nobody else loses anything"
    keyback("audit", "verify")
    events = kit.read(lambda tx: list(tx.audit.of_person(pid, 2**62, 50)))
    assert events[0].type == "person_removed"
    assert "No one has this" in keyback("people", "remove", "maya", "--reason", "Once more", "--yes", code=1).stderr


PHONE, CHAT = "+8613800138000", "maya.okafor"


@pytest.mark.covers("N-R12", "L-7")
def test_all_contacts_of_whom_is_removed_get_one_last_message(kit: Kit, keyback: Keyback) -> None:
    """Or somebody could be erased in silence, and be added again with a stranger's address."""
    add_contact(kit, "sms", PHONE, "backup", "maya")
    add_contact(kit, "im", CHAT, "backup", "maya")
    add_contact(kit, "mail", "omar@example.com", "recovery", "maya", name="Omar")
    tray: Any = kit.services.channel
    tray.messages.clear()
    said = keyback("people", "remove", "maya", "--reason", "Left the company", "--yes").output
    assert "Notices waiting for their contacts: 4." in said
    catch_up(kit)
    drain(kit)
    told = {(x.channel, x.to): x for x in tray.messages}
    assert set(told) == {("mail", "maya@example.com"), ("mail", "team@example.com"), ("sms", PHONE), ("im", CHAT)}
    for x in told.values():
        assert x.kind == MessageKind.ERASED
        assert (x.name, x.content.username) == ("Maya", "maya")
    assert kit.read(lambda tx: tx.outbox.depth()) == {}


class Refusing:
    """A relay that knows none of these addresses."""

    name = "mail"

    async def send(self, messages: Any) -> list[Receipt]:
        return [Receipt("permanent", "refused_recipient") for _ in messages]

    async def close(self) -> None: ...


@pytest.mark.slow
@pytest.mark.covers("L-7")
@pytest.mark.parametrize("late", [False, True], ids=["refused", "never tried in time"])
def test_a_last_message_that_cannot_be_sent_is_forgotten_with_its_address(
    kit: Kit, keyback: Keyback, late: bool
) -> None:
    keyback("people", "remove", "maya", "--reason", "Left the company", "--yes")
    catch_up(kit)
    if late:
        kit.clock.forward(hours=73)
    done = asyncio.run(send_batch(kit.services.db, Refusing(), {}, "https://id.example.com", lambda: 0.5))
    assert done.dropped == 2
    assert kit.read(lambda tx: tx.outbox.depth()) == {}
    assert "maya" not in text_of(kit)["outbox"].lower()
    assert kit.read(lambda tx: tx.conn.execute(select(s.outbox.c.id)).all()) == []
