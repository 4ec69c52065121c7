"""What makes a password acceptable."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyback.domain.passwords.rules import (
    PRESETS,
    READ_BYTES,
    READ_CODE_POINTS,
    Blocklist,
    Context,
    Rules,
    Unreadable,
    check,
    context_words,
    normalize,
    requirements,
    state_of,
)
from tests.support.each import each

NIST, CLASSIC = PRESETS["nist"], PRESETS["classic"]
COMMON = Blocklist(["password", "dragon", "abc123", "letmein", "P@ssw0rd!", "woaini1314", "123456"])
OFFICE = Context(
    companies=("Northwind Trading Co.", "北辰贸易"),
    systems=("Salesforce", "CRM"),
    usernames=("li.wei88",),
    names=("Li Wei", "王芳"),
    mails=("l.wei@bluebarn.example.com",),
)
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), max_size=300)


def codes(password: str, rules: Rules = NIST, context: Context = OFFICE, with_factor: bool = False) -> list[str]:
    return [v.code for v in check(password, rules, context, COMMON, with_factor)]


# ── reading ─────────────────────────────────────────────────────────────────


@pytest.mark.covers("N-P9", "L6", "R-4")
@given(TEXT)
def test_normal_form_is_nfc_and_stays(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once == unicodedata.normalize("NFC", text)


@pytest.mark.covers("N-P9", "L6")
@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), max_size=100))
def test_decomposed_and_composed_typing_are_one_password(text: str) -> None:
    assert normalize(unicodedata.normalize("NFD", text)) == normalize(unicodedata.normalize("NFC", text))


@pytest.mark.covers("L7", "N-P3", "A-6.2.8")
@given(st.text(" \u00a0\u3000\u2003", max_size=5), st.text("ab é中", max_size=20), st.text(" \u00a0\u3000", max_size=5))
def test_spaces_at_the_ends_are_never_trimmed(before: str, text: str, after: str) -> None:
    assert len(normalize(before + text + after)) == len(before) + len(normalize(text)) + len(after)


@pytest.mark.covers("L6", "N-P9", "R-4")
@each(
    ("one", "other", "same"),
    [
        ("caf\u00e9", "cafe\u0301", True),
        ("\u1e69", "s\u0307\u0323", True),
        ("\uac00", "\u1100\u1161", True),
        ("\u212b", "\u00c5", True),  # the Ångström sign is canonically Å
        ("\uff21", "A", False),  # fullwidth
        ("\ufb01", "fi", False),  # ligature
        ("\u00b2", "2", False),
        ("\u2460", "1", False),
        ("\u3000", " ", False),
        ("\u00a0", " ", False),
        ("A", "a", False),
        ("pass", "pass ", False),
    ],
)
def test_only_canonical_twins_are_one(one: str, other: str, same: bool) -> None:
    assert (normalize(one) == normalize(other)) is same


@pytest.mark.covers("L1", "R-4")
@each(
    ("password", "code"),
    [
        ("a" * (READ_CODE_POINTS + 1), "too_long_to_read"),
        ("a" * 1_000_000, "too_long_to_read"),
        ("\ufb2c" * 400, "too_long_to_read"),  # three code points each under NFC
        ("tab\there and more words", "not_text"),
        ("line\nbreak and more words", "not_text"),
        ("nul\x00 in the middle of it", "not_text"),
        ("next line \x85 and more", "not_text"),
        ("lone \ud800 surrogate half", "not_text"),
        ("not a character \uffff here", "not_text"),
    ],
)
def test_unreadable_is_refused_alone_and_without_an_echo(password: str, code: str) -> None:
    with pytest.raises(Unreadable) as caught:
        normalize(password)
    assert str(caught.value) == caught.value.violation.code == code
    assert codes(password) == [code]


@pytest.mark.covers("N-P9")
@each(
    "password",
    [
        "shaking \U0001fae8 faces",  # an emoji of 2022
        "splatter \U0001fac6 of 2024",
        "one of times to come \U0001fb00\U0003fffd",
        "rare \U0002ebf0\U00031350 names they have",
        "private \ue000\U000f0000 use for letters",
        "unassigned \U000e0fff here",
    ],
)
def test_characters_of_every_unicode_version_are_taken_as_they_are(password: str) -> None:
    assert normalize(password) == password
    assert codes(password) == []


@pytest.mark.covers("N-P9")
def test_what_comes_later_does_not_change_how_its_neighbours_are_composed() -> None:
    assert normalize("e\u0301\U0001fae8e\u0301") == "é\U0001fae8é"


@pytest.mark.covers("L1")
def test_reading_limits_are_inclusive_and_count_bytes_too() -> None:
    assert len(normalize("a" * READ_CODE_POINTS)) == READ_CODE_POINTS
    assert len(normalize("😀" * (READ_BYTES // 4)).encode()) == READ_BYTES
    with pytest.raises(Unreadable, match="too_long_to_read"):
        normalize("😀" * (READ_BYTES // 4) + "é")


# ── length and classes ──────────────────────────────────────────────────────


@pytest.mark.covers("N-P1", "A-6.2.1")
def test_fifteen_alone_eight_with_a_factor() -> None:
    assert codes("walnut harbour") == ["too_short"]
    assert codes("walnut harbours") == []
    assert codes("walnut harbour", with_factor=True) == []
    assert codes("walnuts", with_factor=True) == ["too_short"]


@pytest.mark.covers("N-P1", "N-P11")
def test_too_short_says_how_many_there_are() -> None:
    (v,) = check("tin harbour", NIST, OFFICE, COMMON)
    assert v.text.format(**v.values) == "At least 15 characters; this has 11."
    assert v.suggestion == "One or two more words will do."


@pytest.mark.covers("N-P3", "L6")
@each("unit", ["中", "😀"])
def test_one_code_point_is_one_character(unit: str) -> None:
    assert codes(unit * 15) == []
    assert codes(unit * 14) == ["too_short"]


@pytest.mark.covers("N-P3", "L6")
def test_a_letter_and_its_accent_are_one_character() -> None:
    assert codes("caf\N{LATIN SMALL LETTER E}\u0301 walnut mu\u0308") == ["too_short"]
    assert codes("caf\N{LATIN SMALL LETTER E}\u0301 walnut mu\u0308d") == []


@pytest.mark.covers("N-P2", "A-6.2.9")
@each("rules", PRESETS.values(), ids=PRESETS)
@each("length", [64, 128, 256])
def test_long_ones_are_welcome(rules: Rules, length: int) -> None:
    unlike = "".join(chr(0x4E00 + i) for i in range(length - 4)) + "aB3-"
    assert codes(unlike, rules) == []
    assert codes(unlike + "x" * (257 - length), rules) == ["too_long"]


@pytest.mark.covers("N-P4", "A-6.2.5", "D3")
def test_nist_asks_for_no_classes() -> None:
    assert codes("aaaa bbbb cccc dd") == []


@pytest.mark.covers("D3")
@each(
    ("password", "missing"),
    [
        ("walnut", ["too_short", "class_upper", "class_digit", "class_symbol"]),
        ("WALNUT-77", ["class_lower"]),
        ("walnut-77", ["class_upper"]),
        ("Walnut-xx", ["class_digit"]),
        ("Walnut 77", ["class_symbol"]),
        ("Walnut-77", []),
        ("Ärmel—77", []),
        ("", ["too_short", "class_upper", "class_lower", "class_digit", "class_symbol"]),
    ],
)
def test_classic_names_every_missing_class_at_once(password: str, missing: list[str]) -> None:
    assert codes(password, CLASSIC) == missing


@pytest.mark.covers("D2", "D3")
def test_presets_say_what_they_break() -> None:
    assert (NIST.max_age_days, NIST.history, NIST.conflicts) == (None, 0, ())
    assert (CLASSIC.max_age_days, CLASSIC.history) == (180, 5)
    assert {"N-P4", "N-P5"} <= set(CLASSIC.conflicts)


@pytest.mark.covers("D3", "N-P2")
@each(
    "change",
    [
        {"max_length": 63},
        {"max_length": 2000},
        {"min_length": 7, "min_length_with_factor": 7},
        {"min_length": 65},
        {"min_length_with_factor": 16},
        {"classes_required": 2},
        {"history": -1},
        {"max_age_days": 0},
    ],
)
def test_rules_no_preset_may_have(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="password"):
        replace(NIST, **change)  # type: ignore[arg-type]


# ── lists ───────────────────────────────────────────────────────────────────


@pytest.mark.covers("N-P10", "N-P11", "A-6.2.4", "D3")
@each("rules", PRESETS.values(), ids=PRESETS)
@each(
    "password",
    [
        "Password-2026!!!",
        "p4$$W0rd-20261!!",
        "PASSWORDpassword-1",
        "Dragon1-Dragon1-",
        "!!!!!!!letMein-2026",
        "ＰＡＳＳＷＯＲＤ-202611!",
        "Abc123!!!!!!!!!!",
        "Woaini1314-2026!",
        "123456-123456-123456",
    ],
)
def test_common_ones_in_disguise_are_refused_in_every_preset(password: str, rules: Rules) -> None:
    assert "blocklisted" in codes(password, rules)


@pytest.mark.covers("N-P10")
@each(
    "password",
    [
        "aaaaaaaaaaaaaaa",
        "123456789012345",
        "987654321098765",
        "abcabcabcabcabca",
        "qwertyuiopasdfgh",
        "1qaz2wsx3edc4rfv",
    ],
)
def test_repeats_and_runs_are_refused_with_their_own_reason(password: str) -> None:
    (v,) = check(password, NIST, OFFICE, COMMON)
    assert v.code == "blocklisted"
    assert "repeats itself" in v.text


@pytest.mark.covers("N-P10", "A-6.2.11")
@each(
    "password",
    [
        "Salesforce2026!",
        "$ale5force-2026",
        "S a l e s f o r c e 1",
        "My Salesforce password 1",
        "Salesforce-CRM-2026",
        "Northwind Trading",
        "NorthwindTradingCo.1",
        "li.wei88@2026!!",
        "WeiLi20260101!!!",
        "王芳19900101198012",
        "北辰贸易我的密码2026!!",
        "l.wei@bluebarn.example.com",
        "BlueBarn-2026!!!",
        "crm crm crm crm 1",
    ],
)
def test_names_around_the_account_are_refused(password: str) -> None:
    assert "context_word" in codes(password)


@pytest.mark.covers("N-P10")
@each(
    "password",
    [
        "the crm keeps a walnut in its harbour",
        "dragon lamps over salesforce harbour",
        "my password is a walnut",
        "northwind blows on green barns",
        "芳香的北辰像一盏绿色的灯照着港湾",
        "9384756102938475",
    ],
)
def test_a_listed_word_inside_a_phrase_is_no_hit(password: str) -> None:
    assert codes(password) == []


@pytest.mark.covers("L9", "I4", "N-P11")
@each("password", ["Salesforce2026!", "password", "x" * 2000, "Canary\tCanary", "Canary-"])
def test_violations_never_hold_the_password(password: str) -> None:
    found = check(password, CLASSIC, OFFICE, COMMON)
    assert found
    for v in found:
        assert "Canary" not in repr(v)
        assert "alesforce" not in repr(v)
        assert v.text
        assert v.suggestion


def test_short_and_single_words_of_a_context_do_not_count() -> None:
    assert context_words(Context(names=("Bo X", "王"), companies=("", "A-1"))) == {"box", "xbo"}
    assert codes("walnut harbours", context=Context()) == []


@given(st.text(max_size=60))
def test_judging_never_breaks_and_is_steady(text: str) -> None:
    assert check(text, CLASSIC, OFFICE, COMMON) == check(text, CLASSIC, OFFICE, COMMON)


# ── the list beside the field ───────────────────────────────────────────────


def test_requirements_come_before_typing() -> None:
    assert [r.code for r in requirements(NIST)] == ["too_short", "blocklisted", "context_word"]
    assert [r.code for r in requirements(CLASSIC)][1:5] == ["class_upper", "class_lower", "class_digit", "class_symbol"]
    assert [requirements(NIST, f)[0].values["min"] for f in (False, True)] == [15, 8]


def test_states_follow_the_candidate() -> None:
    def states(text: str) -> list[str]:
        return [s.state for s in state_of(text, NIST, OFFICE, COMMON)]

    assert states("") == states("a\tb") == ["idle"] * 3
    assert states("walnut") == ["unmet", "met", "met"]
    assert states("Salesforce2026!") == ["met", "met", "unmet"]
    assert states("password") == ["unmet", "unmet", "met"]
    assert states("walnut harbours") == ["met", "met", "met"]


@given(TEXT)
def test_all_met_means_nothing_speaks_against_it_but_its_length(text: str) -> None:
    met = all(s.state == "met" for s in state_of(text, NIST, OFFICE, COMMON))
    assert met == (bool(text) and codes(text) in ([], ["too_long"]))
