"""As a process: exit codes, and what Keyback refuses to start on, in one sentence and without a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click
import pytest

from keyback.application.passwords.hashing import HashGate
from keyback.bootstrap import make_connector
from keyback.cli import main
from keyback.cli.common import READER_GONE
from keyback.settings import Unsafe
from keyback.settings_sections import System
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring
from tests.support.commands import Keyback

SAFE = {
    "KEYBACK_PUBLIC_URL": "https://recover.example.com",
    "KEYBACK_MAIL__HOST": "127.0.0.1",
    "KEYBACK_MAIL__SECURITY": "plain",
    "KEYBACK_MAIL__SENDER": "keyback@example.com",
    "KEYBACK_PASSWORD__ARGON2_T": "2",
    "KEYBACK_PASSWORD__ARGON2_M_KIB": "19456",
}


def clean(place: Path, **extra: str) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("KEYBACK_")}
    return {**env, **SAFE, "KEYBACK_DATA_DIR": str(place / "data"), "PYTHONWARNINGS": "error", **extra}


def run(place: Path, *args: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "keyback.cli", *args]
    nobody = subprocess.DEVNULL
    return subprocess.run(
        command, cwd=place, env=clean(place, **extra), stdin=nobody, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where `keyback init` has run."""
    folder = tmp_path_factory.mktemp("place")
    done = run(folder, "init")
    assert done.returncode == 0, done.stderr
    (folder / "people.csv").write_text("name,email\nAnn Li,ann@example.com\n")
    return folder


