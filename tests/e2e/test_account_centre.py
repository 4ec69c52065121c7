"""Every page of the security centre in a browser: accessible, nothing sticks out; the password by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.account_steps import add_totp, signed_in, six
from tests.e2e.axe import AXE, CONTRAST, DRAWN, SMALL, wrong
from tests.e2e.site import NEW, OLD, Site, running
from tests.e2e.steps import fits

CALM = (
    "", "/ways", "/totp", "/passkeys", "/codes", "/contacts", "/contacts/add/mail", "/contacts/add/helper", "/devices",
    "/activity", "/password", "/after", "/lock",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("centre"), host="localhost") as site:
        yield site


def pages(site: Site, page: Page, locale: str) -> Iterator[str]:
    """Stands on each page of somebody who has set up a few things; yields its name."""
    who = site.person("zh_CN" if locale == "zh-CN" else "en")
    page.goto("/sign-in")
    yield "/sign-in"
    signed_in(page, who)
    page.goto("/account/contacts/add/mail")
    page.locator("#address").fill(f"{who.key}@example.net")
    page.locator("main form button").first.click()
    page.wait_for_url("**/account/contacts/*")
    yield "confirm contact"
    page.locator("#code").fill(six(site.mailbox.wait_for(f"{who.key}@example.net")[0]))
    page.locator("main form button").first.click()
    page.wait_for_url("**/account/contacts?done=confirmed")
    add_totp(page, site)
    for path in CALM:
        page.goto(f"/account{path}")
        yield path or "overview"
    page.locator("body").press("Escape")
    page.goto("/account/codes")
    page.locator("form[action='/account/codes'] button").click()
    expect(page.locator("#codes")).to_be_visible()
    yield "codes"
    page.goto("/account/ways")
    page.locator("a[href^='/account/remove/']").first.click()
    page.wait_for_url("**/account/remove/*")
    yield "remove"
    page.context.clear_cookies()
    page.goto("/sign-in")
    page.locator("#identifier").fill(who.key)
    page.locator("#password").fill("autumn kettle window 4")
    page.locator("form[action='/sign-in'] button[type=submit]").click()
    page.wait_for_url("**/sign-in/second")
    yield "second step"


@pytest.mark.slow
@pytest.mark.covers("X-8", "X-3")
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_every_page_of_the_centre(home: Site, device: Callable[..., BrowserContext], locale: str) -> None:
    page = device(locale, 360, base_url=home.url).new_page()
    faults: dict[str, list[Any]] = {}
    for name in pages(home, page, locale):
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE)
        found: list[Any] = wrong(page) + page.evaluate(SMALL)
        if locale == "en-US":
            page.emulate_media(color_scheme="dark")
            page.evaluate(DRAWN)
            found += wrong(page, **CONTRAST)
            page.emulate_media(color_scheme="light")
        fits(page)
        if found:
            faults[name] = found
    assert faults == {}


def test_the_password_is_changed_by_keyboard_alone(home: Site, device: Callable[..., BrowserContext]) -> None:
    page = device(base_url=home.url).new_page()
    who = home.person()
    signed_in(page, who)
    page.goto("/account/password")
    page.locator("#current_password").focus()
    page.keyboard.type(OLD)
    while page.evaluate("document.activeElement.id") != "new_password":
        page.keyboard.press("Tab")
    page.keyboard.type(NEW)
    page.keyboard.press("Enter")
    expect(page.locator(".notice-done")).to_be_visible()
