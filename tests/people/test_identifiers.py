"""The one comparison form of identifiers: what falls together, what does not, what is refused."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keyback.domain.errors import BadInput
from keyback.domain.people.person import MAX_IDENTIFIER, canonicalize
from tests.support.each import each


@pytest.mark.covers("B6", "B7")
@each(
    ("typed", "canonical"),
    [
        ("maya", "maya"),
        ("MAYA", "maya"),
        (" maya ", "maya"),
        ("\tmaya\r\n", "maya"),
        ("\u3000maya\u3000", "maya"),  # ideographic space, left by Chinese keyboards
        ("\u00a0maya\u00a0", "maya"),
        ("\u2003maya", "maya"),
        ("ｍａｙａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "maya@example.com"),
        ("Maya@Example.COM", "maya@example.com"),
        ("ﬀ@example.com", "ff@example.com"),
        ("miKe", "mike"),  # the Kelvin sign
        ("ſam", "sam"),  # long s
        ("ⓞtto", "otto"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("e\u0301va", "éva"),  # decomposed, as macOS types it
        ("李雷", "李雷"),
        ("李雷@例子.公司", "李雷@xn--fsqu00a.xn--55qx5d"),
        ("info@BÜCHER.example", "info@xn--bcher-kva.example"),
        ("info@xn--bcher-kva.example", "info@xn--bcher-kva.example"),
        ("x@STRASSE.example", "x@strasse.example"),
        ("x@straẞe.example", "x@xn--strae-oqa.example"),
        ("x@βόλος.example", "x@xn--nxasmm1c.example"),
        ("x@نامه\u200cای.example", "x@xn--mgba3gch31f060k.example"),  # a joiner that its domain needs
        ("李𮯰", "李𮯰"),  # Unicode 15.1
        ("\U00031350@example.com", "\U00031350@example.com"),  # Unicode 15
        ("王\ue816", "王\ue816"),  # private use of GBK
        ("\U0001e030", "\U0001e030"),  # folds to Cyrillic from Unicode 15 on: taken as it is, whatever Python runs
        ("first last", "first last"),
        ("a@b@example.com", "a@b@example.com"),
    ],
)
def test_what_falls_together(typed: str, canonical: str) -> None:
    assert canonicalize(typed) == canonical


@pytest.mark.covers("B4", "B5", "B6")
@each(
    ("one", "other"),
    [
        ("mıke@example.com", "mike@example.com"),  # dotless i
        ("x@straße.example", "x@strasse.example"),  # two registered domains
        ("x@βόλος.example", "x@βόλοσ.example"),  # final sigma
        ("x@نامه\u200cای.example", "x@نامهای.example"),
        ("MİKE@example.com", "mike@example.com"),  # dotted capital I
        ("julian@cürrent.example", "julian@current.example"),
        ("jülian@current.example", "julian@current.example"),
        ("mike@example.com", "mike@exаmple.com"),  # Cyrillic а in the domain
        ("аdmin", "admin"),
        ("first last", "firstlast"),
        ("first  last", "first last"),
        ("maya+crm@example.com", "maya@example.com"),
        ("m.aya@example.com", "maya@example.com"),
        ("maya@example.com", "maya@example.com."),
        ("maya,eve@example.com", "maya@example.com"),
        ("maya@example.com;eve@example.net", "maya@example.com"),
        ("maya|eve", "maya"),
        ("maya%20", "maya"),
        ("maya%", "maya"),
        ("ма́йя", "майя"),
        ("李蕾", "李雷"),
    ],
)
def test_what_stays_apart(one: str, other: str) -> None:
    assert canonicalize(one) != canonicalize(other)


@pytest.mark.covers("B6", "B15")
@each(
    "typed",
    [
        "ad\u200bmin",  # zero-width space
        "ad\u200dmin",  # zero-width joiner
        "\u202eadmin",  # right-to-left override
        "admin\u200f",
        "\ufeffadmin",
        "admin\x00",
        "\x00",
        "ad\tmin",
        "ad\nmin",
        "ad\x0bmin",
        "ad\x7fmin",
        "ad\x85min",
        "ad\u2028min",
        "a\ud800b",
        "\udcff\udcfe",  # what surrogateescape makes of overlong UTF-8
        "a\ufdd0b",
        "a\U0010ffffb",
        "a\u00adb",  # soft hyphen
        "x@ex\u0378ample.com",  # unassigned
        "x@ü..example",
        "x@-ü-.example",
        "x@ü" + "a" * 64 + ".example",
    ],
)
def test_what_is_no_text(typed: str) -> None:
    with pytest.raises(BadInput) as refused:
        canonicalize(typed)
    assert refused.value.code == "not_text"
    assert typed not in str(refused.value)


@pytest.mark.covers("B15")
@each("typed", ["", " ", "\t\r\n", "\u3000", "\u00a0\u2003"])
def test_nothing_is_nobody(typed: str) -> None:
    with pytest.raises(BadInput, match="empty"):
        canonicalize(typed)


@pytest.mark.covers("B15")
@each(
    "typed",
    [
        "a" * 255,
        "a" * 1_000_000,
        "ﷺ" * 20,  # one character that becomes eighteen
        " " * 600 + "a" + " " * 600,
        "a" * 180 + "@" + ".".join(["ü" * 10] * 6) + ".example",  # short as typed, long as A-label
    ],
)
def test_too_long(typed: str) -> None:
    with pytest.raises(BadInput, match="too_long"):
        canonicalize(typed)


@pytest.mark.covers("B15")
def test_the_longest_that_is_taken() -> None:
    assert canonicalize(" " + "A" * 254 + " ") == "a" * 254


CHARS = st.one_of(
    st.characters(),
    st.sampled_from("aA@.İıſKßﬀſ\u0345\u0301\u0323ͅΑͺᾳῼΐ\u1e9e ＠。．\u3000\u00a0\u200dxn-üÜ例"),
)


@pytest.mark.slow
@pytest.mark.covers("B4", "B6", "B7", "B15")
@settings(max_examples=1500, deadline=None)
@given(st.text(CHARS, max_size=30))
@example("a" * 180 + "@" + ".".join(["ü" * 10] * 6) + ".example")
@example("́ͅa")
@example("x@。")
@example("x@xn--\u00fc")
@example("x@a\u0345b.c")
def test_any_text_is_either_refused_in_words_or_has_one_form(typed: str) -> None:
    try:
        once = canonicalize(typed)
    except BadInput as refused:
        codes = ("empty", "too_long", "not_text")
        assert refused.code in codes  # noqa: PT017 - both ends are fine
        return
    assert canonicalize(once) == once
    assert 0 < len(once) <= MAX_IDENTIFIER
    assert once == once.strip()
    assert "\0" not in once
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in once)
    once.encode()


@pytest.mark.covers("B6", "B7")
@settings(max_examples=400, deadline=None)
@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20))
def test_case_and_space_around_never_make_another_user(name: str) -> None:
    forms = {canonicalize(t) for t in (name, name.upper(), name.lower(), f" {name}\t", f"\u3000{name}\u00a0")}
    assert len(forms) == 1


@pytest.mark.slow
@pytest.mark.covers("B4")
@settings(max_examples=600, deadline=None)
@given(st.text(CHARS, min_size=1, max_size=12), st.text(CHARS, min_size=1, max_size=12))
def test_equal_forms_are_equal_under_nfkc_and_case_folding_only(one: str, other: str) -> None:
    """Nothing beyond NFKC, case folding, the space around and the domain's A-label ever makes two names one."""

    def plain(text: str) -> str:
        return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()

    try:
        a, b = canonicalize(one), canonicalize(other)
    except BadInput:
        return
    if "@" not in plain(one) + plain(other):
        assert (a == b) == (plain(one) == plain(other))
    elif plain(one) == plain(other):
        assert a == b
