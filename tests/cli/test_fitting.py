"""Keyrings and peppers that are not this database's: refused at the start and named, by whatever way they came."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from keyback import serving
from keyback.application.origin import Origin
from keyback.application.passwords.hashing import pepper_id
from keyback.application.recovery import resolve, start
from keyback.bootstrap_keys import peppers_of
from keyback.domain.people.factor import Factor
from keyback.domain.secret import Secret
from keyback.settings import Settings
from keyback.storage.keys.keyfile import KeyFile
from keyback.storage.keys.keyring import Keyring
from keyback.storage.maintenance import key_check
from keyback.storage.tx import SqlTx
from tests.support.commands import Keyback, on_services, sql
from tests.support.kit import person

PASSWORD = Secret("quillfeather moss lantern")


@pytest.fixture(params=["sqlite", "postgres"])
def used(
    request: pytest.FixtureRequest,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_database: Callable[[str], str],
    keyback: Keyback,
) -> Path:
    """An installation of an earlier version: a recovery, a password, an audit log, and no check value yet."""
    monkeypatch.setenv("KEYBACK_DATABASE_URL", make_database(request.param))
    monkeypatch.delenv("KEYBACK_KEYRING")
    keyback("init")
    set_password()
    ask()
    sql("DELETE FROM installation")
    return place


def ask() -> None:
    async def work(s: Any) -> None:
        now, origin = await s.db.read(lambda tx: tx.now), Origin("192.0.2.7", "")
        what = {"journey": "password", "system": "", "locale": "en", "origin": origin, "now": now}
        await start.write_down(s.db, s.seals, "maya", **what)
        await s.db.write(lambda tx: resolve.resolve(tx))

    on_services(work)


def set_password(name: str = "maya") -> None:
    async def work(s: Any) -> None:
        phc = await s.gate.hash(PASSWORD)

        def save(tx: Any) -> None:
            tx.people.save_imported([person(name)])
            account, *_ = tx.people.sign_in_rows("builtin", name)
            tx.people.set_credential(account.id, phc, secrets.token_hex(8))

        await s.db.write(save)

    on_services(work)


def started() -> str:
    """What `serve` and `worker` do first: empty when they would go on, else why not."""

    async def go() -> str:
        try:
            async with serving.parts(Settings()):
                return ""
        except serving.Refused as e:
            return str(e)

    return asyncio.run(go())


def noted() -> set[str]:
    async def work(s: Any) -> set[str]:
        return set(await s.db.read(lambda tx: key_check._known(cast(SqlTx, tx))))

    return cast("set[str]", on_services(work))


def key_file(place: Path) -> Path:
    return place / "keyback-data" / "keyring"


def another(path: Path, kid: str = "k1") -> None:
    path.write_text(Keyring.fresh_line(kid) + "\n")


@pytest.fixture
def pepper(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Puts peppers into the settings: the one in use, then old ones; gives the id of the first."""

    def put(now: bytes | None, *old: bytes) -> str:
        paths = []
        for p in (*([now] if now else []), *old):
            paths.append(place / pepper_id(p))
            paths[-1].write_bytes(p)
        monkeypatch.delenv("KEYBACK_PASSWORD__PEPPER_FILE", raising=False)
        if now:
            monkeypatch.setenv("KEYBACK_PASSWORD__PEPPER_FILE", str(paths[0]))
        monkeypatch.setenv("KEYBACK_PASSWORD__OLD_PEPPER_FILES", json.dumps([str(p) for p in paths[bool(now) :]]))
        return pepper_id(now) if now else ""

    return put


# ── keys ────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("Q22", "P1")
@pytest.mark.parametrize("settled", [True, False], ids=["noted", "upgraded"])
def test_another_keyring_under_the_same_id_is_refused_and_named(used: Path, keyback: Keyback, settled: bool) -> None:
    if settled:
        assert started() == ""
        assert {"key/k1", "chain/k1"} <= noted()
    another(key_file(used))
    said = started()
    assert "key k1 is not the k1 that this database was written with" in said
    assert "Put this database's own keyring back" in said
    found = [c for c in json.loads(keyback("check", "--json", code=1).stdout)["checks"] if c["name"] == "fit"]
    assert [c["status"] for c in found] == ["bad", "bad"]  # the key and the audit log's chain
    assert "key k1" in found[0]["detail"]
    for command in (["audit", "verify"], ["keys", "reseal"], ["keys", "rotate"], ["case", "list"]):
        assert "is not the k1" in keyback(*command, code=1).stderr
    assert settled or noted() == set()  # never noted on trust


