"""A finished recovery leads into the system that people came for; the sign-in page says whose password it takes."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.e2e.site import NEW, Site
from tests.e2e.steps import fits, sign_in, to_result

Device = Callable[..., BrowserContext]
CRM = "https://crm.example.com/login"


def test_the_last_page_and_the_mail_open_the_crm(site: Site, device: Device) -> None:
    page = device(width=360).new_page()
    who = site.person(crm=True)
    site.sql("DELETE FROM accounts WHERE system = 'builtin' AND username = ?", who.key)  # as most people: the CRM alone
    to_result(page, site, who)
    first = page.locator("main .actions .button")
    expect(first).to_have_count(1)
    expect(first).to_have_text("Open Demo CRM")
    assert first.get_attribute("href") == CRM
    assert CRM in site.mail(who, 2)["links"]
    fits(page)


def test_signing_in_says_whose_password_it_takes(site: Site, device: Device) -> None:
    """The same page for a known name with the password of another system, and for nobody."""
    who = site.person(crm=True)
    pages = []
    for name in (who.key, "nobody-of-this-name"):
        page = device().new_page()
        sign_in(page, name, NEW)
        expect(page.locator("#password-error")).to_be_visible()
        assert "With your Keyback password" in page.locator("main").inner_text()
        assert page.locator(f"main a[href='{CRM}']").inner_text() == "Open Demo CRM"
        pages.append(page.locator("main").inner_text())
    assert pages[0] == pages[1]
