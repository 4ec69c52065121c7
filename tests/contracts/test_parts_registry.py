"""Connectors and gateways of packages that cannot be used: said by name, and the rest goes on without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keyback import registry
from keyback.application.ports.connectors import Plan, Unavailable
from keyback.domain.secret import Secret
from keyback.settings import Unsafe
from keyback.testing.channels import short_letter
from tests.support.commands import Keyback
from tests.support.each import each
from tests.support.kit import Kit
from tests.support.samples import package

CONNECTOR = "[keyback.connectors]\nodd = keyback_odd:make\n"
GATEWAY = "[keyback.gateways]\nodd = keyback_odd:Odd\n"
ABOUT = """
from pydantic import BaseModel
from keyback.channels.gateways.base import GatewayAbout

class Odd:
    about = GatewayAbout({title}, frozenset({carries}), BaseModel, {errors})

    @classmethod
    def from_options(cls, options, clock):
        return cls()
"""
TITLE = '{"en": "Odd", "zh_CN": "怪"}'


def gateway(**over: str) -> str:
    return ABOUT.format(**{"title": TITLE, "carries": '{"sms"}', "errors": "{}", **over})


@each(
    ("why", "code"),
    [
        ("ModuleNotFoundError: No module named 'ledgers'", "import ledgers"),
        ("has no attribute 'make'", ""),
        ("making it failed with KeyError", "def make(*given): raise KeyError('s3cret')"),
        ("it has no name, title, capabilities", "def make(*given): return object()"),
    ],
)
def test_what_is_wrong_with_a_connector_is_said(why: str, code: str) -> None:
    with package(CONNECTOR, code), pytest.raises(registry.BadPart) as caught:
        registry.make_connector("odd", "crm", "CRM", {})
    assert why in str(caught.value)
    assert "keyback-odd 1.0" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@each(
    ("why", "code"),
    [
        ("ModuleNotFoundError: No module named 'pagers'", "import pagers"),
        ("it needs `about`", "def Odd(options, clock): ..."),
        ("its title is missing in en", gateway(title='{"zh_CN": "怪"}')),
        ("it carries sms, im or both", gateway(carries='{"mail"}')),
        ("its code 7 means none of sent, temporary, permanent", gateway(errors='{"7": ("perhaps", "busy")}')),
    ],
)
def test_what_is_wrong_with_a_gateway_is_said(why: str, code: str) -> None:
    with package(GATEWAY, code), pytest.raises(registry.BadPart) as caught:
        registry.load_gateway("odd")
    assert why in str(caught.value)
    assert "keyback-odd 1.0" in str(caught.value)


def test_ours_say_what_they_are() -> None:
    for kind in registry.OWN[registry.GATEWAYS]:
        assert registry.gateway_faults(registry.load_gateway(kind)) == [], kind
    with pytest.raises(registry.Unknown, match="pigeon is not known"):
        registry.load_gateway("pigeon")


def test_a_name_of_ours_stays_ours() -> None:
    with package("[keyback.gateways]\ntwilio = keyback_odd:Odd\n", gateway()):
        assert registry.load_gateway("twilio").about.title["en"] == "Twilio"
        [words] = registry.taken(registry.GATEWAYS)
    assert "keyback-odd 1.0 brings twilio" in words


def test_keyback_starts_and_what_is_meant_for_them_waits(make_kit: Any, caplog: pytest.LogCaptureFixture) -> None:
    with package(CONNECTOR + GATEWAY, "import nothing_there"):
        systems = {"builtin": {"kind": "builtin", "title": "Keyback"}, "odd": {"kind": "odd", "title": "Odd"}}
        kit: Kit = make_kit(systems=systems, sms={"kind": "odd", "prefixes": ["+1"]})
        s = kit.services
        plan = Plan("job", "1", "maya", Secret("supper ladder teapot 7"))
        assert [(o.status, o.code) for o in kit.run(s.connectors["odd"].apply(plan))] == [("retry", "unavailable")]
        with pytest.raises(Unavailable, match="nothing_there"):
            kit.run(s.connectors["odd"].find("maya"))
        letter = short_letter(1, "sms", "+12025550123", kit.clock())
        assert [r.status for r in kit.run(s.channel.send([letter]))] == ["temporary"]
        assert "builtin" in s.connectors
        with pytest.raises(Unsafe, match=r"systems.crm.kind: pigeon is not known"):
            make_kit(systems={"crm": {"kind": "pigeon", "title": "CRM"}})


def test_check_names_every_one_and_goes_on(
    place: Path,
    keyback: Keyback,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "SYSTEMS": '{"odd": {"kind": "odd", "title": "Odd"}}',
        "SMS__KIND": "odd",
        "SMS__PREFIXES": '["+1"]',
        "PROOFS": '["odd"]',
    }.items():
        monkeypatch.setenv(f"KEYBACK_{name}", value)
    entries = CONNECTOR + GATEWAY + "[keyback.proofs]\nodd = keyback_odd:Proof\n"
    with package(entries, "import nothing_there"):
        checks = {c["name"]: c for c in json.loads(keyback("check", "--json", code=1).output)["checks"]}
    for name in ("system odd", "sms", "proofs"):
        assert checks[name]["status"] == "bad"
        assert "keyback-odd 1.0 brings, cannot be loaded" in checks[name]["detail"]
    assert checks["hashing"]["status"] in ("ok", "warn")