SAMPLE = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
REFUSED = [  # as processes
    pytest.param({"KEYBACK_KEYRING": SAMPLE}, "not random", id="default key"),
]
NOT_MIGRATED = {"KEYBACK_DATA_DIR": "elsewhere", "KEYBACK_KEYRING": Keyring.fresh_line()}
NO_DATABASE = {"KEYBACK_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}
REFUSED_TOO = [  # the same code, run here
    pytest.param({"KEYBACK_KEYRING": "k1:c2hvcnQ="}, "not of the form id:key", id="short key"),
    pytest.param({"KEYBACK_KEYRING_FILE": "nowhere"}, "there is no keyring at nowhere", id="missing keyring"),
    pytest.param({"KEYBACK_MAIL__HOST": ""}, "mail.host is not set", id="no mail"),
    pytest.param({"KEYBACK_PUBLIC_URL": "http://recover.example.com"}, "public_url is plain http", id="plain http"),
    pytest.param({"KEYBACK_KEYRING": ""}, "keyring is empty", id="empty keyring"),
    pytest.param({"KEYBACK_MAIL__SENDER": ""}, "mail.sender is not set", id="no sender"),
    pytest.param({"KEYBACK_MAIL__HOST": "smtp.example.com"}, "mail.security is plain", id="plain mail"),
    pytest.param({"KEYBACK_TIMEZONE": "Mars/Base"}, "timezone: is no known time zone", id="time zone"),
    pytest.param({"KEYBACK_DATABASE_URL": "mysql://u:hunter2@x/y"}, "Give postgresql://", id="other database"),
    pytest.param({"KEYBACK_DEMO": "true"}, "demo is on", id="demo in public"),
    pytest.param(NOT_MIGRATED, "database is empty", id="not migrated"),
    pytest.param({"KEYBACK_CONFIG": "gone.toml"}, "no such file", id="missing settings"),
    pytest.param({"KEYBACK_LOG_LEVEL": "loud"}, "log_level", id="wrong setting"),
    pytest.param(NO_DATABASE, "database cannot be used", id="no database"),
]


@pytest.mark.slow
@pytest.mark.covers("P1", "C8", "C4")
@pytest.mark.parametrize(("settings", "cause"), REFUSED)
def test_serve_refuses_to_start_and_names_the_cause(place: Path, settings: dict[str, str], cause: str) -> None:
    done = run(place, "serve", **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert cause in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.covers("P1", "C8")
@pytest.mark.parametrize(("settings", "cause"), REFUSED_TOO)
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_unsafe_settings_are_refused(
    place: Path,
    keyback: Keyback,
    empty_place: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    cause: str,
    command: str,
) -> None:
    for name, value in {**SAFE, "KEYBACK_DATA_DIR": str(place / "data"), **settings}.items():
        monkeypatch.setenv(name, value)
    done = keyback(command, code=1)
    assert cause in done.stderr
    assert "hunter2" not in done.output
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.covers("P1")
def test_worker_refuses_a_keyring_that_others_can_read(place: Path, tmp_path: Path) -> None:
    loose = tmp_path / "keyring"
    loose.write_text(Keyring.fresh_line())
    loose.chmod(0o644)
    done = run(place, "worker", KEYBACK_KEYRING_FILE=str(loose))
    assert (done.returncode, "chmod 600" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


ASK_NOBODY = (
    ["case", "list"],
    ["audit", "verify"],
    ["audit", "export"],
    ["people", "import", "people.csv", "--dry-run"],
)


@pytest.mark.covers("P1")
@pytest.mark.parametrize("command", ASK_NOBODY, ids=" ".join)
def test_what_mails_nobody_and_asks_no_system_runs_without_their_settings(
    place: Path, keyback: Keyback, empty_place: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    values = {
        "KEYBACK_DATA_DIR": str(place / "data"),
        "KEYBACK_MAIL__PASSWORD_FILE": "not-on-this-machine",
        "KEYBACK_PASSWORD__PEPPER_FILE": "nor-this",
        "KEYBACK_SYSTEMS__CRM__KIND": "tryton",  # without its address
        "KEYBACK_SYSTEMS__CRM__TITLE": "CRM",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    (empty_place / "people.csv").write_text("name,email,system,username,external_id\nAnn,ann@example.com,crm,ann,7\n")
    keyback(*command)
    assert "mail.host is not set" in keyback("serve", code=1).stderr
    assert "mail.host is not set" in keyback("worker", code=1).stderr
    monkeypatch.setenv("KEYBACK_KEYRING", SAMPLE)
    assert "not random" in keyback(*command, code=1).stderr


@pytest.mark.slow
def test_exit_codes(place: Path) -> None:
    assert run(place, "audit", "verify").returncode == 0
    assert run(place, "case", "show", "nobody").returncode == 1
    wrong = run(place, "case", "list", "--limit", "0")
    assert (wrong.returncode, "Usage:" in wrong.stderr) == (2, True)


def test_whoever_starts_without_a_file_of_settings_is_told_so_first(
    keyback: Keyback, empty_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = f"No settings file was found: {empty_place / 'keyback.toml'} is not there"
    for command in ("serve", "worker"):
        said = keyback(command, code=1).stderr
        assert said.startswith(f"Error: {first}, and KEYBACK_CONFIG names none. Run keyback init to make one.\n")
        assert "mail.host is not set" in said
    assert f"bad   settings: {first}" in keyback("check", code=1).stdout
    monkeypatch.setenv("KEYBACK_TIMEZONE", "Mars/Base")
    assert first in keyback("serve", code=1).stderr
    (empty_place / "keyback.toml").touch()
    assert "No settings file" not in keyback("serve", code=1).stderr


LOOKED_AT_BRIEFLY = (["--help"], ["openapi"], ["audit", "export"], ["case", "--help"], ["case", "list"], ["check"])


@pytest.mark.slow
@pytest.mark.parametrize("command", LOOKED_AT_BRIEFLY, ids=" ".join)
def test_a_pipe_that_nobody_reads_any_more_ends_a_command_without_a_word(place: Path, command: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)  # as `head` does, only sooner
    process = subprocess.run(
        [sys.executable, "-m", "keyback.cli", *command],
        cwd=place, env=clean(place), stdout=write, stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    os.close(write)
    said = [x for x in process.stderr.splitlines() if not x.startswith("Exporting: ")]  # how far it is
    assert (process.returncode, said) == (READER_GONE, [])


def test_a_connection_that_breaks_is_no_pipe_of_ours(keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(main.commands["check"], "callback", broken)
    assert "Broken pipe" in keyback("check", "--json", code=1).stderr


ASKS = (
    ["restore"],
    ["people", "import", "people.csv", "--addresses-moved"],
    ["case", "cancel", "0123456789abcdefghijkl", "--reason", "INC-4711"],
    ["people", "sign-out", "maya.okafor", "--reason", "INC-4711"],
    ["people", "sign-out", "--all", "--reason", "INC-4711"],
    ["people", "remove", "maya.okafor", "--reason", "INC-4711"],
    ["keys", "unwrap"],
    ["keys", "forget", "1a2b3c4d", "--reason", "INC-4711"],
    ["clock", "repair", "--reason", "INC-4711"],
    ["operator", "remove", "maya.okafor@example.com"],
    ["campaign", "stop", "0123456789abcdefghijkl"],
    ["operator", "key", "remove", "0123456789abcdefghijkl"],
    ["webhook", "remove", "0123456789abcdefghijkl"],
    ["task", "done", "0123456789abcdefghijkl"],
    ["task", "decline", "0123456789abcdefghijkl", "--reason", "INC-4711"],
    ["people", "links", "accept", "0123456789abcdefghijkl", "--reason", "INC-4711"],
)


def asked(returncode: int, stdout: str, stderr: str) -> bool:
    prompt = "standard input is not a terminal. Use --yes to skip the prompt."
    return (returncode, stdout, prompt in stderr) == (2, "", True)


@pytest.mark.slow
def test_what_asks_first_says_what_a_script_has_to_give_and_does_nothing(
    place: Path, keyback: Keyback, empty_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(place, *ASKS[1])
    assert asked(done.returncode, done.stdout, done.stderr), "as a process"
    for name, value in {**SAFE, "KEYBACK_DATA_DIR": str(place / "data")}.items():
        monkeypatch.setenv(name, value)
    (empty_place / "people.csv").write_text((place / "people.csv").read_text())
    before, wrong = keyback("audit", "verify").stdout, {}  # counts its rows
    for command in ASKS:
        told = keyback(*command, code=2)
        if not asked(told.exit_code, told.stdout, told.stderr):
            wrong[" ".join(command)] = told.output
    assert wrong == {}
    assert keyback("audit", "verify").stdout == before


def test_every_command_that_takes_yes_is_asked_here() -> None:
    def paths(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                yield from paths(command, (*path, name))
            elif any("--yes" in p.opts and "ask" in (getattr(p, "help", "") or "") for p in command.params):
                yield (*path, name)

    of_a_system = ("connector", "test")  # asks with --recover alone: tests/cli/test_connector_command.py
    found = {" ".join(p) for p in paths(main, ()) if p != of_a_system}
    assert all(any(" ".join(a).startswith(f) for a in ASKS) for f in found), found
    assert all(any(" ".join(a).startswith(f) for f in found) for a in ASKS), found


@pytest.mark.parametrize("wrong", [["frobnicate"], ["case", "show"], ["serve", "--port"], ["people", "import"]])
def test_wrong_usage_is_2(keyback: Keyback, empty_place: Path, wrong: list[str]) -> None:
    assert "Usage:" in keyback(*wrong, code=2).stderr


def test_a_file_of_settings_that_is_no_toml_is_named(keyback: Keyback, empty_place: Path) -> None:
    (empty_place / "keyback.toml").write_text("public_url = ")
    assert "keyback.toml cannot be read. Line 1 (public_url)" in keyback("check", code=1).stderr


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"kind": "builtin", "url": "https://x.example.com"}, "systems.crm: a built-in system has no url"),
        ({"kind": "demo", "url": "https://x.example.com", "secret": "hunter2", "rul": "hunter2"}, "systems.crm: rul: "),
        ({"kind": "tryton"}, "systems.crm: url, database and login are missing. Add them"),
    ],
)
def test_wrong_keys_of_a_system_are_named_on_one_line(keys: dict[str, str], named: str) -> None:
    gate, system = HashGate(19, 2, 19456, 1, 0), System(title="CRM", **keys)
    with pytest.raises(Unsafe) as told:
        make_connector("crm", system, cast(SqlDatabase, None), gate)
    gate.close()
    assert str(told.value).startswith(named)
    assert [part for part in ("\n", "hunter2", "pydantic") if part in str(told.value)] == []


@pytest.mark.slow
@pytest.mark.covers("Q18")
def test_worker_stops_gracefully_on_sigterm(place: Path) -> None:
    command = [sys.executable, "-c", STARTED, "worker"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=place, env=clean(place), stdout=pipe, stderr=pipe, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["ready", "stopped"]


# The command itself, with a word on standard output once its loops run.
STARTED = """
from keyback.worker import Worker
start = Worker.start
def told(self):
    start(self)
    print("started", flush=True)
Worker.start = told
from keyback.cli import main
main(prog_name="keyback")
"""


def test_check_says_that_valkey_does_not_answer(
    keyback: Keyback, empty_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**SAFE, "KEYBACK_VALKEY_URL": "valkey://u:hunter2@127.0.0.1:1/0"}.items():
        monkeypatch.setenv(name, value)
    done = keyback("check", code=1)
    assert "bad   limits: Valkey does not answer" in done.stdout
    assert "hunter2" not in done.output
