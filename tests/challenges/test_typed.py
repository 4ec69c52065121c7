"""Codes as people type and paste them: one reader for every code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyback.domain.challenges.typed import MAX_TYPED, bare, digits
from keyback.proofs.recovery_code.method import read
from tests.support.each import each

INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2066\u2069\ufeff\u00ad\u180e\ufe0f\u034f"
SPACES = " \t\r\n\u00a0\u2003\u2009\u202f\u3000\u2800\u3164"
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\u30fc\u301c"


@pytest.mark.covers("B13")
@each("mark", [*INVISIBLE, *SPACES, *DASHES, "\r\n", " \u200b\u3000"])
def test_what_no_eye_counts_falls_away_wherever_it_stands(mark: str) -> None:
    for typed in (f"{mark}12345678", f"12345678{mark}", f"1234{mark}5678", mark.join("12345678")):
        assert digits(typed, 8) == "12345678", repr(typed)
    assert digits(f"4{mark}7", 2) == "47"


@each(
    "typed",
    [
        "12345678",
        "１２３４５６７８",
        "１２３４　５６７８",
        "１２３４－５６７８。",
        "12345678.",
        "12345678。",
        "12345678，",
        "“12345678”",
        "「12345678」",
        "(1234 5678)",
        "【12345678】",
        "<12345678>",
        "`12345678`",
        "*12345678*",
        ": 12345678",
        "\u200e12345678\u200e",
        "\ufeff12345678",
        "12345678\u200b.",
        "1\ufe0f2\ufe0f3\ufe0f45678",
        "\t12345678 !",
        " " * 150 + "12345678",
        "١٢٣٤٥٦٧٨",
        "۱۲۳۴۵۶۷۸",
        "१२३४ ५६७८",
        "๑๒๓๔๕๖๗๘",
        "𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖",
        "1٢3۴5६7８",
        "code: 12345678",
        "Code   1234 5678",
        "验证码：1234 5678",
        "验证码12345678。",
        "Your code is 1234-5678.",
        "12345678 is your code",
    ],
)
def test_codes_as_they_are_pasted(typed: str) -> None:
    assert digits(typed, 8) == "12345678"


@pytest.mark.covers("B13", "B15")
@each(
    "typed",
    [
        "",
        "1234567",
        "123456789",
        "1234567a",
        "¹²³⁴⁵⁶⁷⁸",
        "①②③④⑤⑥⑦⑧",
        "一二三四五六七八",
        "1234\x005678",
        "+1234567",
        "1234567%",
        "1234.5678",
        "1234,5678",
        "1234/5678",
        "x12345678",
        "12345678x",
        "order 12 code 12345678",
        "12345678, 10 minutes",
        "12345678" * 1000,
        "\ud800" * 8,
        " " * MAX_TYPED + "12345678",
    ],
)
def test_what_cannot_be_a_code(typed: str) -> None:
    assert digits(typed, 8) is None


@each("typed", ["", "4", "047", "-4", "4.", "٤٧٤", "4a", "4.7", "47" * 4000])
def test_what_cannot_be_the_number(typed: str) -> None:
    assert digits(typed, 2) is None


@each("typed", ["47", " 47 ", "４７", "４７。", "4 7", "47.", "No. 47", "٤٧", "\u200e47", "#\uff14\uff17"])
def test_the_number_as_phones_write_it(typed: str) -> None:
    assert digits(typed, 2) == "47"


@each(
    "typed",
    [
        "K7QF2M-9X3B1T-ZZ81AC",
        "k7qf2m 9x3b1t zz81ac",
        "Ｋ７ＱＦ２Ｍ－９Ｘ３Ｂ１Ｔ－ＺＺ８１ＡＣ",
        "K7QF2M–9X3B1T—ZZ81AC.",
        "\u200bK7QF2M9X3B1TZZ81AC\u200e",
        "“K7QF2M-9X3BIT-ZZ8LAC”",
        "K7QF2M\u20119X3B1T\u2011ZZ81AC\u3002",
    ],
)
def test_saved_codes_are_read_by_the_same_reader(typed: str) -> None:
    found = read(typed)
    assert found is not None
    assert (found[0], found[1].reveal()) == ("K7", "QF2M9X3B1TZZ81AC")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30))
def test_any_typed_text_is_a_code_or_none(typed: str) -> None:
    code = digits(typed, 8)
    assert code is None or (len(code) == 8 and code.isascii() and code.isdigit())
    assert bare(bare(typed)) == bare(typed)
