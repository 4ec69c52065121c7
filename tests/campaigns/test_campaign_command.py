"""`keyback campaign`: drafts of any length from the server, which nobody can approve there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.campaigns import run
from tests.support.kit import Kit, person
from tests.support.steps import fit

Make = Callable[..., Kit]


@pytest.fixture
def kit(place: Any, make_kit: Make, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Kit:
    made = make_kit(url=sqlite_url)
    fit(made, *(person(f"p{n:04}") for n in range(1200)))
    keyring = made.settings.keyring
    assert keyring is not None
    monkeypatch.setenv("KEYBACK_KEYRING", keyring.get_secret_value())
    return made


@pytest.mark.slow
def test_a_long_list_is_drafted_and_stopped_on_the_server(kit: Kit, keyback: Any, tmp_path: Path) -> None:
    lines = ["username,name", *(f"p{n:04},Person {n}" for n in range(1200)), "", '"nobody, at all",x']
    (tmp_path / "people.csv").write_text("\ufeff" + "\n".join(lines), "utf-8")
    done = keyback("campaign", "start", "Callers", "--list", str(tmp_path / "people.csv"), "--json")
    made = json.loads(done.output)
    assert (made["list_lines"], made["list_unknown"], made["state"]) == (1202, 2, "collecting")
    assert made["drafted_by"] == "server"
    while kit.write(run.collect):
        pass
    fields = json.loads(keyback("campaign", "status", made["id"], "--json").output)
    assert (fields["people"], fields["state"]) == (1200, "drafted")
    assert "Callers" in keyback("campaign", "status").output
    assert "people" in keyback("campaign", "status", made["id"]).output
    assert keyback("campaign", "stop", made["id"], "--yes").output == "Stopped.\n"
    assert "has ended" in keyback("campaign", "stop", made["id"], "--yes", code=1).output


def test_what_is_wrong_is_said(kit: Kit, keyback: Any, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("nobody\n")
    (tmp_path / "old.csv").write_bytes("张三\n".encode("gb18030"))
    for args, says in (
        (["", ], "Give the campaign a name"),
        (["A", "--system", "nowhere"], "No system has this name"),
        (["A", "--list", str(tmp_path / "none.csv")], "No one is known"),
        (["A", "--list", str(tmp_path / "old.csv")], "Save it as CSV in UTF-8"),
    ):  # fmt: skip
        assert says in keyback("campaign", "start", *args, code=1).output
    for bad in ("22:00", "22:00-25:00", "x-y"):
        assert "such as 22:00-07:00" in keyback("campaign", "start", "A", "--quiet", bad, code=2).output
    assert "keyback campaign status" in keyback("campaign", "stop", "x" * 22, "--yes", code=1).output
    assert not kit.write(run.collect), "a list that nobody is known by is stopped"