@pytest.mark.slow
@pytest.mark.covers("Q22")
@pytest.mark.parametrize("evidence", ["audit", "intakes", "challenges"])
def test_any_stored_row_is_enough_to_tell_a_wrong_key_by(used: Path, evidence: str) -> None:
    keep = {"audit": ("intakes", "challenges"), "intakes": ("challenges",), "challenges": ("intakes",)}[evidence]
    sql(*(f"DELETE FROM {table}" for table in keep))
    if evidence != "audit":
        sql("DELETE FROM events", "UPDATE audit_head SET seq = 0")
    another(key_file(used))
    assert "k1" in started()


@pytest.mark.covers("Q22")
def test_a_new_installation_notes_its_keys_and_a_second_node_with_others_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert started() == ""
    assert noted() == {"key/k1", "chain/k1", "pepper/-"}
    monkeypatch.setenv("KEYBACK_KEYRING", Keyring.fresh_line())
    assert "is not the k1" in started()


@pytest.mark.slow
@pytest.mark.covers("Q22")
def test_keys_come_and_go_by_the_commands_without_a_word(used: Path, keyback: Keyback) -> None:
    assert started() == ""
    keyback("keys", "rotate")
    keyback("keys", "add")
    assert {"key/k1", "key/k2", "key/k3"} <= noted()
    assert started() == ""
    keyback("keys", "reseal")
    keyback("keys", "retire", "k1", "--at-once")
    assert {"key/k2", "key/k3", "chain/k1"} <= noted()
    assert "key/k1" not in noted()
    assert started() == ""
    assert "all as they were" in keyback("audit", "verify").output


@pytest.mark.slow
@pytest.mark.covers("Q22")
def test_a_key_that_rows_need_and_the_ring_lacks_is_named_until_it_is_given_up(used: Path, keyback: Keyback) -> None:
    assert started() == ""
    keyback("keys", "rotate")
    ask()
    ring = KeyFile(key_file(used))
    whole = ring.path.read_text()
    ring.path.write_text("\n".join(x for x in whole.splitlines() if not x.startswith("k2:")))
    said = started()
    assert "key k2 is not in the keyring" in said
    assert "keyback keys forget k2" in said
    assert "standard input is" in keyback("keys", "forget", "k2", "--reason", "INC-1", code=2).stderr
    assert "k1 is not lost" in keyback("keys", "forget", "k1", "--reason", "INC-1", "--yes", code=1).stderr
    assert "made with a key or pepper k9" in keyback("keys", "forget", "k9", "--reason", "x", "--yes", code=1).stderr
    assert "k2 is forgotten" in keyback("keys", "forget", "k2", "--reason", "INC-1", "--yes").output
    assert started() == ""
    assert '"reason":"INC-1"' in keyback("audit", "export").output


@pytest.mark.slow
@pytest.mark.covers("Q22", "P5")
def test_another_line_of_the_audit_chain_is_refused_too(used: Path, keyback: Keyback) -> None:
    assert started() == ""
    keyback("keys", "rotate")
    path = key_file(used)
    chained = [x for x in path.read_text().splitlines() if x.startswith("k1/audit:")]
    path.write_text(path.read_text().replace(chained[0], f"k1/audit:{Keyring.fresh_line().split(':')[1]}"))
    assert "audit log of this database is chained with another key" in started()


@pytest.mark.slow
@pytest.mark.covers("Q22")
def test_a_row_of_the_log_that_was_edited_is_no_wrong_keyring(used: Path, keyback: Keyback) -> None:
    sql("UPDATE events SET data = '{}' WHERE seq = 1")
    assert started() == ""
    assert "chain/k1" not in noted()
    assert keyback("audit", "verify", code=1).stdout.startswith("Row 1")


@pytest.mark.slow
@pytest.mark.covers("Q22")
def test_a_restore_from_before_a_key_was_retired_says_so_and_is_made_safe(place: Path, keyback: Keyback) -> None:
    ring = Keyring.load(Settings().keyring.get_secret_value())  # type: ignore[union-attr]
    key_path = place / "keyback-data" / "keyring"
    key_path.parent.mkdir(exist_ok=True, mode=0o700)
    key_path.write_text(ring.text())
    key_path.chmod(0o600)
    import os

    del os.environ["KEYBACK_KEYRING"]
    set_password()
    ask()
    assert started() == ""
    keyback("backup", "copy.sqlite")
    keyback("keys", "rotate")
    keyback("keys", "reseal")
    keyback("keys", "retire", "k1", "--at-once")
    assert "sealed with a key that is not in the keyring" in keyback("restore", "copy.sqlite", "--yes", code=1).stderr
    assert "key k1 is not in the keyring" in started()


