"""`keyback check` asks every provider that people sign in with, and names the section of one that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import Keyback
from tests.support.openid import SECRET, provider


def found(keyback: Keyback) -> dict[str, tuple[str, str, str]]:
    said = keyback("check", "--json", code=1).output  # the relay of this place is down
    assert SECRET not in said
    return {c["name"]: (c["status"], c["detail"], c["next"]) for c in json.loads(said)["checks"]}


def test_a_provider_is_asked_and_its_section_named(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    with provider() as there:
        section = there.section()["crm"]
        monkeypatch.setenv("KEYBACK_PROVIDERS", json.dumps({"crm": section}))
        assert found(keyback)["provider crm"][0] == "ok"
        assert set(there.issuer.calls) == {"/.well-known/openid-configuration", "/keys"}  # nobody is signed in
        for said, word in (
            ({"issuer": "https://other.example.com"}, "another issuer"),
            ({"token_endpoint": "https://other.example.com/token"}, "hosts"),
            ({"code_challenge_methods_supported": ["plain"]}, "PKCE"),
            ({"id_token_signing_alg_values_supported": ["HS256"]}, "no key"),
        ):
            there.issuer.metadata = lambda own, said=said: {**own, **said}  # type: ignore[misc]
            status, detail, step = found(keyback)["provider crm"]
            assert status == "bad"
            assert word in f"{detail} {step}"
            assert "providers.crm" in step
    status, _, step = found(keyback)["provider crm"]  # it runs no more
    assert status == "bad"
    assert "providers.crm" in step
    monkeypatch.setenv("KEYBACK_PROVIDERS", json.dumps({"crm": {**section, "issuer": ""}}))
    everything = found(keyback)
    assert everything["providers"][:2] == ("bad", "providers.crm: issuer is missing")
    assert "hashing" in everything
