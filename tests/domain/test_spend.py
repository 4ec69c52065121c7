"""Phone numbers in one form, and what texts may cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyback.domain.errors import BadInput
from keyback.domain.phone import e164, is_e164, shown
from keyback.domain.spend import SpendRules, names, prefix_of, ruling

RULES = SpendRules(("+86", "+852", "+1", "!+1876", "+1242"), daily_per_prefix=5, daily_per_person=2)


@pytest.mark.parametrize(
    "typed, region, number",
    [
        ("138 0013 8000", "CN", "+8613800138000"),
        ("+86 (138) 0013-8000", "", "+8613800138000"),
        ("0086 13800138000", "CN", "+8613800138000"),
        ("１３８００１３８０００", "cn", "+8613800138000"),
        ("5123 4567", "HK", "+85251234567"),
    ],
)
def test_one_form_of_a_number(typed: str, region: str, number: str) -> None:
    assert e164(typed, region) == number
    assert is_e164(number)


@pytest.mark.parametrize(
    "typed, code",
    [
        ("13800138000", "phone_not_understood"),  # no country
        ("", "phone_not_understood"),
        ("+", "phone_not_understood"),
        ("+8613800138000 ext. 5", "phone_not_understood"),
        ("+999123456789", "phone_not_understood"),
        ("+86138", "phone_not_understood"),
        ("+8613800138000;phone-context=example.com" * 3, "phone_not_understood"),
        ("+19005550123", "phone_without_messages"),  # premium rate
        ("+18005550123", "phone_without_messages"),  # toll-free
        ("+861059800000", "phone_without_messages"),  # a landline
    ],
)
def test_what_is_no_phone_for_messages(typed: str, code: str) -> None:
    with pytest.raises(BadInput) as raised:
        e164(typed)
    assert raised.value.code == code
    assert not is_e164(typed)


@given(st.text(max_size=60))
def test_any_text_is_a_number_or_refused(typed: str) -> None:
    try:
        assert is_e164(e164(typed, "CN"))
    except BadInput:
        pass


def test_a_hint_shows_country_and_two_digits() -> None:
    assert shown("+8613800138042") == "+86 ••• 42"
    assert shown("+12025550123") == "+1 ••• 23"


@pytest.mark.covers("INV-I10")
@pytest.mark.parametrize(
    "number, prefix",
    [
        ("+8613800138000", "+86"),
        ("+85251234567", "+852"),
        ("+12025550123", "+1"),
        ("+18765550123", None),  # shut, though +1 is open
        ("+12425550123", "+1242"),
        ("+447400123456", None),
    ],
)
def test_the_longest_prefix_counts(number: str, prefix: str | None) -> None:
    assert prefix_of(number, RULES) == prefix
    assert list(names(number, "p1", RULES)) == ([] if prefix is None else [f"sms/{prefix}", "sms/p/p1"])


@pytest.mark.covers("INV-I10")
@pytest.mark.parametrize(
    "counted, why",
    [
        ((), "prefix_not_allowed"),
        ((1, 1), None),
        ((5, 2), None),
        ((6, 2), "prefix_spent"),
        ((5, 3), "person_spent"),
        ((6, 3), "person_spent"),
    ],
)
def test_a_budget_that_is_used_up_withholds(counted: tuple[int, ...], why: str | None) -> None:
    assert ruling(counted, RULES) == why