# ── peppers ─────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("L11")
@pytest.mark.parametrize("settled", [True, False], ids=["noted", "upgraded"])
@pytest.mark.parametrize("now", [None, b"another " * 4], ids=["dropped", "changed"])
def test_a_pepper_that_passwords_need_is_missed_at_the_start(
    used: Path, keyback: Keyback, pepper: Callable[..., str], settled: bool, now: bytes | None
) -> None:
    pid = pepper(b"the first one of this place, 32 b")
    set_password("chenyu")
    if settled:
        assert started() == ""
        assert f"pepper/{pid}" in noted()
    pepper(now)
    said = started()
    assert f"1 passwords, recovery codes and answers are hashed with a pepper (id {pid})" in said
    assert "password.old_pepper_files" in said
    assert f"id {pid}" in keyback("check", code=1).output
    if now:
        assert f"pepper/{pepper_id(now)}" not in noted()
        pepper(now, b"the first one of this place, 32 b")
        assert started() == ""
    keyback("audit", "verify")  # what hashes nothing needs no pepper


@pytest.mark.slow
@pytest.mark.covers("L11")
def test_a_pepper_may_come_later_and_go_once_nothing_needs_it(used: Path, pepper: Callable[..., str]) -> None:
    first, second = secrets.token_bytes(32), secrets.token_bytes(32)
    assert started() == ""
    pepper(first)
    assert started() == ""
    set_password("chenyu")
    pepper(second, first)
    assert started() == ""
    sql("DELETE FROM credentials")  # everybody has signed in meanwhile, say
    pepper(second)
    assert started() == ""


@pytest.mark.slow
@pytest.mark.covers("L11", "G5")
def test_a_pepper_that_only_answers_need_is_missed_too(used: Path, pepper: Callable[..., str]) -> None:
    first, second = secrets.token_bytes(32), secrets.token_bytes(32)
    pid = pepper(first)

    async def enrol(s: Any) -> None:
        phc = await s.gate.hash(Secret("a tin frog"))

        def fn(tx: Any) -> None:
            [match] = tx.people.match(["maya"])["maya"]
            data = {"version": 1, "answers": [{"question": "toy", "phc": phc}]}
            tx.factors.add(Factor(tx.new_id(), match.person.id, "security_questions", "", "active", data))

        await s.db.write(fn)

    on_services(enrol)
    pepper(second, first)
    assert started() == ""
    pepper(second)
    assert f"1 passwords, recovery codes and answers are hashed with a pepper (id {pid})" in started()


@pytest.mark.covers("L11")
def test_two_nodes_with_different_peppers_are_told_apart_before_the_first_password(
    place: Path, pepper: Callable[..., str]
) -> None:
    one = pepper(secrets.token_bytes(32))
    assert started() == ""
    pepper(secrets.token_bytes(32))
    assert f"id {one}" in started()
    pepper(None)
    assert f"id {one}" in started()


@pytest.mark.slow
@pytest.mark.covers("L11")
def test_a_pepper_that_is_lost_is_given_up_by_name(used: Path, keyback: Keyback, pepper: Callable[..., str]) -> None:
    pid = pepper(secrets.token_bytes(32))
    set_password("chenyu")
    assert "is not lost" in keyback("keys", "forget", pid, "--reason", "INC-2", "--yes", code=1).stderr
    pepper(None)
    assert f"keyback keys forget {pid}" in started()
    assert "1 rows or passwords" in keyback("keys", "forget", pid, "--reason", "INC-2", "--yes").output
    assert started() == ""


@pytest.mark.covers("Q22", "L11")
def test_a_running_node_notices_what_another_one_settled(make_kit: Callable[..., Any], tmp_path: Path) -> None:
    kit = make_kit()
    peppers = peppers_of(kit.services.gate)
    assert kit.write(lambda tx: key_check.settle(tx, peppers)) == []
    kit.write(lambda tx: key_check._note(tx, "pepper/0badcafe", b"x" * 32))
    [found] = kit.read(lambda tx: key_check.find(tx, peppers, deep=False))
    assert "id 0badcafe" in str(found)


@pytest.mark.slow
@pytest.mark.covers("INV-I4")
def test_check_values_say_nothing_about_the_keys(used: Path) -> None:
    assert started() == ""
    ring = KeyFile(key_file(used)).ring()

    async def work(s: Any) -> dict[str, bytes]:
        return await s.db.read(lambda tx: key_check._known(tx))  # type: ignore[no-any-return]

    values = on_services(work).values()
    assert ring.secret("k1") not in values
    assert ring.derive("audit") not in values
