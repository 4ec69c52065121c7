"""Files that others can read, and proxies that anybody can be."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keyback.cli.check_result import Result
from keyback.settings import Settings
from keyback.settings_safety import open_to_others, wide_known, wide_proxies
from keyback.settings_sections import System
from keyback.storage.keys.keyring import Keyring
from tests.support.commands import Keyback
from tests.support.house import ROOT


@pytest.fixture
def made(empty_place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `keyback init` leaves in a folder that everybody may enter."""
    empty_place.chmod(0o755)
    monkeypatch.setenv("KEYBACK_MAIL__HOST", "127.0.0.1")
    monkeypatch.setenv("KEYBACK_MAIL__SECURITY", "plain")
    monkeypatch.setenv("KEYBACK_MAIL__SENDER", "keyback@example.com")
    keyback("init")
    return empty_place


def bad_files(keyback: Keyback) -> list[str]:
    found = json.loads(keyback("check", "--json", code=1).stdout)["checks"]
    return [f"{c['detail']}. {c['next']}" for c in found if c["name"] == "files"]


@pytest.mark.slow
@pytest.mark.covers("P1")
@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o777, 0o740])
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_data_folder_that_others_can_read_stops_the_start(
    made: Path, keyback: Keyback, mode: int, command: str
) -> None:
    (made / "keyback-data").chmod(mode)
    said = keyback(command, code=1).stderr
    assert "keyback-data can be read by others. Run: chmod 700 keyback-data" in said
    assert bad_files(keyback) == ["keyback-data can be read by others. Run: chmod 700 keyback-data"]
    (made / "keyback-data").chmod(0o700)
    assert bad_files(keyback) == []


@pytest.mark.slow
@pytest.mark.covers("P1")
@pytest.mark.parametrize("folder", ["keyback-data", "kd?b=c", "data dir"])
def test_however_the_folder_was_made_migrating_closes_it(
    empty_place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    for name, value in {"HOST": "127.0.0.1", "SECURITY": "plain", "SENDER": "keyback@example.com"}.items():
        monkeypatch.setenv(f"KEYBACK_MAIL__{name}", value)
    monkeypatch.setenv("KEYBACK_DATA_DIR", folder)
    at = empty_place / folder
    at.mkdir(mode=0o755)
    at.chmod(0o755)
    before = os.umask(0o022)
    try:
        keyback("init")
        modes = {p.name: p.stat().st_mode & 0o777 for p in at.iterdir()}
        assert modes.pop("keyring") == 0o600
        assert set(modes) >= {"keyback.sqlite"}
        assert set(modes.values()) == {0o600}
        assert at.stat().st_mode & 0o777 == 0o700
        (at / "keyback.sqlite.before").write_bytes(b"a copy")
        (at / "notes.txt").write_text("somebody else's")
        for p in (at, *at.iterdir()):
            p.chmod(0o755 if p is at else 0o644)
        assert f"chmod 700 {folder}" in keyback("serve", code=1).stderr
        assert f"closed   {at} to others" in keyback("migrate").stderr
        assert at.stat().st_mode & 0o777 == 0o700
        assert {p.name: p.stat().st_mode & 0o077 for p in at.iterdir()} == {
            **dict.fromkeys((p.name for p in at.iterdir()), 0), "notes.txt": 0o044,
        }  # fmt: skip
        assert "closed" not in keyback("migrate").stderr
    finally:
        os.umask(before)


@pytest.mark.covers("P1")
def test_a_database_elsewhere_is_closed_and_its_folder_left_alone(
    empty_place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = empty_place / "elsewhere"
    at.mkdir()
    at.chmod(0o755)
    monkeypatch.setenv("KEYBACK_KEYRING", Keyring.fresh_line())
    monkeypatch.setenv("KEYBACK_DATABASE_URL", f"sqlite:///{at / 'kb.sqlite'}")
    before = os.umask(0o022)
    try:
        keyback("migrate")
    finally:
        os.umask(before)
    assert (at / "kb.sqlite").stat().st_mode & 0o777 == 0o600
    assert at.stat().st_mode & 0o777 == 0o755


@pytest.mark.covers("P1")
def test_files_elsewhere_are_looked_at_with_their_folders(made: Path) -> None:
    at = made / "elsewhere"
    at.mkdir(mode=0o755)
    at.chmod(0o755)
    secret = at / "secret"
    secret.write_text("x")
    of: dict[str, Any] = {
        "database": {"database_url": f"sqlite:///{secret}"},
        "mail": {"mail": {"password_file": secret}},
        "pepper": {"password": {"pepper_file": secret}},
        "old pepper": {"password": {"old_pepper_files": [secret]}},
        "system": {"systems": {"crm": System.model_validate({"kind": "demo", "title": "C", "secret_file": secret})}},
        "within": {
            "systems": {
                "crm": System.model_validate(
                    {"kind": "demo", "title": "C", "certificate_file": str(secret), "of": {"secret_file": str(secret)}}
                )
            }
        },
        "sms": {"sms": {"kind": "http", "prefixes": ["+86"], "secret_file": str(secret)}},
    }
    for name, over in of.items():
        s = Settings(keyring=Keyring.fresh_line(), **{"database_url": "postgresql://db.example.com/x", **over})
        secret.chmod(0o604)
        at.chmod(0o755)
        assert len(open_to_others(s)) == 1, name
        at.chmod(0o700)
        assert open_to_others(s) == [], name  # nobody else gets there
        at.chmod(0o755)
        secret.chmod(0o640)
        assert len(open_to_others(s)) == int(name == "database"), name  # a group may share secrets, not the database
        secret.chmod(0o600)
        assert open_to_others(s) == [], name


@pytest.mark.slow
@pytest.mark.covers("P1")
@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('[mail]\npassword = "hunter2"', True),
        ('database_url = "postgresql://u:hunter2@db.example.com/x"', True),
        ('[systems.crm]\nkind = "demo"\ntitle = "C"\nsecret = "x"', True),
        ('[sms]\nkind = "aliyun"\naccess_key_secret = "x"', True),
        ('database_url = "postgresql://u@db.example.com/x"', False),
        ('[mail]\npassword_file = "nowhere"', False),
    ],
)
def test_settings_with_a_secret_in_them_are_a_file_of_secrets(made: Path, text: str, holds: bool) -> None:
    file = made / "other.toml"
    file.write_text(text)
    s = Settings(keyring=Keyring.fresh_line(), database_url="postgresql://db.example.com/x")
    file.chmod(0o644)
    assert [f"chmod o-rwx {file}" in w for w in open_to_others(s, file)] == [True] * holds
    file.chmod(0o640)
    assert open_to_others(s, file) == []


