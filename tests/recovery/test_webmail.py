"""The link to a web mail on the waiting page: from what was typed, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyback.domain.people.webmail import KNOWN, webmail_of
from keyback.settings_file import Unsafe as Unsafe
from keyback.settings_sections import Mail
from tests.support.browser import Browser
from tests.support.each import each
from tests.support.kit import Kit, person

OWN = {"example.com": "https://exmail.qq.com/"}


@each(
    ("identifier", "where"),
    [
        ("maya@gmail.com", "https://mail.google.com/mail/"),
        ("maya@hotmail.com", "https://outlook.live.com/mail/"),
        ("10001@qq.com", "https://mail.qq.com/"),
        ("maya@exmail.qq.com", "https://exmail.qq.com/"),
        ("maya@163.com", "https://mail.163.com/"),
        ("maya@126.com", "https://mail.126.com/"),
        ("maya@aliyun.com", "https://mail.aliyun.com/"),
        ("maya@example.com", "https://exmail.qq.com/"),
        ("maya@gmail.com.example.net", None),
        ("gmail.com", None),
        ("maya", None),
        ("tel:+8613800138000", None),
        ("", None),
    ],
)
def test_where_mail_is_read_follows_from_the_domain(identifier: str, where: str | None) -> None:
    found = webmail_of(identifier, OWN)
    assert (found[1] if found else None) == where


def test_every_known_page_is_https_and_has_a_name() -> None:
    assert all(url.startswith("https://") and titles["en"] for titles, url in KNOWN.values())


def test_a_page_in_the_settings_is_an_https_address() -> None:
    assert Mail(webmail={"Example.COM": "https://mail.example.com/"}).webmail == {
        "example.com": "https://mail.example.com/"
    }
    for bad in ("http://mail.example.com/", "javascript:alert(1)", "https://x@mail.example.com/", "mail.example.com"):
        with pytest.raises(ValueError, match="https address"):
            Mail(webmail={"example.com": bad})


@pytest.mark.covers("A1", "C6")
def test_the_waiting_page_links_to_it_for_known_and_unknown_alike(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(mail={"webmail": OWN})
    kit.write(lambda tx: tx.people.save_imported([person("maya", "maya@gmail.com")]))

    def waiting(typed: str) -> str:
        browser = Browser(kit)
        where = browser("POST", "/forgot", f"identifier={typed}&system=&journey=password").headers["location"]
        return browser("GET", where).text

    for typed, url in (
        ("maya%40gmail.com", "https://mail.google.com/mail/"),
        ("nobody%40gmail.com", "https://mail.google.com/mail/"),
        ("nobody%40example.com", "https://exmail.qq.com/"),
    ):
        page = waiting(typed)
        assert f'href="{url}" target="_blank" rel="noopener noreferrer"' in page
        assert "Open " in page
    assert "noopener noreferrer" not in waiting("maya"), "a user name says nothing of a mailbox, known or not"
    assert "noopener noreferrer" not in waiting("nobody")
