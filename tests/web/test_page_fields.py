"""What the fields of the pages say of themselves, and what the pages do not ask."""

from __future__ import annotations

from pathlib import Path

import pytest

import keyback
from tests.support import gallery
from tests.support.drawn import Tree, draw

SAMPLES = {name: (page, shell) for name, page, shell in gallery.samples("en")}


def inputs(name: str) -> list[dict[str, str]]:
    return [a for a in Tree(draw(*SAMPLES[name])).all("input") if a.get("type") != "hidden"]


@pytest.mark.covers("N-P14", "A-6.2.6")
@pytest.mark.parametrize("name", ["password", "sign-in", "account-password", "account-confirm-password"])
def test_passwords_are_hidden_and_have_a_button_that_shows_them(name: str) -> None:
    fields = [a for a in inputs(name) if "password" in a.get("autocomplete", "")]
    assert fields
    assert {a["type"] for a in fields} == {"password"}
    buttons = {a.get("aria-controls") for a in Tree(draw(*SAMPLES[name])).all("button") if "aria-pressed" in a}
    assert {a["id"] for a in fields} <= buttons


@pytest.mark.covers("N-P7")
def test_choosing_a_password_asks_for_nothing_else() -> None:
    for name in ("password", "password-errors", "account-password", "account-password-errors"):
        asked = {a["name"] for a in inputs(name) if a.get("type") not in ("checkbox", "radio")} - {"username"}
        current = {"current_password"} if name.startswith("account-") else set()
        assert asked == {"new_password", *current}, name


@pytest.mark.slow
@pytest.mark.covers("X-2")
def test_who_one_is_is_asked_once() -> None:
    first = ("triage", "forgot", "find", "sign-in", "ask")
    later = [n for n in SAMPLES if not n.startswith((*first, "demo"))]
    assert len(later) > 100
    for name in later:
        assert [a for a in inputs(name) if a.get("name") == "identifier"] == [], name
    assert all(any(a.get("name") == "identifier" for a in inputs(n)) for n in ("forgot", "find", "sign-in", "ask"))


@pytest.mark.slow
@pytest.mark.covers("N-P13", "A-6.2.7", "X-1", "X-5", "SD-D4")
def test_codes_and_passwords_can_be_pasted() -> None:
    found = 0
    for name in SAMPLES:
        for a in inputs(name):
            if {"one-time-code", "new-password", "current-password"} & set(a.get("autocomplete", "").split()):
                found += 1
                room = 10 if "one-time-code" in a["autocomplete"] else 128  # a code with its spaces and dashes
                assert int(a.get("maxlength") or 1000) >= room, (name, a)
                assert not [k for k in a if k.startswith("on")], (name, a)
    assert found > 20
    for file in (Path(keyback.__file__).parent / "web" / "static").glob("*.js"):
        text = file.read_text("utf-8")
        assert not [word for word in ("paste", "beforeinput", "contextmenu", "drop") if f"'{word}'" in text], file.name


@pytest.mark.covers("X-7")
def test_what_happened_is_announced() -> None:
    for name in (
        "waiting", "stopped", "sign-in-slow", "sign-in-off", "sign-in-busy", "account-password-done",
        "account-password-errors", "account-second-wrong", "password-errors", "unlock-failing",
    ):  # fmt: skip
        assert {"status", "alert"} & {a.get("role") for _, a in Tree(draw(*SAMPLES[name])).tags}, name


@pytest.mark.slow
@pytest.mark.covers("SD-D4")
def test_password_managers_are_recommended_after_a_recovery() -> None:
    for locale, words in (("en", "password manager"), ("zh_CN", "密码管理器")):
        told = {
            name for name, page, shell in gallery.samples(locale) if words in " ".join(Tree(draw(page, shell)).texts)
        }
        assert any(name.startswith("after") or "-after" in name for name in told), sorted(told)