@pytest.mark.covers("A-4.1.3")
@pytest.mark.parametrize(
    ("proxies", "status"),
    [
        (["0.0.0.0/0"], "bad"),
        (["::/0"], "bad"),
        (["0.0.0.0/1", "128.0.0.0/1"], "bad"),
        (["10.0.0.0/8", "64.0.0.0/2"], "bad"),
        ([f"{n}.0.0.0/8" for n in range(20, 30)], "bad"),
        (["2000::/3"], "bad"),
        (["10.0.0.0/7"], "bad"),
        (["::ffff:0:0/0"], "bad"),
        (["203.0.0.0/9"], "warn"),
        (["2001:470::/28"], "warn"),
        (["127.0.0.1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8", "::1"], None),
        (["8.8.8.8", "104.16.5.0/24"], None),
    ],
)
def test_check_says_which_proxies_anybody_can_be(
    keyback: Keyback, place: Path, monkeypatch: pytest.MonkeyPatch, proxies: list[str], status: str | None
) -> None:
    s = Settings(trusted_proxies=proxies)
    assert {found[0] for found in wide_proxies(s)} == ({status} if status else set())
    assert all(Result("trusted_proxies", *found).next for found in wide_proxies(s))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("known", "status"),
    [
        (["0.0.0.0/0"], "bad"),
        (["::/0"], "bad"),
        (["0.0.0.0/1", "128.0.0.0/1"], "bad"),
        (["10.0.0.0/8", "2000::/3"], "bad"),
        (["203.0.0.0/9"], "warn"),
        (["10.0.0.0/8", "192.0.2.0/24", "198.51.100.7/32", "fd00::/8", "2001:db8::/48"], None),
    ],
)
def test_check_says_when_everybody_is_on_a_known_network(
    keyback: Keyback, place: Path, monkeypatch: pytest.MonkeyPatch, known: list[str], status: str | None
) -> None:
    assert {found[0] for found in wide_known(Settings(policy={"known_networks": known}))} == (
        {status} if status else set()
    )
    monkeypatch.setenv("KEYBACK_POLICY__KNOWN_NETWORKS", json.dumps(known))
    said = keyback("check", code=1).output  # the relay of this place is down
    assert ("policy.known_networks: " in said) == (status is not None)
    if status:
        assert f"{status:<4}  policy.known_networks: " in said
        assert "Name only the networks of your own offices and VPN." in said


@pytest.mark.covers("A-4.1.3")
def test_check_fails_on_proxies_that_are_everybody(
    keyback: Keyback, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYBACK_TRUSTED_PROXIES", '["0.0.0.0/0"]')
    assert "bad   trusted_proxies: 0.0.0.0/0: almost anyone" in keyback("check", code=1).output


@pytest.mark.slow
def test_the_process_leaves_no_core_and_lets_nobody_look_in() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_CORE, (1024, 1024))\n"
        "from keyback.serving import keep_memory_private as keep; keep()\n"
        "import ctypes; print(*resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    assert resource.getrlimit(resource.RLIMIT_CORE) is not None
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["0", "0", "0"], done.stderr
    assert "\nLimitCORE=0\n" in (ROOT / "docs" / "examples" / "keyback.service").read_text()
