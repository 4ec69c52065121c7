"""`keyback keys`: a rotation from the new key to the end of the old one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keyback.application.origin import Origin
from keyback.application.recovery import resolve, start
from keyback.application.signin import sign_in as signin_sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.domain.secret import Secret
from keyback.storage.keys.keyfile import KeyFile
from tests.support.commands import Keyback, on_services, sql
from tests.support.kit import person

DAY = 86_400_000


@pytest.fixture
def ring(place: Path, monkeypatch: pytest.MonkeyPatch, keyback: Keyback) -> KeyFile:
    """A place whose keyring is a file, with a recovery under way and a password."""
    monkeypatch.delenv("KEYBACK_KEYRING")
    keyback("init")

    async def work(s: Any) -> None:
        await s.db.write(lambda tx: tx.people.save_imported([person("maya")]))
        now, origin = await s.db.read(lambda tx: tx.now), Origin("192.0.2.7", "")
        await start.write_down(
            s.db, s.seals, "maya", journey="password", system="", locale="en", origin=origin, now=now
        )
        await s.db.write(lambda tx: resolve.resolve(tx))

    on_services(work)
    return KeyFile(place / "keyback-data" / "keyring")


def listed(keyback: Keyback) -> dict[str, Any]:
    rows = json.loads(keyback("keys", "list", "--json").stdout)["keys"]
    return {r["id"]: (r["in_use"], r["rows"]["intakes"], r["live"]) for r in rows}


@pytest.mark.slow
@pytest.mark.covers("P1", "P5")
def test_a_key_is_rotated_resealed_and_retired_when_nothing_needs_it(ring: KeyFile, keyback: Keyback) -> None:
    assert listed(keyback) == {"k1": (True, 1, 1)}
    said = keyback("keys", "rotate").output
    assert "k2 is in use" in said
    assert not {line.split(":", 1)[1] for line in ring.path.read_text().splitlines()[1:]} & set(said.split())
    assert listed(keyback) == {"k2": (True, 0, 0), "k1": (False, 1, 1)}
    assert "in use" in keyback("keys", "retire", "k2", code=1).stderr
    assert "no key k9" in keyback("keys", "retire", "k9", code=1).stderr
    assert "keys reseal" in keyback("keys", "retire", "k1", code=1).stderr
    assert "1 rows resealed with k2." in keyback("keys", "reseal").output
    assert "0 rows" in keyback("keys", "reseal").output
    assert "from before the change" in keyback("keys", "retire", "k1", code=1).stderr
    assert ring.ring().ids == ("k2", "k1")
    # A day later; the log's own clock is not ours to set, so the row is aged. Its chain says so at once.
    sql(f"UPDATE events SET at = at - {2 * DAY} WHERE type = 'key_used'")
    assert "under way" in keyback("keys", "retire", "k1", code=1).stderr
    sql("UPDATE challenges SET link_expires_at = 1")
    keyback("keys", "retire", "k1")
    assert ring.ring().ids == ("k2",)
    assert "was edited" in keyback("audit", "verify", code=1).output
    sql(f"UPDATE events SET at = at + {2 * DAY} WHERE type = 'key_used'")
    keyback("audit", "verify")  # though the key that it began with is gone
    assert [e.split('"key":')[1][:4] for e in keyback("audit", "export").stdout.splitlines() if "key_" in e] == [
        '"k2"',
        '"k1"',
    ]


@pytest.mark.covers("P1")
def test_a_key_that_got_out_ends_what_it_made_at_once_but_loses_no_row(ring: KeyFile, keyback: Keyback) -> None:
    keyback("audit", "export", "--out", "before.jsonl")
    keyback("keys", "rotate")
    assert "keys reseal" in keyback("keys", "retire", "k1", "--at-once", code=1).stderr
    keyback("keys", "reseal")
    keyback("keys", "retire", "k1", "--at-once")
    assert listed(keyback) == {"k2": (True, 1, 0)}
    live = on_services(lambda s: s.db.read(lambda tx: tx.intakes.waiting()))
    assert live == 0
    assert "part of the log" in keyback("audit", "verify", "--head", "before.jsonl").output


def test_for_several_nodes_a_key_is_added_first_and_used_later(ring: KeyFile, keyback: Keyback) -> None:
    assert "keyback keys use k2" in keyback("keys", "add").output
    assert listed(keyback) == {"k1": (True, 1, 1), "k2": (False, 0, 0)}
    assert "no key k7" in keyback("keys", "use", "k7", code=1).stderr
    keyback("keys", "use", "k2")
    assert listed(keyback)["k2"] == (True, 0, 0)
    keyback("keys", "reseal")
    ring.use("k1")  # by hand, so that the log does not know of it
    keyback("keys", "reseal")
    assert "keyback keys use k1" in keyback("keys", "retire", "k2", code=1).stderr


def test_a_keyring_in_the_environment_and_one_that_is_being_changed_are_left_alone(
    ring: KeyFile, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = ring.path.with_name("keyring.new")
    lock.touch()
    assert "keyring.new exists" in keyback("keys", "rotate", code=1).stderr
    lock.unlink()
    monkeypatch.setenv("KEYBACK_KEYRING", ring.path.read_text())
    assert "Move it to keyring_file" in keyback("keys", "rotate", code=1).stderr
    assert ring.ring().ids == ("k1",)


@pytest.mark.slow
@pytest.mark.covers("N-P17")
def test_passwords_with_an_earlier_pepper_are_counted(
    ring: KeyFile, keyback: Keyback, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = [tmp_path / "pepper1", tmp_path / "pepper2"]
    for n, file in enumerate(files):
        file.write_bytes(bytes(range(n, n + 40)))
    monkeypatch.setenv("KEYBACK_PASSWORD__PEPPER_FILE", str(files[0]))

    async def store(s: Any) -> None:
        phc = await s.gate.hash(Secret("walnut harbours"))
        maya = (await s.db.read(lambda tx: tx.people.account_by_username("builtin", "maya")))[0]
        await s.db.write(lambda tx: tx.people.set_credential(maya.id, phc, "j"))

    on_services(store)
    assert "another pepper" not in keyback("keys", "list").output
    monkeypatch.setenv("KEYBACK_PASSWORD__PEPPER_FILE", str(files[1]))
    monkeypatch.setenv("KEYBACK_PASSWORD__OLD_PEPPER_FILES", json.dumps([str(files[0])]))
    assert "1 passwords are hashed with another pepper" in keyback("keys", "list").output

    async def sign_in(s: Any) -> Any:
        word, here = Secret("walnut harbours"), Origin("192.0.2.7", "")
        return await signin_sign_in.sign_in(s.db, s.gate, "maya", word, here)

    assert isinstance(on_services(sign_in), SignedIn)
    assert "another pepper" not in keyback("keys", "list").output
    monkeypatch.setenv("KEYBACK_PASSWORD__OLD_PEPPER_FILES", '["gone"]')
    assert "old_pepper_files cannot be read" in keyback("serve", code=1).stderr
