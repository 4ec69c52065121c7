"""A company's own texts: what becomes of them, and that nothing else does."""

from __future__ import annotations

import re

import pytest

from keyback.domain.brand.face import tel
from keyback.domain.brand.prose import read_prose
from tests.support.each import each


def test_paragraphs_emphasis_and_links() -> None:
    found = read_prose(
        "Only for *people* of **our** company.\r\nOpen to 18:00.\n\n\n[Rules](https://example.com/a?b=1&c=2), "
        "[call](tel:+86-755-1), [write](mailto:it@example.com)"
    )
    assert found.html == (
        "<p>Only for <em>people</em> of <strong>our</strong> company.<br>Open to 18:00.</p>"
        '<p><a href="https://example.com/a?b=1&amp;c=2" rel="noreferrer">Rules</a>, '
        '<a href="tel:+86-755-1" rel="noreferrer">call</a>, '
        '<a href="mailto:it@example.com" rel="noreferrer">write</a></p>'
    )
    assert found.text == (
        "Only for people of our company.\nOpen to 18:00.\n\nRules (https://example.com/a?b=1&c=2), "
        "call (+86-755-1), write (it@example.com)"
    )


@each(
    "source",
    [
        "<script>alert(1)</script>",
        "**<b onclick=x>**",
        "[<img src=x>](https://example.com)",
        '" onmouseover="x',
        "&lt;script&gt; &amp; \\<b\\>",
        "![x](https://example.com/y.png)",
        "# heading\n- list\n> quote\n`code`\n<https://example.com>",
        "[a](https://example.com)(javascript:x)",
        "***x*** **a*b** *",
        "[a][b]\n\n[b]: javascript:alert(1)",
    ],
)
def test_nothing_injects(source: str) -> None:
    html = read_prose(source).html
    tags = re.findall(r"<[^>]*>", html)
    allowed = r'</?(p|strong|em)>|<br>|</a>|<a href="(https|tel|mailto):[^"<>]*" rel="noreferrer">'
    assert all(re.fullmatch(allowed, tag) for tag in tags), tags
    assert not re.search(r"[<>]", re.sub(r"<[^>]*>", "", html))


@each(
    "url",
    [
        "javascript:alert`1`",
        "JaVaScRiPt:alert`1`",
        "data:text/html,x",
        "http://example.com",
        "//example.com",
        "/account",
        "https://",
        "https://maya@example.com",
        "https://example.com/\u202e",
        "https://exa\\mple.com",
        "https://example.com/'x",
        "mailto:a@example.com?cc=b@example.com",
        "tel:*#06#",
        "sms:+1",
    ],
)
def test_links_lead_to_sites_phones_and_mailboxes_only(url: str) -> None:
    with pytest.raises(ValueError, match="https://…, tel:"):
        read_prose(f"[x]({url})")


def test_signs_can_be_meant_as_they_are() -> None:
    assert read_prose(r"2 \* 3 \* 4, \[x\]\(y\)").html == "<p>2 * 3 * 4, [x](y)</p>"
    assert read_prose("2 * 3").html == "<p>2 * 3</p>"
    assert read_prose("  \n\n ").html == ""


def test_a_text_has_an_end() -> None:
    with pytest.raises(ValueError, match="2000"):
        read_prose("x" * 2001)


@each(
    "phone, link",
    [
        ("+86 755 8888 0000", "tel:+8675588880000"),
        ("(020) 7946-0100 ext. 4357", "tel:02079460100;ext=4357"),
        ("0755-88880000转4357", "tel:075588880000;ext=4357"),
        ("8100", "tel:8100"),
        ("+44.20.7946.0100 x12", "tel:+442079460100;ext=12"),
    ],
)
def test_numbers_as_people_write_them_can_be_called(phone: str, link: str) -> None:
    assert tel(phone) == link


@each("phone", ["call us", "1", "+", "*#06#", "+86 755 8888 0000 9999 1234", "12;ext=<b>"])
def test_what_is_no_number_is_refused(phone: str) -> None:
    with pytest.raises(ValueError, match="phone number"):
        tel(phone)
