"""What a person does, step by step, in the words that the pages use. Every wait is for something on the page."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from playwright.sync_api import Error, Page, TimeoutError, expect

from keyback.locale import gettext
from tests.e2e.site import NEW, Site, Someone

HANDLE = re.compile(r"/r/([A-Za-z0-9_-]{22})$")


def ask(page: Page, identifier: str, path: str = "/forgot") -> str:
    """From the form to the waiting page; the handle."""
    page.goto(path)
    page.locator("#identifier").fill(identifier)
    page.locator("form button[type=submit]").first.click()
    page.wait_for_url(HANDLE)
    return handle_of(page)


def handle_of(page: Page) -> str:
    found = HANDLE.search(page.url)
    assert found, page.url
    return found[1]


def recovery_link(mail: dict[str, Any]) -> str:
    """The mail's first link; the second one stops."""
    return next(x for x in mail["links"] if "/l/" in x)


def stop_link(mail: dict[str, Any]) -> str:
    return [x for x in mail["links"] if "/l/" in x][1]


def prove_by_code(page: Page, site: Site, who: Someone, n: int = 1) -> None:
    code = site.mail(who, n)["codes"][0]
    page.locator("#code").fill(f"{code[:4]} {code[4:]}")
    page.locator("form[action$='/code'] button").click()
    expect(page.locator("#new_password")).to_be_visible()


def prove_by_link(page: Page, link: str) -> None:
    page.goto(link)
    page.locator("form[action='/link/accept'] button").click()
    expect(page.locator("#new_password")).to_be_visible()


def cancel(page: Page) -> None:
    """Presses Cancel, which asks, and says yes."""
    page.locator("main a[href$='/cancel']").click()
    page.locator("form[action$='/cancel'] button").click()


def was_not_me(page: Page) -> None:
    """On the page of a mailed link: says no, and says it again on the page that asks."""
    page.locator("main a[href^='/link/stop']").click()
    page.locator("form[action='/link/stop'] button").click()


def type_number(page: Page, number: str) -> None:
    """On the link's page in another browser."""
    page.locator("#number").fill(number)
    page.locator("form[action='/link/accept'] button").click()


def choose(page: Page, password: str = NEW) -> None:
    page.locator("#new_password").fill(password)
    page.locator("form[data-password] button[type=submit]").click()


def look_again(page: Page) -> None:
    """The page as it stands now; it may be loading itself anew at this very moment."""
    with contextlib.suppress(Error):
        page.reload()
    page.wait_for_load_state()


def to_password(page: Page, site: Site, who: Someone) -> str:
    """The quickest way to step 2; the handle."""
    handle = ask(page, who.mail)
    prove_by_code(page, site, who)
    return handle


def to_result(page: Page, site: Site, who: Someone, password: str = NEW) -> str:
    """The whole recovery; the handle."""
    handle = to_password(page, site, who)
    choose(page, password)
    page.locator(".systems").wait_for()
    site.applied()
    look_again(page)
    return handle


def sign_in(page: Page, identifier: str, password: str) -> None:
    page.goto("/sign-in")
    try:
        page.locator("#identifier").wait_for(timeout=10_000)
    except TimeoutError:  # the page before it was just loading itself anew, and won
        page.goto("/sign-in")
    page.locator("#identifier").fill(identifier)
    page.locator("#password").fill(password)
    page.locator("form[action='/sign-in'] button[type=submit]").click()


def heading(page: Page, locale: str, text: str, **values: object) -> None:
    """The page's heading is this text in this language."""
    expect(page.locator("h1")).to_have_text(gettext(locale, text, **values))


def fits(page: Page) -> None:
    """Nothing sticks out sideways."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} sticks out by {wide} px"
