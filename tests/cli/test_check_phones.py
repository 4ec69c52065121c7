"""`keyback check` on SMS and chat services: signs in where that can be done, and sends nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keyback.testing.gateways import WeComFake
from keyback.testing.serving import served
from tests.support.commands import Keyback


def words(keyback: Keyback, name: str) -> str:
    found = json.loads(keyback("check", "--json", code=1).output)  # the relay of this place is down
    return next(str(c["detail"]) for c in found["checks"] if c["name"] == name)


def wecom(monkeypatch: pytest.MonkeyPatch, url: str, secret: str) -> None:
    for key, value in {"KIND": "wecom", "URL": url, "CORP_ID": WeComFake.corp_id, "AGENT_ID": "1000002"}.items():
        monkeypatch.setenv(f"KEYBACK_IM__{key}", value)
    monkeypatch.setenv("KEYBACK_IM__SECRET", secret)


def test_a_chat_service_is_signed_in_to(place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WeComFake()
    with served(fake) as url:
        wecom(monkeypatch, url, fake.secret)
        assert "WeCom: signed in" in words(keyback, "im")
        monkeypatch.setenv("KEYBACK_IM__SECRET", "another-secret-4711")
        said = keyback("check", code=1).output
        assert "gettoken: errcode 40001" in said
        assert "another-secret-4711" not in said
    assert fake.messages == []
    assert "not reachable" in words(keyback, "im")


def test_wrong_keys_are_named_without_their_values(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYBACK_SMS__KIND", "twilio")
    monkeypatch.setenv("KEYBACK_SMS__PREFIXES", '["+86"]')
    monkeypatch.setenv("KEYBACK_SMS__ACCOUNT", "canary-4711")
    said = keyback("check", code=1).output
    assert "account" in said
    assert "canary-4711" not in said
    monkeypatch.setenv("KEYBACK_SMS__KIND", "pigeon")
    assert "pigeon is not known" in keyback("check", code=1).output


@pytest.mark.covers("INV-I10")
def test_sms_to_everywhere_is_refused(place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYBACK_SMS__KIND", "twilio")
    for prefixes in ("[]", '["!+1876"]'):
        monkeypatch.setenv("KEYBACK_SMS__PREFIXES", prefixes)
        assert "sms.prefixes is empty" in keyback("check", code=1).output
    monkeypatch.setenv("KEYBACK_SMS__PREFIXES", '["86"]')
    assert "a prefix is like +86" in keyback("check", code=1).output
