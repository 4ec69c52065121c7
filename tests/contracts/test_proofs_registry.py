"""Which proofs a Keyback has: those of the shelf that something carries, and those that a package brings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keyback.bootstrap import make_gate, make_proofs
from keyback.domain.policy.rules import PROOFS
from keyback.settings import Settings, Unsafe

BADGE = """
from keyback.proofs.totp.method import Totp

class Badge(Totp):
    name = "{name}"
    kind = "{kind}"
    life_ms = {life}

def make(gate, public_url):
    return Badge()
"""


def proofs_of(**over: Any) -> list[str]:
    s = Settings(**{"public_url": "https://id.example.com", **over})
    gate = make_gate(s)
    try:
        return list(make_proofs(s, gate))
    finally:
        gate.close()


def test_what_nothing_carries_is_not_there() -> None:
    plain = proofs_of()
    assert "sms_code" not in plain
    assert "im_message" not in plain
    assert {"totp", "backup_email", "recovery_code", "recovery_contact"} <= set(plain)
    assert set(plain) <= set(PROOFS)
    phone = proofs_of(sms={"kind": "http", "prefixes": ["+86"]}, im={"kind": "http"})
    assert set(phone) - set(plain) == {"sms_code", "im_message"}


def test_passkeys_need_a_host_name() -> None:
    assert proofs_of()[0] == "passkey"
    for address in ("http://127.0.0.1:8080", "http://[::1]:8080"):
        assert "passkey" not in proofs_of(public_url=address)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a package that brings a proof under the name `door_badge`."""

    def install(name: str, kind: str, life: int = 600_000) -> None:
        (tmp_path / "keyback_badge.py").write_text(BADGE.format(name=name, kind=kind, life=life), "utf-8")
        info = tmp_path / "keyback_badge-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keyback-badge\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text("[keyback.proofs]\ndoor_badge = keyback_badge:make\n", "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))

    yield install
    sys.modules.pop("keyback_badge", None)
    PROOFS.pop("door_badge", None)


def test_a_package_brings_a_proof_once_the_settings_name_it(package: Callable[..., None]) -> None:
    package("door_badge", "bound")
    assert "door_badge" not in proofs_of()
    assert proofs_of(proofs=["door_badge"])[-1] == "door_badge"
    assert PROOFS["door_badge"] == "bound"


def test_a_name_that_nobody_brings_stops_the_start() -> None:
    with pytest.raises(Unsafe, match="door_badge is not known"):
        proofs_of(proofs=["door_badge"])


@pytest.mark.parametrize("name, kind", [("totp", "issued"), ("door", "bound"), ("door_badge", "magic")])
def test_a_proof_under_a_false_name_or_class_stops_the_start(
    package: Callable[..., None], name: str, kind: str
) -> None:
    package(name, kind)
    with pytest.raises(Unsafe, match="the package that brings door_badge"):
        proofs_of(proofs=["door_badge"])
    assert "door_badge" not in PROOFS


@pytest.mark.covers("N-R5", "A-6.5.5")
@pytest.mark.parametrize(("kind", "life"), [("bound", 600_001), ("issued", 0), ("contact", 24 * 3_600_000 + 1)])
def test_a_question_that_would_wait_too_long_is_refused(package: Callable[..., None], kind: str, life: int) -> None:
    package("door_badge", kind, life)
    with pytest.raises(Unsafe, match=f"waits {life} ms"):
        proofs_of(proofs=["door_badge"])
