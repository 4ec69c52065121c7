"""`keyback policy`: told in words, proved by search; a weak one is named and does not start."""

from __future__ import annotations

import importlib
import json
import tomllib
from functools import partial
from pathlib import Path

import pytest

from keyback.domain.passwords.rules import PRESETS
from keyback.domain.policy.search import search
from keyback.settings import Settings, Unsafe
from keyback.settings_policy import make_policy
from tests.support.commands import Keyback
from tests.support.house import ROOT

WEAK = "[policy]\ntwo_issued_codes = true\n"
REASON = "The field team has no app before June; the board agreed."


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sets of evidence only: tests/policy/test_policy_search.py tries all of them."""
    monkeypatch.setattr(importlib.import_module("keyback.cli.policy"), "search", partial(search, most=2))


def config(place: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = place / "keyback.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.covers("N-R11", "INV-I2")
def test_the_policy_as_it_comes_breaks_nothing(place: Path, keyback: Keyback) -> None:
    said = keyback("policy", "check", "--json").stdout
    answer = json.loads(said)
    assert answer["ok"] is True
    assert answer["preset"] == "nist"
    assert {c["state"] for c in answer["claims"]} == {"holds"}


@pytest.mark.slow
@pytest.mark.covers("SD-D5", "N-R11", "INV-I2")
def test_a_weak_path_is_named_stops_the_start_and_needs_a_reason(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(place, WEAK, monkeypatch)
    said = keyback("policy", "check", code=1).stdout
    line = "People with two-step verification: an email to the primary address (mail:primary) + "
    line += "a code by text message (phone:1)"
    assert f"    {line} → in after a hold of 15 minutes\n" in said
    assert "[two_issued_codes]" in said
    assert "mail and SMS together" in keyback("serve", code=1).stderr
    assert "policy.accepted.two_issued_codes" in keyback("check", code=1).stdout
    path.write_text(WEAK + f'[policy.accepted]\ntwo_issued_codes = "{REASON}"\n', encoding="utf-8")
    said = keyback("policy", "check").stdout
    assert line in said
    assert REASON in said
    assert REASON in keyback("policy", "explain").stdout
    assert make_policy(Settings()).loose == {"two_issued_codes"}


def test_a_draft_is_checked_in_place_of_what_is_in_use(place: Path, keyback: Keyback) -> None:
    draft = place / "draft.toml"
    draft.write_text("[policy]\npreset = 'mlps3'\nfloor = 'standard'\nhold_new_device_minutes = 1\n", encoding="utf-8")
    answer = json.loads(keyback("policy", "check", "--draft", "draft.toml", "--json", code=1).stdout)
    assert {c["claim"] for c in answer["claims"] if c["state"] == "broken"} == {"low_floor", "short_hold"}
    assert answer["preset"] == "mlps3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("off = ['telepathy']", "no proof"),
        ("off = ['email_link']", "cannot be switched off"),
        ("off_for.mfa = ['telepathy']", "no proof"),
        ("accepted.everything = 'It is nicer that way, they said.'", "not one of"),
        ("hold_new_device_minutes = 0", "shorter than the preset"),
        ("second_operator = 'never'", "no one else approves"),
        ("sms_for_privileged = true\naccepted.sms_for_privileged = 'because'", "SMS count"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    config(place, f"[policy]\n{text}\n", monkeypatch)
    with pytest.raises(Unsafe, match=words):
        make_policy(Settings())


@pytest.mark.covers("N-R5", "SD-D9")
@pytest.mark.parametrize("name", ["link_minutes", "sms_code_minutes", "code_life"])
def test_lifetimes_are_no_setting(place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    config(place, f"[policy]\n{name} = 2000\n", monkeypatch)
    assert f"policy.{name}" in keyback("policy", "explain", code=1).stderr


def test_the_policy_is_told_in_both_languages(place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> None:
    english = keyback("policy", "explain").stdout
    assert "One of these gets them in: an email to the primary address" in english
    assert "a code by text message" not in english  # nothing carries one here
    chinese = json.loads(keyback("policy", "explain", "--lang", "zh", "--json").stdout)
    assert chinese["locale"] == "zh_CN"
    assert [x["id"] for x in chinese["sections"]] == ["beginning", "standard", "mfa", "privileged", "waits", "told"]
    config(place, "[policy]\npreset = 'mlps3'\nsecurity_questions = true\n", monkeypatch)
    strict = json.loads(keyback("policy", "explain", "--json").stdout)["sections"]
    assert [x["id"] for x in strict][:2] == ["beginning", "mfa"]
    assert "Everyone needs two-step verification" in " ".join(strict[0]["lines"])


@pytest.mark.slow
@pytest.mark.covers("N-R1", "INV-I9")
def test_a_draft_that_takes_the_last_way_back_is_refused_and_says_from_whom(place: Path, keyback: Keyback) -> None:
    rows = "name,email,tier\nMaya Lin,maya@example.com,\nWei Chen,wei@example.com,\nAda Berg,ada@example.com,mfa\n"
    (place / "people.csv").write_text(rows, encoding="utf-8")
    keyback("people", "import", "people.csv")
    said = keyback("policy", "check", "--people").stdout
    assert "3 people: 2 get back in on their own, 0 with an operator, 1 not at all." in said
    assert "    Ada Berg – People with two-step verification\n" in said
    (place / "draft.toml").write_text("[policy]\nfloor = 'mfa'\n", encoding="utf-8")
    said = keyback("policy", "check", "--people", "--draft", "draft.toml", "--list", "1", code=1).stdout
    assert "The draft removes the last way back for 2 people." in said
    assert "and 1 more" in said
    answer = json.loads(keyback("policy", "check", "--people", "--draft", "draft.toml", "--json", code=1).stdout)
    assert answer["ok"] is False
    assert answer["people"]["ways"] == {"alone": 0, "operator": 0, "none": 3}
    assert {p["name"] for p in answer["people"]["losers"]} == {"Maya Lin", "Wei Chen"}


@pytest.mark.slow
@pytest.mark.covers("SD-D2", "SD-D3", "C-1", "C-4")
@pytest.mark.parametrize("name", PRESETS)
def test_the_report_says_what_each_preset_breaks_and_the_guides_say_the_same(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("KEYBACK_PASSWORD__PRESET", name)
    answer = json.loads(keyback("policy", "check", "--report", "--json").stdout)
    missed = [r["id"] for r in answer["requirements"] if r["state"] == "not kept"]
    assert set(PRESETS[name].conflicts) <= set(missed)
    known = tomllib.loads((ROOT / "docs" / "requirements.toml").read_text("utf-8"))
    assert [r["id"] for r in answer["requirements"] if r["id"] not in known] == []
    for folder, comma in (("en", ", "), ("zh", "、")):
        page = (ROOT / "docs" / folder / "policy.md").read_text("utf-8")
        assert f"| `{name}` | {comma.join(missed)} |" in page


def test_the_report_names_what_was_given_up(place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> None:
    config(place, WEAK + f'security_questions = true\n[policy.accepted]\ntwo_issued_codes = "{REASON}"\n', monkeypatch)
    said = keyback("policy", "check", "--report").stdout
    assert "    given up: N-R11 (two_issued_codes)\n" in said
    assert "    not kept: A-6.4.2 (no_security_questions)\n" in said
    assert "    kept: F7 (mailbox_alone, one_channel)\n" in said
