"""Which proofs a Keyback has: those of the shelf that something carries, and those that a package brings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from keyback import registry
from keyback.bootstrap import Proofs, make_proofs
from keyback.bootstrap_keys import make_gate
from keyback.domain.policy.rules import PROOFS
from keyback.settings import Settings
from keyback.settings_policy import make_policy
from tests.support.each import each

BADGE = """
from pathlib import Path
from keyback.application.ports.proofs import About
from keyback.proofs.totp.method import Totp

class Badge(Totp):
    name = "{name}"
    kind = "{kind}"
    carrier = "{carrier}"
    life_ms = {life}
    about = About(Path(__file__).parent, "Your badge", "Hold it up", "a badge", "by badge", page="badge.html")
"""
CHINESE = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"

msgid "Your badge"
msgstr "你的工牌"

msgid "Hold it up"
msgstr "贴近读卡器"

msgid "a badge"
msgstr "工牌"

msgid "by badge"
msgstr "通过工牌"

msgid "The number on it"
msgstr "工牌上的号码"
"""
PAGE = "{% import 'portal/answer.html' as answer with context %}{{ answer.digits(_('The number on it')) }}"


def proofs_of(**over: Any) -> Proofs:
    s = Settings(**{"public_url": "https://id.example.com", **over})
    gate = make_gate(s)
    try:
        return make_proofs(s, gate)
    finally:
        gate.close()


def test_what_nothing_carries_is_not_there() -> None:
    plain = proofs_of().offered
    assert "sms_code" not in plain
    assert "im_message" not in plain
    assert {"totp", "backup_email", "recovery_code", "recovery_contact"} <= set(plain)
    phone = proofs_of(sms={"kind": "http", "prefixes": ["+86"]}, im={"kind": "http"}).offered
    assert set(phone) - set(plain) == {"sms_code", "im_message"}


def test_passkeys_need_a_host_name() -> None:
    assert list(proofs_of().offered)[:2] == ["email_link", "passkey"]
    for address in ("http://127.0.0.1:8080", "http://[::1]:8080"):
        assert "passkey" not in proofs_of(public_url=address).offered


def test_ours_are_what_the_rules_say_and_have_all_texts() -> None:
    found = proofs_of(
        sms={"kind": "http", "prefixes": ["+86"]},
        im={"kind": "http"},
        providers={"crm": {"title": "CRM", "issuer": "https://crm.example.com", "client_id": "k", "system": ""}},
    )
    assert found.kinds == {n: PROOFS.get(n, kind) for n, kind in found.kinds.items()}
    assert set(found.offered) == set(registry.OWN[registry.PROOFS]) == set(found.abouts)
    faults = {n: registry.about_faults(a) for n, a in found.abouts.items()}
    assert faults.pop("email_link") == ["there is no page  in its folder"]  # no page asks for it by itself
    assert not any(faults.values())
    assert found.bad == ()


def test_one_more_of_ours_is_a_folder_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.OWN[registry.PROOFS], "door_badge", "keyback_badge:Badge")  # type: ignore[attr-defined]
    with package(entry=""):
        found = proofs_of()
        assert make_policy(Settings(), found.kinds).brought == (("door_badge", "bound"),)
        assert found.abouts["door_badge"].title == "Your badge"
        assert registry.about_faults(found.abouts["door_badge"]) == []


@contextmanager
def package(name: str = "door_badge", kind: str = "bound", carrier: str = "", **over: Any) -> Iterator[None]:
    """A package is installed that brings a proof as `door_badge`."""
    values = {"name": name, "kind": kind, "carrier": carrier, "life": 600_000, **over}
    files = {
        "keyback_badge.py": over.get("code", BADGE).format(**values),
        "zh_CN.po": over.get("chinese", CHINESE),
        "badge.html": over.get("page", PAGE),
    }
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        folder = Path(place)
        for file, text in files.items():
            if text is not None:
                (folder / file).write_text(text, "utf-8")
        info = folder / "keyback_badge-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keyback-badge\nVersion: 1.0\n", "utf-8")
        entry = over.get("entry", "door_badge = keyback_badge:Badge")
        (info / "entry_points.txt").write_text(f"[keyback.proofs]\n{entry}\n" if entry else "", "utf-8")
        patch.syspath_prepend(place)
        yield
        sys.modules.pop("keyback_badge", None)


def test_a_package_brings_a_proof_once_the_settings_name_it() -> None:
    with package():
        assert "door_badge" not in proofs_of().offered
        found = proofs_of(proofs=["door_badge"])
        badge = found.abouts["door_badge"].say("zh_CN", "Your badge")
    assert list(found.offered)[-1] == "door_badge"
    assert found.bad == ()
    assert badge == "你的工牌"
    policy = make_policy(Settings(), found.kinds)
    assert policy.brought == (("door_badge", "bound"),)
    assert policy.takes("door_badge")
    assert "door_badge" not in PROOFS


def test_one_that_nothing_carries_is_not_offered() -> None:
    with package(carrier="sms"):
        found = proofs_of(proofs=["door_badge"])
    assert "door_badge" not in found.offered
    assert "door_badge" in found.abouts


@pytest.mark.slow
@pytest.mark.covers("N-R5", "A-6.5.5")
@each(
    ("why", "over"),
    [
        ("calls itself door", {"name": "door"}),
        (
            "no kind of contact pigeon",
            {"code": BADGE.replace('page="badge.html"', 'page="badge.html", contact="pigeon"')},
        ),
        ("no class magic", {"kind": "magic"}),
        ("nothing carries pigeon", {"carrier": "pigeon"}),
        ("waits 600001 ms", {"life": 600_001}),
        ("waits 0 ms", {"kind": "issued", "life": 0}),
        ("waits 86400001 ms", {"kind": "contact", "life": 24 * 3_600_000 + 1}),
        ("ModuleNotFoundError: No module named 'badge_reader'", {"code": "import badge_reader"}),
        ("cannot be loaded (ZeroDivisionError)", {"code": "1 / 0"}),
        ("has no attribute 'Card'", {"entry": "door_badge = keyback_badge:Card"}),
        ("failed with TypeError", {"code": BADGE + "    make = None\n"}),
        ("is no keyback About", {"code": BADGE.split("    about")[0] + "    about = 'A badge'\n"}),
        ("there is no page badge.html", {"page": None}),
        ("is no template", {"page": "{% if %}"}),
        ("zh_CN.po lacks 5 texts, such as “Your badge”", {"chinese": ""}),
        ("zh_CN.po lacks 1 texts, such as “Swipe it”", {"page": PAGE + "{{ _('Swipe it') }}"}),
        ("which is the name of a built-in one", {"entry": "totp = keyback_badge:Badge"}),
    ],
)
def test_what_is_wrong_with_a_package_is_said_and_the_rest_goes_on(why: str, over: dict[str, Any]) -> None:
    with package(**over):
        found = proofs_of(proofs=["door_badge"])
    assert any(why in words and "keyback-badge 1.0" in words for words in found.bad), found.bad
    assert "door_badge" not in found.offered
    assert "totp" in found.offered


def test_a_name_that_nobody_brings_is_said() -> None:
    found = proofs_of(proofs=["door_badge"])
    assert found.bad == ("door_badge is not known and no installed package brings it",)
    assert "totp" in found.offered
