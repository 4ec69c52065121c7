"""“It wasn’t me” in the mail of a finished recovery locks the account, on a page that asks; opening does nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from keyback.application.ports.storage import ImportedAccount
from keyback.domain.secret import Secret
from tests.support.browser import Browser, opened
from tests.support.enrolled import add_contact
from tests.support.kit import Kit, person
from tests.support.steps import NEW, Tray, choose, drain, fit, proven, set_password, sign_in

Make = Callable[..., Kit]


def recovered(kit: Kit, tray: Tray) -> None:
    choose(kit, proven(kit, tray))
    drain(kit)


def lock_link(tray: Tray, to: str) -> str:
    link = tray.to(to, "changed")[-1].content.stop_link
    assert isinstance(link, Secret)
    return link.reveal().rsplit("/", 1)[1]


@pytest.mark.covers("E13", "N-R12", "C5")
def test_the_mail_of_a_recovery_locks_and_asks_first(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    recovered(kit, tray)
    browser = Browser(kit)
    for _ in range(3):  # a mail scanner that opens every link, more than once
        tab = opened(browser, lock_link(tray, "maya@example.com"))
    assert tab.at.startswith("/wasnt-me?")
    assert type(sign_in(kit, "maya", NEW)).__name__ == "SignedIn", "opening it has locked nothing"
    tab.press("/wasnt-me")
    assert type(sign_in(kit, "maya", NEW)).__name__ == "NotSignedIn"
    tab = opened(Browser(kit), lock_link(tray, "maya@example.com"))
    assert "This link has already locked the account" in tab.text


@pytest.mark.covers("F1")
def test_a_contact_that_was_added_lately_is_told_but_cannot_lock(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    add_contact(kit, "mail", "thief@example.net", usable_from=kit.clock() + 72 * 3_600_000)
    recovered(kit, tray)
    assert tray.to("thief@example.net", "changed")[-1].content.stop_link is None
    assert tray.to("maya@example.com", "changed")[-1].content.stop_link is not None


def test_the_page_says_what_it_cannot_lock(make_kit: Make, sqlite_url: str) -> None:
    """The password of another system stays as it is until a new one is chosen: the page says so before and after."""
    kit = make_kit(url=sqlite_url)
    omar = person("omar")
    omar = replace(omar, accounts=(*omar.accounts, ImportedAccount("partner", "p-omar", "omar")))
    tray = fit(kit, person("maya"), omar)
    for who in ("maya", "omar"):
        set_password(kit, who, job_id=f"seeded-{who}")
    for who, said in (("maya", False), ("omar", True)):
        choose(kit, proven(kit, tray, who))
        drain(kit)
        tab = opened(Browser(kit), lock_link(tray, f"{who}@example.com"))
        assert ("the password stays as it is" in tab.text) == said, who
        done = tab.press("/wasnt-me").text  # type: ignore[attr-defined]
        assert bool(re.search(r"the old one still works in <b>partner</b>", done)) == said, who
