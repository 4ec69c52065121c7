"""Identifiers as people paste them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyback.domain.errors import BadInput
from keyback.domain.people.pasted import pasted
from keyback.domain.people.person import canonicalize
from tests.support.each import each

MAYA = "maya@example.com"


@each(
    "typed",
    [
        MAYA,
        " Maya@Example.com ",
        "mailto:maya@example.com",
        "MAILTO: maya@example.com",
        "mailto:maya%40example.com?subject=Hi",
        "smtp:maya@example.com",
        "Maya Lin <maya@example.com>",
        "<maya@example.com>",
        '"Lin, Maya" <maya@example.com>',
        "maya@example.com;",
        "maya @example.com",
        "maya@ example.com",
        "maya@example. com",
        "maya@example .com, ",
        "maya@example.com,",
        "maya@example.com；",
        "maya@example.com，",
        "maya@example.com.",
        "maya@example.com。",
        "maya@example.com; ",
        "'maya@example.com'",
        "“maya@example.com”",
        "(maya@example.com)",
        "maya@example.com (Maya Lin)",
        "林雅（maya@example.com）",
        "林雅<maya@example.com>；",
        "【maya@example.com】",
        "邮箱：maya@example.com",
        "Email: maya@example.com",
        "[maya@example.com](mailto:maya@example.com)",
        "\u200bmaya@example.com",
        "maya\u200b@example.com",
        "maya@example.com\u200e",
        "\ufeffmaya@example.com",
        "\u202amaya@example.com\u202c",
        "maya\u00ad@exam\u00adple.com",
        "maya＠example.com",
        "ｍａｙａ＠ｅｘａｍｐｌｅ．ｃｏｍ；",
        "maya﹫example.com",
        "\u3000maya@example.com\u3000",
        "maya@example.com\ufe0f",
        "maya@example。com",
    ],
)
def test_an_address_is_read_however_it_was_pasted(typed: str) -> None:
    assert canonicalize(pasted(typed)) == MAYA


@each(
    "typed, name",
    [
        ("maya", "maya"),
        ("maya;", "maya"),
        ("<maya>", "maya"),
        ("“maya”", "maya"),
        ("\u200emaya", "maya"),
        ("maya\u200b", "maya"),
        ("ｍａｙａ；", "maya"),
        ("Maya Lin <maya>", "maya"),
        ("mailto:maya", "maya"),
        ("maya lin", "maya lin"),
        ("J. Lin Jr.", "j. lin jr."),
        ("EXAMPLE\\maya", "example\\maya"),
        ("o'neil@example.com", "o'neil@example.com"),
        ("maya+crm@example.com", "maya+crm@example.com"),
        ("a@b@example.com", "a@b@example.com"),
        ("maya@localhost;", "maya@localhost"),
        ("李雷；", "李雷"),
        ("李 雷", "李 雷"),
        ('"a b"@example.com', '"a b"@example.com'),
        ("maya|eve", "maya|eve"),
        ("maya,eve@example.com", "maya,eve@example.com"),
        ("maya%20", "maya%20"),
        ("a/b", "a/b"),
        ("#42", "#42"),
    ],
)
def test_names_keep_what_is_their_own(typed: str, name: str) -> None:
    assert canonicalize(pasted(typed)) == name


@pytest.mark.covers("A1")
@each(
    "typed, code",
    [
        ("maya@example.com; eve@example.net", "several"),
        ("maya@example.com eve@example.net", "several"),
        ("Maya <maya@example.com>, Eve <eve@example.net>", "several"),
        ("maya@example.com，eve@example.net", "several"),
        ("maya@example.com is mine", "spaces"),
        ("my address maya@example.com", "spaces"),
        ("\u200b\u200b", "not_text"),
    ],
)
def test_what_nobody_can_mean_is_told_by_its_form(typed: str, code: str) -> None:
    with pytest.raises(BadInput) as e:
        pasted(typed)
    assert e.value.code == code


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab.@<>;, \"':()“”；。\u200b\u3000／|mailto"), max_size=40))
def test_reading_twice_changes_nothing_more(typed: str) -> None:
    try:
        once = pasted(typed)
    except BadInput:
        return
    assert pasted(once).strip() == once.strip() or "@" in once or ":" in once


def test_long_texts_are_read_in_no_time() -> None:
    for text in ("@" * 1016, "a@" * 508, "<" * 1016, "mailto:" * 145, "a.b@c." * 169, "x" * 100_000):
        try:
            assert len(pasted(text)) <= len(text)
        except BadInput:
            continue  # told by its form
