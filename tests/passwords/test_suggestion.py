"""A password to take as it is: every word can be typed anywhere, and what comes out keeps the rules of all systems."""

from __future__ import annotations

import math

import pytest

from keyback.application.passwords.suggestion import load_words, suggest
from keyback.domain.passwords.target_rules import TargetRules
from keyback.locale import Locale

ALL: tuple[Locale, ...] = ("en", "ja", "zh_CN")
ROMANIZED = {"ja", "zh_CN"}


@pytest.mark.parametrize("locale", ALL)
def test_words_can_be_typed_on_every_keyboard(locale: Locale) -> None:
    words = [word for word, _ in load_words(locale)]
    assert len(set(words)) == len(words)
    assert all(w.isascii() and w.isalpha() and w.islower() and 2 <= len(w) <= 12 for w in words)
    assert all(bool(meaning) == (locale in ROMANIZED) for _, meaning in load_words(locale))
    assert 4 * math.log2(len(words)) + math.log2(100) > 41


@pytest.mark.parametrize("locale", ALL)
def test_a_suggestion_keeps_what_systems_ask(locale: Locale) -> None:
    strict = TargetRules(
        min_length=14, max_length=64, classes=frozenset({"class_upper", "class_lower", "class_digit", "class_symbol"})
    )
    drawn = [suggest(locale, lambda p: not strict.violations(p)) for _ in range(50)]
    assert None not in drawn
    assert len({d.password for d in drawn if d}) == 50, "no two are alike"
    for d in drawn:
        assert d is not None
        assert d.password not in repr(d)
        assert len(d.meaning.split()) == (d.password.count("-") if locale in ROMANIZED else 0)


def test_where_it_has_to_be_short_there_are_fewer_words_or_none() -> None:
    short = suggest("en", lambda p: len(p) <= 24)
    assert short is not None
    assert len(short.password) <= 24
    assert suggest("en", lambda p: len(p) <= 8) is None
