"""`keyback people sign-out`: an administrator ends the sessions of one person or of everybody (A-7.4.5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.signin import second_step, sessions
from keyback.application.signin.sessions import SignedIn, session_of
from keyback.application.signin.sign_in import SecondStep
from tests.support.commands import Keyback
from tests.support.enrolled import add_totp, person_id, totp_now
from tests.support.kit import Kit, person
from tests.support.steps import HERE, OLD, fit, set_password, sign_in, types

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
WHY = ("--reason", "A laptop was stolen")


@pytest.fixture
def kit(place: Path, make_kit: Make, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Maya with two sessions and Omar with one, on the database that the commands work on."""
    kit = make_kit(url=database_url)
    monkeypatch.setenv("KEYBACK_DATABASE_URL", kit.settings.database)
    keyring = kit.settings.keyring
    assert keyring is not None
    monkeypatch.setenv("KEYBACK_KEYRING", keyring.get_secret_value())
    fit(
        kit,
        person("maya", "maya@example.com", "team@example.com"),
        person("omar", "omar@example.com", "team@example.com"),
    )
    for who in ("maya", "omar"):
        set_password(kit, who)
    return kit


def token(kit: Kit, who: str) -> str:
    done = sign_in(kit, who, OLD)
    assert isinstance(done, SignedIn)
    return done.token


def live(kit: Kit, *tokens: str) -> list[bool]:
    return [kit.read(lambda tx, t=t: session_of(tx, t)) is not None for t in tokens]


def told(kit: Kit, who: str) -> list[Any]:
    pid = person_id(kit, who)
    return [h.data for h in kit.read(lambda tx: tx.audit.of_person(pid, 2**62, 50)) if h.type == "sessions_ended"]


@pytest.mark.slow
@pytest.mark.covers("A-7.4.5")
@pytest.mark.parametrize("name", ["maya", "Maya@Example.COM", "id"])
def test_one_person_is_signed_out_everywhere(kit: Kit, keyback: Keyback, name: str) -> None:
    maya, other, omar = token(kit, "maya"), token(kit, "maya"), token(kit, "omar")
    given = person_id(kit) if name == "id" else name
    said = keyback("people", "sign-out", given, *WHY, "--yes", "--json")
    assert json.loads(said.stdout) == {"people": 1, "sessions": 2}
    assert live(kit, maya, other, omar) == [False, False, True]
    assert told(kit, "maya") == [{"count": 2, "by": "operator", "reason": "A laptop was stolen"}]
    assert told(kit, "omar") == []
    assert live(kit, token(kit, "maya")) == [True], "it is no lock"


@pytest.mark.covers("A-7.4.5")
def test_everybody_is_signed_out(kit: Kit, keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PORTION", 1)
    tokens = [token(kit, "maya"), token(kit, "omar"), token(kit, "omar")]
    said = keyback("people", "sign-out", "--all", *WHY, "--yes")
    assert "3 sessions of 2 people have ended." in said.stdout
    assert "Signing out: 2 of 2" in said.stderr
    assert live(kit, *tokens) == [False] * 3
    assert len(told(kit, "maya")) == len(told(kit, "omar")) == 1
    assert types(kit).count("everybody_signed_out") == 1
    assert "0 sessions of 0 people" in keyback("people", "sign-out", "--all", *WHY, "--yes").stdout


@pytest.mark.covers("A-7.4.5")
@pytest.mark.parametrize("whom", ["maya", "--all"])
def test_a_sign_in_that_waits_for_its_second_step_ends_too(kit: Kit, keyback: Keyback, whom: str) -> None:
    add_totp(kit)
    step = sign_in(kit, "maya", OLD)
    assert isinstance(step, SecondStep)
    assert kit.read(lambda tx: second_step.look(tx, step.token)) is not None
    keyback("people", "sign-out", whom, *WHY, "--yes")
    s = kit.services
    done = kit.run(second_step.take(s.db, s.proofs["totp"], step.token, totp_now(kit), HERE))
    assert not isinstance(done, SignedIn)


def test_it_asks_first_and_wants_to_know_whom_and_why(kit: Kit, keyback: Keyback) -> None:
    maya = token(kit, "maya")
    assert "--yes" in keyback("people", "sign-out", "maya", *WHY, code=2).output
    keyback("people", "sign-out", "maya", "--yes", code=2)
    keyback("people", "sign-out", "maya", "--reason", "\x1b[2J", "--yes", code=2)
    keyback("people", "sign-out", *WHY, "--yes", code=2)
    keyback("people", "sign-out", "maya", "--all", *WHY, "--yes", code=2)
    assert "No one has this" in keyback("people", "sign-out", "who", *WHY, "--yes", code=1).output
    assert "2 people share" in keyback("people", "sign-out", "team@example.com", *WHY, "--yes", code=1).output
    assert live(kit, maya) == [True]
    assert told(kit, "maya") == []
