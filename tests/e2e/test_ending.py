"""What ends something asks first, and going back loses nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.site import OLD, Site
from tests.e2e.steps import ask, cancel, fits, heading, look_again, prove_by_code, recovery_link, sign_in, was_not_me

Device = Callable[..., BrowserContext]
SLOW = pytest.mark.slow


@pytest.mark.parametrize("locale", ["en", pytest.param("zh_CN", marks=SLOW)])
def test_cancel_asks_on_every_page_of_a_recovery(site: Site, device: Device, locale: str) -> None:
    who = site.person(locale)
    page = device("zh-CN" if locale == "zh_CN" else "en-US", 360).new_page()
    handle = ask(page, who.mail)
    for path in ("", "/ways"):
        page.goto(f"/r/{handle}{path}")
        asked(page, locale, handle)
    page.goto(f"/r/{handle}")
    prove_by_code(page, site, who)
    asked(page, locale, handle)
    expect(page.locator("#new_password")).to_be_visible()
    cancel(page)
    heading(page, locale, "This recovery was canceled")


def asked(page: Page, locale: str, handle: str) -> None:
    """Presses Cancel, then the way back."""
    assert not page.locator("form[action$='/cancel']").count()
    page.locator("main a[href$='/cancel']").click()
    heading(page, locale, "Cancel this request?")
    fits(page)
    page.locator(f"main a[href='/r/{handle}']").click()
    page.wait_for_url(f"**/r/{handle}")


def test_the_mailed_link_asks_twice(site: Site, device: Device) -> None:
    who = site.person()
    page, owner = device().new_page(), device(width=360, java_script_enabled=False).new_page()
    handle = ask(page, who.mail)
    owner.goto(recovery_link(site.mail(who)))
    owner.locator("main a[href^='/link/stop']").click()
    heading(owner, "en", "Cancel this recovery?")
    fits(owner)
    owner.locator("main .button-quiet").click()
    heading(owner, "en", "Did you ask to recover your account?")
    page.goto(f"/r/{handle}")
    heading(page, "en", "Check your email")
    was_not_me(owner)
    heading(owner, "en", "This recovery is canceled")


def test_signing_out_elsewhere_asks(site: Site, device: Device) -> None:
    who = site.person()
    here, there = device(width=360).new_page(), device().new_page()
    for page in (there, here):
        sign_in(page, who.key, OLD)
        page.wait_for_url("**/account")
    here.goto("/account/devices")
    here.locator("main a[href$='session=others']").click()
    heading(here, "en", "Sign out everywhere else?")
    fits(here)
    look_again(there)
    there.wait_for_url("**/account")
    here.locator("form[action='/account/devices'] button").click()
    expect(here.locator(".notice-done")).to_be_visible()
    look_again(there)
    there.wait_for_url("**/sign-in")
    here.locator("main a[href*='?device=']").first.click()
    heading(here, "en", "Remove this browser?")
    here.locator("main .actions a").click()
    assert here.locator("main a[href*='?device=']").count()
