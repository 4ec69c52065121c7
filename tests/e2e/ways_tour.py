"""A walk past the pages of other ways to prove, of waits, and of what a recovery puts right besides a password."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from playwright.sync_api import BrowserContext, Page

from tests.e2e.account_steps import totp
from tests.e2e.site import Site
from tests.e2e.steps import ask, recovery_link
from tests.e2e.ways_steps import (
    add_app,
    add_codes,
    add_contact,
    add_phone,
    answer,
    let_go,
    mail_code,
    pick,
    show_app,
    text_code,
)

Device = Callable[..., BrowserContext]
ERRORS = "[role=alert], .error:not([data-passkey-failed]):visible"


def tour(site: Site, device: Device, locale: str, width: int) -> Iterator[tuple[str, Page]]:
    """(name, page) of every page, each as it stands when its turn comes."""
    words = "zh-CN" if locale == "zh_CN" else "en-US"
    page, friend = device(words, width).new_page(), device(words, width).new_page()
    who, other = site.person(locale, tier="privileged"), site.person(locale)
    seed, codes = add_app(site, who), add_codes(site, who)
    add_phone(site, who)
    add_contact(site, who, "mail", other.mail, "recovery", "Omar")
    handle = ask(page, who.mail, "/forgot?journey=second_factor")
    page.goto(f"/r/{handle}/ways")
    yield "ways-before", page
    pick(page, "sms_code")
    yield "way-sent", page
    answer(page, "000000")
    yield "way-wrong", page
    page.goto(f"/r/{handle}")
    mail_code(page, site, who)
    yield "ways-more", page
    pick(page, "recovery_contact")
    yield "way-contact", page
    friend.goto(recovery_link(site.mail(other)))
    yield "vouch", friend
    friend.locator("#code").fill("0000")
    friend.locator("form[action='/vouch'] button").click()
    friend.locator(ERRORS).first.wait_for()
    yield "vouch-wrong", friend
    friend.locator("main a[href^='/vouch/refuse']").click()
    yield "vouch-refuse", friend
    friend.locator("form[action='/vouch/refuse'] button").click()
    yield "vouch-refused", friend
    page.goto(f"/r/{handle}")
    pick(page, "recovery_code")
    yield "way-saved-code", page
    answer(page, codes[0])
    yield "new-code", page
    page.goto(f"/r/{handle}")
    yield "in-review", page

    who = site.person(locale)
    phone = add_phone(site, who)
    handle = ask(page, who.mail, "/forgot?journey=mailbox")
    yield "ways-mailbox", page
    pick(page, "sms_code")
    answer(page, text_code(site, phone))
    page.wait_for_url(re.compile(r"/r/[^/]+$"))
    yield "held-mailbox", page
    site.later(minutes=24 * 60 + 1)
    let_go(site, page)
    yield "replace-mailbox", page
    page.locator("#address").evaluate("e => e.form.noValidate = true")
    page.locator("#address").fill("no address")
    page.locator("form[action$='/mailbox/new'] button").click()
    yield "replace-mailbox-wrong", page
    page.locator("#address").fill(f"new.{who.mail}")
    page.locator("form[action$='/mailbox/new'] button").click()
    page.locator("#code").wait_for()
    yield "replace-mailbox-code", page

    who = site.person(locale)
    seed, codes = add_app(site, who), add_codes(site, who)
    handle = ask(page, who.mail, "/forgot?journey=second_factor")
    mail_code(page, site, who)
    show_app(page, site, seed)
    yield "held", page
    pick(page, "recovery_code")
    answer(page, codes[0])
    page.goto(f"/r/{handle}")
    yield "replace-factor", page
    page.locator("form[action$='/factor/new'] button").click()
    yield "replace-factor-seed", page
    new = re.sub(r"\s", "", page.locator("#app-key").text_content() or "")
    page.locator("#code").fill("000000")
    page.locator("form[action$='/factor'] button").click()
    page.locator(ERRORS).first.wait_for()
    yield "replace-factor-wrong", page
    page.locator("#code").fill(totp(site, new))
    page.locator("form[action$='/factor'] button").click()
    page.locator("a[href='/sign-in']").wait_for()
    yield "remedied", page

    who = site.person(locale, crm=True)
    ask(page, who.mail, "/forgot?journey=locked")
    mail_code(page, site, who)
    yield "unlock", page

    who = site.person(locale, tier="mfa")
    ask(page, who.mail)
    mail_code(page, site, who)
    yield "ways-none", page
