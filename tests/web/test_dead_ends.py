"""Where somebody is stuck, the page says what else there is, and its link leads there (the brief's common problems)."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.live import live

STUCK = {
    "mail": "/forgot",
    "expired": "/forgot",
    "locked": "/forgot?journey=locked",
    "question": "/forgot",
    "backup": "/account/contacts",
    "phone": "/forgot?journey=second_factor",
    "mailbox": "/forgot?journey=mailbox",
    "stop": "/forgot",
}
# What each journey calls itself and does next; nobody who lost a phone is told to reset a password.
BEGIN = {
    "password": ("Reset your password", "Send the email"),
    "locked": ("Unlock your account", "Send the email"),
    "second_factor": ("Replace your second step", "Send the email"),
    "mailbox": ("Continue without that mailbox", "Continue"),
}


def test_help_has_a_way_on_for_everybody_who_is_stuck(sqlite_url: str, tmp_path: Path) -> None:
    with live(sqlite_url, tmp_path) as at, at.client() as browser:
        for locale in ("en", "zh"):
            html = browser.get(f"/help?lang={locale}", follow_redirects=True).text
            parts = dict(re.findall(r'<details class="fold" id="(\w+)".*?</summary>(.*?)</details>', html, re.S))
            assert STUCK.keys() <= parts.keys()
            for name, target in STUCK.items():
                assert f'href="{target}"' in parts[name], (locale, name)
        for target in set(STUCK.values()):
            answer = browser.get(target)
            assert answer.status_code == 200 or answer.headers["location"].startswith("/sign-in"), target


def test_each_journey_begins_under_its_own_name(sqlite_url: str, tmp_path: Path) -> None:
    with live(sqlite_url, tmp_path) as at, at.client(**{"accept-language": "en"}) as browser:
        for journey, (head, button) in BEGIN.items():
            html = browser.get(f"/forgot?journey={journey}").text
            assert f"<h1>{head}</h1>" in html
            assert f'type="submit">{button}</button>' in html
            # The lost mailbox is offered a way round everywhere but where somebody is on it already.
            assert ('href="/forgot?journey=mailbox"' in html) == (journey != "mailbox")


def test_questions_are_spoken_of_where_they_are_asked(sqlite_url: str, tmp_path: Path) -> None:
    said = "We don’t ask any"
    with live(sqlite_url, tmp_path) as at, at.client(**{"accept-language": "en"}) as browser:
        assert said in browser.get("/help").text
    policy = {"security_questions": True}
    with live(sqlite_url, tmp_path, policy=policy) as at, at.client(**{"accept-language": "en"}) as browser:
        html = browser.get("/help").text
        assert said not in html
        assert "they’re never enough on their own" in html
