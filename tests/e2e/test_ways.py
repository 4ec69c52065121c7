"""Every way back, in a browser: the right person gets through, after the right wait; the wrong one is stopped.

Two journeys are in the default run. What the others decide is shown below the browser too (`test_ways.py`,
`test_remedies.py` in `tests/recovery`, `test_ways_pages.py` in `tests/web`), so they are slow.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyotp
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.locale import gettext
from tests.e2e.account_steps import authenticator, second_step, signed_in, totp
from tests.e2e.keyboard import tab_along
from tests.e2e.site import NEW, OLD, Site, Someone
from tests.e2e.steps import ask, choose, fits, heading, recovery_link, sign_in
from tests.e2e.ways_steps import (
    add_app,
    add_codes,
    add_contact,
    add_passkey,
    add_phone,
    alert,
    answer,
    held,
    let_go,
    look_again,
    mail_code,
    pick,
    show_app,
    text_code,
    texts,
    use_passkey,
)

Device = Callable[..., BrowserContext]
MINUTES, DAY = 16, 24 * 60 + 1
SLOW = pytest.mark.slow


def stop_by_notice(page: Page, link: str) -> None:
    """Stops a waiting recovery by the link of its notice."""
    page.goto(link)
    page.locator("form[action='/stop'] button").click()
    page.locator("form[action='/stop']").wait_for(state="detached")


def notice_link(text: str) -> str:
    """The one link that stops, in a letter about a wait."""
    return next(link for link in re.findall(r"https?://\S+", text) if "/l/" in link)


@pytest.mark.slow
@pytest.mark.covers("E2", "N-R11", "N-R12", "N-T1", "INV-I3")
@pytest.mark.parametrize(("locale", "width"), [("en", 1280), ("zh_CN", 360)])
def test_mail_and_an_app_then_a_short_wait(site: Site, device: Device, locale: str, width: int) -> None:
    who = site.person(locale, crm=True)
    seed, phone = add_app(site, who), add_phone(site, who)
    words = "zh-CN" if locale == "zh_CN" else "en-US"
    page, thief = device(words, width).new_page(), device(words, width).new_page()
    ask(page, who.mail)
    mail_code(page, site, who)
    heading(page, locale, "One more method, please")
    fits(page)
    pick(page, "totp")
    answer(page, "000000")
    alert(page)
    answer(page, totp(site, seed))
    held(page, locale, short=True)
    fits(page)
    expect(page.locator("#new_password")).to_have_count(0)
    assert "/l/" in texts(site, phone)[0]["text"]
    assert "/l/" in site.mail(who, 2)["text"]

    # Who only reads the mail goes no further by it, and not by what the owner showed in another browser either.
    ask(thief, who.mail)
    mail_code(thief, site, who, 3)
    heading(thief, locale, "One more method, please")

    site.later(minutes=MINUTES)
    let_go(site, page)
    choose(page)
    page.locator(".systems").wait_for()
    site.applied()
    expect(thief.locator("#new_password")).to_have_count(0)
    assert len(texts(site, phone, 3)) == 3  # the wait, its end, the new password
    sign_in(page, who.key, NEW)
    page.wait_for_url("**/sign-in/second")


@SLOW
@pytest.mark.covers("E2")
def test_in_a_browser_that_signed_in_before_there_is_no_wait(site: Site, context: BrowserContext, page: Page) -> None:
    who = site.person()
    seed = add_app(site, who)
    sign_in(page, who.key, OLD)
    second_step(page, totp(site, seed, -1))
    page.wait_for_url("**/account")
    ask(page, who.mail)
    mail_code(page, site, who)
    show_app(page, site, seed)
    expect(page.locator("#new_password")).to_be_visible()


@SLOW
@pytest.mark.covers("N-R10", "N-R12", "N-O2", "E2")
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_a_lost_mailbox_by_phone_waits_a_day_and_the_mailbox_can_stop_it(
    site: Site, device: Device, locale: str
) -> None:
    words, width = ("zh-CN", 360) if locale == "zh_CN" else ("en-US", 1280)
    page, owner = device(words, width).new_page(), device(words).new_page()
    who = site.person(locale)
    phone = add_phone(site, who)
    by_phone(page, site, who, phone, 1)
    held(page, locale, short=False)
    fits(page)
    expect(page.locator("main")).to_contain_text(
        gettext(
            locale,
            "Changing where your email goes is a big step, so there’s a wait in which it can be canceled from any of "
            "your contacts.",
        )
    )
    stop_by_notice(owner, notice_link(site.mail(who)["text"]))
    look_again(page)
    expect(page.locator("form[action$='/mailbox/new']")).to_have_count(0)
    heading(page, locale, "This recovery was canceled")

    site.later(minutes=5)  # nobody stops the second one
    by_phone(page, site, who, phone, 2)
    site.later(minutes=DAY + 5)
    let_go(site, page)
    new = f"new.{who.mail}"
    page.locator("#address").fill(new)
    page.locator("form[action$='/mailbox/new'] button").click()
    page.locator("#code").fill(site.mailbox.wait_for(new)[0]["codes"][0])
    page.locator("form[action$='/mailbox/code'] button").click()
    heading(page, locale, "Your email address is updated")
    site.applied()
    assert site.mail(who, 4), "the lost mailbox hears of it"
    sign_in(page, who.key, OLD)
    page.wait_for_url("**/account")


def by_phone(page: Page, site: Site, who: Someone, phone: str, n: int) -> None:
    ask(page, who.mail, "/forgot?journey=mailbox")
    pick(page, "sms_code")
    code = text_code(site, phone, n)
    answer(page, f"{(int(code) + 1) % 10**6:06}")
    alert(page)
    answer(page, code)
    page.wait_for_url(re.compile(r"/r/[^/]+$"))


@SLOW
@pytest.mark.covers("N-R11")
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_nothing_else_on_record_ends_at_the_help_desk(site: Site, device: Device, locale: str) -> None:
    page = device("zh-CN" if locale == "zh_CN" else "en-US", 360).new_page()
    who = site.person(locale, tier="mfa")
    ask(page, who.mail)
    mail_code(page, site, who)
    expect(page.locator(".notice-head")).to_have_text(gettext(locale, "No other method on record"))
    expect(page.locator(".choice")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("8100")
    fits(page)


@SLOW
@pytest.mark.covers("N-R11", "E2", "D1")
def test_an_administrator_needs_a_second_person_or_a_passkey(site: Site, device: Device) -> None:
    context = device()
    page, elsewhere = context.new_page(), device("en-US", 360).new_page()
    who = site.person(tier="privileged")
    signed_in(page, who)
    add_passkey(context, page)
    seed = add_app(site, who)

    ask(elsewhere, who.mail)  # a passkey that was made today does not recover yet (F2)
    mail_code(elsewhere, site, who, 2)
    expect(elsewhere.locator("form[action$='/ways/passkey']")).to_have_count(0)
    show_app(elsewhere, site, seed)
    heading(elsewhere, "en", "A second person has to approve")
    expect(elsewhere.locator("main")).to_contain_text("extension 8100")
    expect(elsewhere.locator("#new_password")).to_have_count(0)
    fits(elsewhere)

    site.later(minutes=3 * DAY)
    let_go(site, elsewhere)
    expect(elsewhere.locator("#new_password")).to_have_count(0)  # no wait ends in an approval
    ask(page, who.mail)
    assert site.mail(who, 3)["codes"] == [], "the owner hears of a step that sends nothing (F8)"
    mail_code(page, site, who, 4)
    use_passkey(page)
    choose(page)
    page.locator(".systems").wait_for()
    site.applied()
    sign_in(page, who.key, NEW)
    page.wait_for_url("**/sign-in/second")


@SLOW
@pytest.mark.covers("N-R10", "J3")
def test_a_locked_account_opens_with_the_password_it_had(site: Site, device: Device) -> None:
    page = device("zh-CN", 360).new_page()
    who = site.person("zh_CN")
    phone = add_phone(site, who)
    sql = "UPDATE accounts SET state = 'locked' WHERE username = ? AND system = 'builtin' RETURNING id"
    assert site.sql(sql, who.key)
    sign_in(page, who.key, OLD)
    alert(page)
    ask(page, who.mail, "/forgot?journey=locked")
    mail_code(page, site, who)
    heading(page, "zh_CN", "Unlock your account")
    fits(page)
    page.locator("form[action$='/unlock'] button").click()
    heading(page, "zh_CN", "Your account is unlocked")
    assert texts(site, phone)
    assert site.mail(who, 2)
    sign_in(page, who.key, OLD)
    page.wait_for_url("**/account")


@SLOW
@pytest.mark.covers("N-R2", "N-R3", "N-R11", "E2", "M5")
def test_a_lost_app_is_replaced_after_a_wait_and_the_old_one_is_void(site: Site, device: Device) -> None:
    page = device("en-US", 360).new_page()
    who = site.person()
    old, codes = add_app(site, who), add_codes(site, who)
    ask(page, who.mail, "/forgot?journey=second_factor")
    mail_code(page, site, who)
    pick(page, "recovery_code")
    answer(page, "AAAAAA-AAAAAA-AAAAAA")
    alert(page)
    answer(page, codes[0].lower())
    heading(page, "en", "Write down your new recovery code")
    fits(page)
    page.locator("main a.button").click()
    held(page, "en", short=True)
    site.later(minutes=MINUTES)
    let_go(site, page)
    page.locator("form[action$='/factor/new'] button").click()
    seed = re.sub(r"\s", "", page.locator("#app-key").text_content() or "")
    fits(page)
    page.locator("#code").fill("000000")
    page.locator("form[action$='/factor'] button").click()
    alert(page)
    page.locator("#code").fill(totp(site, seed, -1))
    page.locator("form[action$='/factor'] button").click()
    heading(page, "en", "Your new second step works")
    site.applied()
    sign_in(page, who.key, OLD)
    second_step(page, pyotp.TOTP(old).at(site.clock() // 1000))
    alert(page)
    second_step(page, totp(site, seed))
    page.wait_for_url("**/account")


@pytest.mark.slow
@pytest.mark.covers("O-M1", "W-1", "N-R11")
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_a_lost_app_is_replaced_by_a_passkey(site: Site, device: Device, locale: str) -> None:
    context = device("zh-CN" if locale == "zh_CN" else "en-US", 360)
    page = context.new_page()
    authenticator(context, page)
    who = site.person(locale)
    add_app(site, who)
    codes = add_codes(site, who)
    ask(page, who.mail, "/forgot?journey=second_factor")
    mail_code(page, site, who)
    pick(page, "recovery_code")
    answer(page, codes[0].lower())
    page.locator("main a.button").click()
    held(page, locale, short=True)
    site.later(minutes=MINUTES)
    let_go(site, page)
    first, then = (page.locator(f"form[action$='{path}'] button") for path in ("/passkey/new", "/passkey"))
    expect(first).to_be_visible()
    fits(page)
    first.click()
    expect(then).to_be_visible()
    fits(page)
    then.click()
    heading(page, locale, "Your new second step works")
    context.clear_cookies()
    page.goto("/sign-in")
    page.locator("[data-passkey-button]").click()
    page.wait_for_url("**/account")


@pytest.mark.covers("N-R8", "E2")
@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_a_colleague_vouches_with_the_digits_of_the_page(site: Site, device: Device, locale: str) -> None:
    words = "zh-CN" if locale == "zh_CN" else "en-US"
    page, friend = device(words).new_page(), device(words, 360).new_page()
    who, other = site.person(locale, tier="mfa"), site.person(locale)
    add_contact(site, who, "mail", other.mail, "recovery", "Omar")
    ask(page, who.mail)
    mail_code(page, site, who)
    pick(page, "recovery_contact")
    digits = page.locator(".number-shown b").inner_text()
    fits(page)
    plea = site.mail(other)
    assert digits not in plea["text"]
    friend.goto(recovery_link(plea))
    heading(friend, locale, "Can you confirm it's your colleague?")
    fits(friend)
    friend.locator("#code").fill(f"{(int(digits) + 1) % 10**4:04}")
    friend.locator("form[action='/vouch'] button").click()
    alert(friend)
    friend.locator("#code").fill(digits)
    friend.locator("form[action='/vouch'] button").click()
    heading(friend, locale, "Thank you")
    friend.goto(recovery_link(plea))
    heading(friend, locale, "You’ve already confirmed")
    held(page, locale, short=True)  # the page went on by itself
    site.later(minutes=MINUTES)
    let_go(site, page)
    expect(page.locator("#new_password")).to_be_visible()


@SLOW
@pytest.mark.covers("N-R8")
def test_a_colleague_who_says_no_is_believed(site: Site, device: Device) -> None:
    page, friend = device().new_page(), device().new_page()
    who, other = site.person(tier="mfa"), site.person()
    add_contact(site, who, "mail", other.mail, "recovery", "Omar")
    ask(page, who.mail)
    mail_code(page, site, who)
    pick(page, "recovery_contact")
    friend.goto(recovery_link(site.mail(other)))
    friend.locator("main a[href^='/vouch/refuse']").click()
    friend.locator("form[action='/vouch/refuse'] button").click()
    heading(friend, "en", "Thank you for telling us")
    page.locator("main a.button").click()
    heading(page, "en", "One more method, please")


@SLOW
@pytest.mark.covers("X-8")
def test_by_keyboard_alone(site: Site, page: Page) -> None:
    who = site.person()
    seed, codes = add_app(site, who), add_codes(site, who)
    ask(page, who.mail, "/forgot?journey=second_factor")
    mail_code(page, site, who)
    for proof, typed in (("totp", totp(site, seed)), ("recovery_code", codes[0])):
        tab_along(page, f"form[action$='/ways/{proof}'] button")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/ways/{proof}")
        tab_along(page, "#code")
        page.keyboard.type(typed)
        page.keyboard.press("Enter")
        page.locator("#code").wait_for(state="detached")
    heading(page, "en", "Write down your new recovery code")
    tab_along(page, "main a.button")
    page.keyboard.press("Enter")
    tab_along(page, "form[action$='/factor/new'] button")
    page.keyboard.press("Enter")
    page.locator(".qr").wait_for(state="attached")  # folded on a phone
    new = re.sub(r"\s", "", page.locator("#app-key").text_content() or "")
    tab_along(page, "#code")
    page.keyboard.type(totp(site, new))
    page.keyboard.press("Enter")
    heading(page, "en", "Your new second step works")
