"""`crypto = "gm"`: published vectors, a whole recovery, and that no database is ever opened with the other one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from keyback.application.audit_log import verify
from keyback.application.passwords.hashing_sm3 import FLOOR, Sm3HashGate
from keyback.bootstrap_keys import peppers_of
from keyback.domain import digests
from keyback.domain.secret import Secret
from keyback.storage.keys.keyring import Keyring, Unsealable
from keyback.storage.keys.sm4 import SM4GCM
from keyback.storage.maintenance import key_check
from keyback.storage.stores.audit import row_hash
from tests.support.commands import Keyback, on_services
from tests.support.kit import Kit, person
from tests.support.steps import choose, drain, fit, proven

RING = Keyring.fresh_line()


@pytest.fixture
def gm() -> Iterator[None]:
    digests.choose("gm")
    yield
    digests.choose("standard")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    digests.choose("standard")


def run(work: Any) -> Any:
    return asyncio.run(work)


# ── published vectors ───────────────────────────────────────────────────────


@pytest.mark.usefixtures("gm")
def test_sm3_and_its_hmac_are_those_of_the_standards() -> None:
    # GB/T 32905-2016, annex A.1 and A.2
    assert digests.digest(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert digests.digest(b"abcd" * 16).hex() == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    # RFC 2104 written out by hand over SM3 with blocks of 64 bytes
    key, text = bytes(range(1, 33)), b"abc" * 7
    padded = key.ljust(64, b"\0")
    inner = hashlib.new("sm3", bytes(b ^ 0x36 for b in padded) + text).digest()
    assert digests.mac(key, text) == hashlib.new("sm3", bytes(b ^ 0x5C for b in padded) + inner).digest()
    assert digests.mac(key, text) != hmac.digest(key, text, "sha256")
    assert len(digests.long_mac(key, text)) == 64


def test_sm4_gcm_is_that_of_rfc_8998() -> None:
    # RFC 8998, appendix A.1
    key, nonce = bytes.fromhex("0123456789abcdeffedcba9876543210"), bytes.fromhex("00001234567800000000abcd")
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = bytes.fromhex("aa" * 8 + "bb" * 8 + "cc" * 8 + "dd" * 8 + "ee" * 8 + "ff" * 8 + "ee" * 8 + "aa" * 8)
    sealed = SM4GCM(key).encrypt(nonce, plain, aad)
    assert sealed.hex() == (
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
        "83de3541e4c2b58177e065a9bf7b62ec"
    )
    assert SM4GCM(key).decrypt(nonce, sealed, aad) == plain
    for changed, with_ in ((sealed[:-1] + b"x", aad), (sealed, aad + b"x"), (sealed[:15], aad)):
        with pytest.raises(InvalidTag):
            SM4GCM(key).decrypt(nonce, changed, with_)


def test_pbkdf2_is_that_of_rfc_8018_over_sm3() -> None:
    gate = Sm3HashGate(FLOOR, 1, 4)
    phc = run(gate.hash(Secret("correct horse battery")))
    _, kind, cost, salt, kept = phc.split("$")
    assert (kind, cost) == ("pbkdf2-sm3", f"i={FLOOR}")
    raw = base64.b64decode(salt + "==")
    # One block of 32 bytes: U1 = PRF(password, salt || INT(1)), then XOR of all U.
    u = hmac.digest(b"correct horse battery", raw + b"\0\0\0\1", "sm3")
    total = int.from_bytes(u, "big")
    for _ in range(FLOOR - 1):
        u = hmac.digest(b"correct horse battery", u, "sm3")
        total ^= int.from_bytes(u, "big")
    assert base64.b64decode(kept + "=") == total.to_bytes(32, "big")
    gate.close()


# ── passwords ───────────────────────────────────────────────────────────────


def test_the_gate_tells_right_from_wrong_and_works_in_vain_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[int] = []
    real = hashlib.pbkdf2_hmac

    def spy(name: str, password: bytes, salt: bytes, iterations: int, size: int) -> bytes:
        spent.append(iterations)
        return real(name, password, salt, iterations, size)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", spy)
    pepper = bytes(range(32))
    cheap, gate = Sm3HashGate(FLOOR, 1, 4), Sm3HashGate(FLOOR + 1000, 2, 4, pepper)
    old, new = run(cheap.hash(Secret("correct horse battery"))), run(gate.hash(Secret("correct horse battery")))
    assert new.startswith("$pepper=")
    tries = [
        (new, "correct horse battery", (True, False)),
        (new, "incorrect horse battery", (False, False)),
        (old, "correct horse battery", (True, True)),
        (old, "incorrect horse battery", (False, False)),
        (None, "correct horse battery", (False, False)),
        ("$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA", "correct horse battery", (False, False)),
        (old.replace(f"i={FLOOR}", "i=99999999"), "correct horse battery", (False, False)),
        (new.replace(new[8:16], "00000000"), "correct horse battery", (False, False)),
    ]
    for phc, word, wanted in tries:
        spent.clear()
        assert tuple(run(gate.verify(phc, Secret(word)))) == wanted, phc
        assert sum(spent) == (FLOOR if wanted == (True, True) else FLOOR + 1000), phc
    assert gate.refused == 3
    for made in (cheap, gate):
        made.close()
    with pytest.raises(ValueError, match="sm3_iterations"):
        Sm3HashGate(FLOOR - 1, 1, 4)


# ── sealing and the log ─────────────────────────────────────────────────────


def test_what_one_sealed_the_other_does_not_open() -> None:
    sealed = Keyring.load(RING).seal(b"word", "p", "b")
    digests.choose("gm")
    ring = Keyring.load(RING)
    own = ring.seal(b"word", "p", "b")
    assert (sealed[0], own[0]) == (1, 2)
    assert ring.open(own, "p", "b") == b"word"
    assert Keyring.load(RING).derive("x") == ring.derive("x")
    for changed, purpose, bound in ((sealed, "p", "b"), (own, "q", "b"), (own, "p", "c"), (own[:-1] + b"x", "p", "b")):
        with pytest.raises(Unsealable):
            ring.open(changed, purpose, bound)
    digests.choose("standard")
    with pytest.raises(Unsealable):
        Keyring.load(RING).open(own, "p", "b")


@pytest.mark.both
def test_a_whole_recovery_goes_through_and_the_log_is_chained_with_sm3(
    make_kit: Callable[..., Kit], database_url: str
) -> None:
    kit = make_kit(url=database_url, crypto="gm", password={"sm3_iterations": FLOOR})
    drain(kit)
    tray = fit(kit, person("maya"))
    choose(kit, proven(kit, tray))
    drain(kit)
    kinds = [r.event.type for r in kit.read(lambda tx: tx.siem.rows(0, 1000))]
    assert "recovered" in kinds
    verdict = kit.run(verify(kit.services.db, kit.services.seals, row_hash))
    assert verdict.finding is None
    # With SHA-256 in its place the very first row does not fit: the chain is SM3 throughout.
    digests.choose("standard")
    verdict = kit.run(verify(kit.services.db, Keyring.load(kit.settings.keyring.get_secret_value()), row_hash))
    assert verdict.finding is not None
    digests.choose("gm")
    phc = kit.read(lambda tx: tx.conn.exec_driver_sql("SELECT phc FROM credentials").scalar_one())
    assert phc.startswith("$pbkdf2-sm3$")


# ── a database has one of both for ever ─────────────────────────────────────


@pytest.fixture
def sm3_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEYBACK_CRYPTO", "gm")
    monkeypatch.setenv("KEYBACK_PASSWORD__SM3_ITERATIONS", str(FLOOR))
    return place


def begun(keyback: Keyback) -> None:
    """As after a first start."""
    keyback("init")

    async def work(s: Any) -> None:
        await s.db.write(lambda tx: tx.people.save_imported([person("maya")]))
        assert await s.db.write(lambda tx: key_check.settle(tx, peppers_of(s.gate))) == []

    on_services(work)


def test_commands_refuse_the_other_cryptography(
    keyback: Keyback, sm3_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(keyback)
    keyback("keys", "list")
    keyback("audit", "verify")
    assert "PBKDF2-HMAC-SM3" in keyback("check", code=1).output
    monkeypatch.delenv("KEYBACK_CRYPTO")
    told = keyback("keys", "list", code=1).stderr
    assert 'this database was written with crypto = "gm". Set crypto = "gm" again.' in told


def test_an_installation_that_exists_is_not_changed(
    keyback: Keyback, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(keyback)
    monkeypatch.setenv("KEYBACK_CRYPTO", "gm")
    told = keyback("keys", "list", code=1).stderr
    assert "this database was written without it. Take crypto out of the settings" in told
    monkeypatch.delenv("KEYBACK_CRYPTO")
    keyback("keys", "list")


def test_a_python_without_sm3_gets_a_sentence(
    keyback: Keyback, sm3_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashlib, "algorithms_available", hashlib.algorithms_available - {"sm3"})
    assert "has no SM3 or SM4" in keyback("keys", "list", code=1).stderr
