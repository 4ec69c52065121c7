"""`[pkcs11]`: the keyring file is wrapped by a real token, and nothing opens it without."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from keyback.storage.keys import hardware_token, keyfile
from keyback.storage.keys.hardware_token import HardwareToken
from keyback.storage.keys.keyring import KeyringError
from tests.support.commands import Keyback, on_services
from tests.support.kit import person
from tests.support.softhsm import PIN, Missing, SoftHsm

COUNT = itertools.count()


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    try:
        return SoftHsm.made(tmp_path_factory.mktemp("softhsm"))
    except Missing as e:
        pytest.skip(str(e))


@pytest.fixture
def token(hsm: SoftHsm) -> HardwareToken:
    label = f"token {next(COUNT)}"
    hsm.token(label)
    return HardwareToken(hsm.module, label, "keyback", PIN)


@pytest.fixture
def named(place: Path, monkeypatch: pytest.MonkeyPatch, token: HardwareToken) -> HardwareToken:
    """A place whose settings name the token, and whose keyring is to be a file."""
    monkeypatch.delenv("KEYBACK_KEYRING")
    pin_file = place / "pin"
    pin_file.write_text(f"{PIN}\n")
    pin_file.chmod(0o600)
    for name, value in (("MODULE", token.module), ("TOKEN", token.token), ("PIN_FILE", pin_file)):
        monkeypatch.setenv(f"KEYBACK_PKCS11__{name}", str(value))
    return token


def test_a_new_installation_is_wrapped_from_the_start_and_lives_as_any_other(
    place: Path, keyback: Keyback, named: HardwareToken
) -> None:
    said = keyback("init").output
    assert f"wrapped by the token {named.token}" in said
    assert "Back the token up" in said
    path = place / "keyback-data" / "keyring"
    assert keyfile.is_wrapped(path)
    assert "k1:" not in path.read_text()

    async def work(s: Any) -> None:
        sealed = s.seals.seal(b"word", "p", "b")
        assert s.seals.open(sealed, "p", "b") == b"word"
        await s.db.write(lambda tx: tx.people.save_imported([person("maya")]))

    on_services(work)
    assert f"wrapped by the token {named.token}" in keyback("check", code=1).output
    keyback("keys", "rotate")
    keyback("keys", "reseal")
    assert keyfile.is_wrapped(path)
    assert "k2: seals and opens" in keyback("keys", "list").output
    keyback("audit", "verify")


def test_a_file_in_clear_is_wrapped_and_put_in_clear_again(
    place: Path, keyback: Keyback, named: HardwareToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as plain:
        plain.delenv("KEYBACK_PKCS11__MODULE")
        keyback("init")
        assert "pkcs11.module is not set" in keyback("keys", "wrap", code=1).stderr
    path = place / "keyback-data" / "keyring"
    before = path.read_text()
    secret = before.splitlines()[1].split(":")[1]
    assert "the file is in clear" in keyback("check", code=1).output
    assert not named.has_key()
    keyback("keys", "wrap")
    assert named.has_key()
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "is wrapped already" in keyback("keys", "wrap", code=1).stderr
    with monkeypatch.context() as plain:
        plain.delenv("KEYBACK_PKCS11__MODULE")
        assert "name the token in [pkcs11]" in keyback("keys", "list", code=1).stderr
    keyback("keys", "list")
    keyback("keys", "unwrap", "--yes")
    assert secret in path.read_text()
    rows = re.findall(r"\bkeyring_\w+", keyback("audit", "export").stdout)
    assert rows == ["keyring_wrapped", "keyring_unwrapped"]


def test_the_key_never_leaves_the_token_and_opens_nothing_that_was_changed(token: HardwareToken) -> None:
    wrapped = token.wrap(b"k1:secret")
    assert token.unwrap(wrapped) == b"k1:secret"
    assert wrapped != token.wrap(b"k1:secret")
    for i in (0, 13, len(wrapped) - 1):
        changed = bytearray(wrapped)
        changed[i] ^= 1
        with pytest.raises(KeyringError, match="does not open the keyring file"):
            token.unwrap(bytes(changed))
    with pytest.raises(KeyringError, match="does not open"):
        token.unwrap(b"")
    import pkcs11

    with pkcs11.lib(str(token.module)).get_token(token_label=token.token).open(user_pin=PIN) as session:
        key: Any = session.get_key(label="keyback")
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


def test_another_token_with_the_same_label_of_key_does_not_open_it(hsm: SoftHsm, token: HardwareToken) -> None:
    wrapped = token.wrap(b"k1:secret")
    hsm.token(f"{token.token} of somebody else")
    other = HardwareToken(hsm.module, f"{token.token} of somebody else", "keyback", PIN)
    with pytest.raises(KeyringError, match="has no AES key keyback"):
        other.unwrap(wrapped)
    other.wrap(b"x")
    with pytest.raises(KeyringError, match="does not open"):
        other.unwrap(wrapped)


def test_a_wrong_pin_is_tried_once_in_a_process_so_that_it_locks_nothing(
    token: HardwareToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = token.wrap(b"k1:secret")
    wrong = HardwareToken(token.module, token.token, token.key, "000")
    with pytest.raises(KeyringError, match=r"is wrong\. Correct pkcs11\.pin_file"):
        wrong.unwrap(wrapped)
    asked: list[object] = []
    import pkcs11

    monkeypatch.setattr(pkcs11, "lib", asked.append)
    with pytest.raises(KeyringError, match="was wrong"):
        wrong.unwrap(wrapped)
    assert asked == []
    monkeypatch.undo()
    hardware_token._wrong_pins.clear()
    assert token.unwrap(wrapped) == b"k1:secret"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MODULE", "/nowhere.so", "cannot be loaded as a PKCS#11 module. Correct pkcs11.module"),
        ("TOKEN", "not there", "there is no token not there"),
        ("KEY", "not there", "has no AES key not there. Correct pkcs11.key"),
        ("PIN_FILE", "nowhere", "pkcs11.pin_file cannot be read"),
    ],
)
def test_what_is_wrong_gets_a_sentence(
    keyback: Keyback, named: HardwareToken, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    keyback("init")
    monkeypatch.setenv(f"KEYBACK_PKCS11__{name}", value)
    told = keyback("keys", "list", code=1).stderr
    assert words in told
    assert PIN not in told


@pytest.mark.parametrize(("name", "words"), [("TOKEN", "token is missing"), ("PIN_FILE", "either pin_file or pin")])
def test_half_a_section_is_refused(
    keyback: Keyback, named: HardwareToken, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.delenv(f"KEYBACK_PKCS11__{name}")
    assert words in keyback("check", code=1).stderr


def test_a_running_process_takes_up_a_key_that_is_added_to_a_wrapped_file(
    keyback: Keyback, named: HardwareToken, place: Path
) -> None:
    keyback("init")
    path = place / "keyback-data" / "keyring"
    running = keyfile.read(path, named)
    running.follow(path, lambda p: keyfile.read(p, named))
    keyback("keys", "add")
    sealed = keyfile.KeyFile(path, named).ring().seal(b"word", "p", "b")
    assert running.open(sealed, "p", "b") == b"word"
    keyback("keys", "use", "k2")
    later = keyfile.KeyFile(path, named).ring()
    assert later.primary == "k2"
    assert running.open(later.seal(b"more", "p", "b"), "p", "b") == b"more"
