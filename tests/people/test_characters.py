"""Characters are judged and folded alike by every version of Python, and addresses by all who read one."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from keyback.channels.mail import mime
from keyback.channels.sanitize import safe_name
from keyback.domain.characters import INVISIBLE, LATER, NOT_TEXT, compatible, is_shown, normalized
from keyback.domain.errors import BadInput
from keyback.domain.people.mail_address import read_mail_address
from tests.support.each import each


@pytest.mark.slow
@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="made from the tables of Python 3.11")
def test_the_table_is_what_unicode_14_leaves_unassigned() -> None:
    everything = map(chr, range(sys.maxunicode + 1))
    wrong = [
        c for c in everything if (unicodedata.category(c) == "Cn") != bool(LATER.match(c)) and not NOT_TEXT.match(c)
    ]
    assert wrong == []


def test_what_is_assigned_by_now_was_refused_nowhere() -> None:
    for c in ("\U0002ebf0", "\U00031350", "\U0001fae8", "\ue816", "\uf8ff", "\U0010fffd", "\u0378"):
        assert is_shown(c), hex(ord(c))
        assert normalized("NFKC", c) == compatible(c) == c
    for c in ("\ufdd0", "\uffff", "\U0001fffe", "\ud800", "\x00", "\x9f", "\u2028"):
        assert NOT_TEXT.match(c), hex(ord(c))
        assert not is_shown(c)


def test_every_mark_that_nobody_sees_is_known() -> None:
    formats = {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) == "Cf"}
    assert {c for c in formats if not INVISIBLE.match(c) and not LATER.match(c)} == {"\u200c", "\u200d"}


def test_folding_is_as_python_folds_what_it_knows() -> None:
    for text in ("ＭＡＹＡ", "Straße", "ﬀ", "e\u0301", "İ", "ΣΑΣ", "Ⅷ", "㍿"):
        by_hand = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        assert compatible(text) == unicodedata.normalize("NFKC", by_hand)
    assert compatible("É\U00031350ＭE\u0301") == "é\U00031350mé"


@each("name", ["李\U0002ebf0", "\U00031350文", "王\ue816", "Maya \U0001fae8"])
def test_no_mail_loses_a_character_of_a_name(name: str) -> None:
    assert safe_name(name) == name
    assert mime.words(name).startswith("=?utf-8?b?")
    header = mime.words(name)
    from email.header import decode_header

    assert "".join(part.decode(charset or "ascii") for part, charset in decode_header(header)) == name


@each(
    ("typed", "spec", "utf8"),
    [
        ("chen@firm.local", "chen@firm.local", False),
        ("chen@firm.lan", "chen@firm.lan", False),
        ("a.b+c@relay.test", "a.b+c@relay.test", False),
        ("Maya@Example.COM", "Maya@Example.COM", False),
        ("maya@例子.公司", "maya@xn--fsqu00a.xn--55qx5d", False),
        ("x@straße.example", "x@xn--strae-oqa.example", False),
        ("陈屿@example.com", "陈屿@example.com", True),
        ("e\u0301va@example.com", "éva@example.com", True),
        ("\U00031350@example.com", "\U00031350@example.com", True),
    ],
)
def test_an_address_is_the_same_for_import_and_sender(typed: str, spec: str, utf8: bool) -> None:
    found = read_mail_address(typed)
    assert (found.spec, found.utf8) == (spec, utf8)
    assert mime.address(typed) == mime.Address(spec, utf8)


@each(
    "typed",
    [
        "", "@", "a@", "@b.example", "chen", "quinn@localhost", "a b@example.com", "a@b@example.com", ".a@example.com",
        "a..b@example.com", "a@example..com", "a@-x.example", "a@example.com.", "a@192.0.2.1", "a@[192.0.2.1]",
        '"a b"@example.com', "a@ex ample.com", "a\u200b@example.com", "陈\u3000屿@example.com", "a@exa_mple.com",
        "a" * 65 + "@example.com", "a@" + "b" * 64 + ".example", "陈" * 22 + "@example.com", "a@x." + "y" * 250,
    ],
)  # fmt: skip
def test_what_is_no_address_for_either(typed: str) -> None:
    with pytest.raises(BadInput, match="not_mail"):
        read_mail_address(typed)
    with pytest.raises(mime.BadMessage):
        mime.address(typed)
