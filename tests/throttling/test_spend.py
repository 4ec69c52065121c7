"""Phone numbers in one form, and what texts may cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyback.domain.errors import BadInput
from keyback.domain.people.phone import e164, is_e164, shown
from keyback.domain.throttling.sms_quota import Asker, SpendRules, prefix_of, quotas, ruling
from tests.support.each import each

RULES = SpendRules(
    ("+86", "+852", "+1", "!+1876", "+1242"),
    daily_per_prefix=5,
    daily_per_person=2,
    hourly_per_prefix=5,
    hourly_per_person=2,
)


@each(
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


@each(
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
        ("+447012345678", "phone_without_messages"),  # personal numbers
        ("+4970012345678", "phone_without_messages"),
        ("+15005550123", "phone_without_messages"),
        ("+878101234567890", "phone_without_messages"),  # universal personal numbers
        ("+881612345678", "phone_without_messages"),  # satellites
        ("+870301234567", "phone_without_messages"),
        ("+979123456789", "phone_without_messages"),  # international premium rate
        ("+80012345678", "phone_without_messages"),  # international toll-free
        ("+80812345678", "phone_without_messages"),  # international shared cost
        ("+448431234567", "phone_without_messages"),  # shared cost
        ("+49180512345", "phone_without_messages"),
    ],
)
def test_what_is_no_phone_for_messages(typed: str, code: str) -> None:
    with pytest.raises(BadInput) as raised:
        e164(typed)
    assert raised.value.code == code
    assert not is_e164(typed)


@pytest.mark.slow
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
@each(
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
    keys = [q.key for q in quotas(number, "p1", RULES)]
    assert keys[:2] == ([] if prefix is None else [f"sms/{prefix}", "sms/p/p1"])


@pytest.mark.covers("A9", "INV-I10")
@each(
    "allowed, number, prefix",
    [
        # A calling code that several countries share is the main one.
        (("+1", "!+1876"), "+16585550123", None),  # the other area code of Jamaica
        (("+1",), "+16585550123", None),
        (("+1",), "+18095550123", None),  # the Dominican Republic
        (("+1",), "+17875550123", None),  # Puerto Rico
        (("+1",), "+12425550123", None),  # the Bahamas
        (("+1",), "+14165550123", "+1"),  # Canada
        (("+1", "+1658"), "+16585550123", "+1658"),
        (("+1", "+1658", "!+1876"), "+16585550123", "+1658"),
        (("+1", "+165", "!+1876"), "+16585550123", None),
        (("+16", "!+1876"), "+16585550123", None),
        (("+44",), "+447911123456", None),  # Guernsey
        (("+44",), "+447400123456", "+44"),
        (("+447",), "+447781123456", None),
        (("+44", "+447781"), "+447781123456", "+447781"),
        (("+447781", "!+447781"), "+447781123456", None),
        (("+7",), "+77012345678", None),  # Kazakhstan
        (("+7",), "+79161234567", "+7"),
        (("+7", "+77"), "+77012345678", "+77"),
        (("+7", "!+77"), "+77012345678", None),
        (("+39",), "+393123456789", "+39"),
        (("+262",), "+262692123456", "+262"),
        (("+599",), "+5993181234", None),  # Bonaire
        (("+599", "+5993"), "+5993181234", "+5993"),
        (("+86", "!+86170"), "+8617012345678", None),  # a part of a country that shares its code with none
        (("+86", "!+86170"), "+8613800138000", "+86"),
        (("+1", "!+1212"), "+12125550123", None),
        (("+1", "!+1212"), "+12025550123", "+1"),
    ],
)
def test_a_prefix_reaches_the_country_that_it_names(allowed: tuple[str, ...], number: str, prefix: str | None) -> None:
    assert prefix_of(number, SpendRules(allowed)) == prefix


@pytest.mark.covers("INV-I10", "A9")
@each(
    "hours, days, why",
    [
        ((1, 1, 1), (1, 1, 1), None),
        ((5, 2, 2), (5, 2, 2), None),
        ((1, 1, 1), (6, 2, 2), "prefix_spent"),
        ((1, 1, 1), (5, 3, 2), "person_spent"),
        ((1, 1, 1), (6, 3, 3), "person_spent"),
        ((1, 1, 1), (5, 2, 3), "number_spent"),
        ((6, 1, 1), (5, 2, 2), "prefix_spent"),
        ((1, 3, 1), (5, 2, 2), "person_spent"),
        ((1, 1, 3), (5, 2, 2), "number_spent"),
    ],
)
def test_a_quota_that_is_used_up_withholds(hours: tuple[int, ...], days: tuple[int, ...], why: str | None) -> None:
    limits = quotas("+8613800138000", "p1", RULES)
    assert ruling(list(zip(limits, hours, days, strict=True))) == why
    assert ruling(()) == "prefix_not_allowed"


@pytest.mark.covers("A9", "INV-I9")
def test_who_asks_decides_which_quota_pays() -> None:
    keys: dict[Asker, set[str]] = {}
    askers: tuple[Asker, ...] = ("stranger", "known", "proven", "notice")
    for asker in askers:
        keys[asker] = {q.key for q in quotas("+8613800138000", "p1", RULES, asker)}
        assert len(keys[asker]) == 3
    assert not any(keys["stranger"] & keys[other] for other in askers[1:])
    assert keys["known"] & keys["notice"] == {"sms/own/+86"}, "what one prefix may cost is shared"
    assert quotas("+8613800138000", "p1", RULES, "notice")[1].hour == RULES.daily_per_person
