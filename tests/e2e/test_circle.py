"""The main job from "I can't get in" to signed in again, the ways that people really go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.locale import gettext
from tests.e2e.keyboard import tab_along
from tests.e2e.site import NEW, OLD, Site
from tests.e2e.steps import (
    ask,
    choose,
    fits,
    heading,
    look_again,
    prove_by_code,
    prove_by_link,
    recovery_link,
    sign_in,
    type_number,
)

Device = Callable[..., BrowserContext]
WEAK = "qingyu2026"
SLOW = pytest.mark.slow
# Every value meets every other one of its neighbours at least once. In the default run two ways, one without scripts.
WALKS = [
    pytest.param("code", "mail", "en", 360, True, marks=SLOW),
    ("code", "name", "zh_CN", 1280, False),
    ("link", "name", "en", 1280, True),
    pytest.param("link", "mail", "zh_CN", 360, False, marks=SLOW),
    pytest.param("number", "mail", "zh_CN", 1280, True, marks=SLOW),
    pytest.param("number", "name", "en", 360, False, marks=SLOW),
]


def language(locale: str) -> str:
    return "zh-CN" if locale == "zh_CN" else "en-US"


def match_on_phone(page: Page, device: Device, link: str, locale: str, script: bool) -> None:
    """The mail is read on a phone; the number that the first screen shows is typed there."""
    shown = page.locator(".number-shown output").inner_text()
    phone = device(language(locale), 360, java_script_enabled=script).new_page()
    phone.goto(link)
    fits(phone) if script else None
    type_number(phone, shown)
    heading(phone, locale, "Done here. Continue where you started")


@pytest.mark.covers("C14", "E1", "X-1")
@pytest.mark.parametrize(("way", "by", "locale", "width", "script"), WALKS)
def test_from_forgotten_to_signed_in(
    site: Site, device: Device, way: str, by: str, locale: str, width: int, script: bool
) -> None:
    who = site.person(locale)
    context = device(language(locale), width, java_script_enabled=script)
    page = context.new_page()
    page.goto("/sign-in")
    page.locator("a[href='/forgot']").first.click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if locale == "zh_CN" else "en")
    handle = ask(page, who.mail.upper() if by == "mail" else who.key)
    heading(page, locale, "Check your email")
    if way == "code":
        prove_by_code(page, site, who)
    elif way == "link":
        prove_by_link(page, recovery_link(site.mail(who)))
    else:
        match_on_phone(page, device, recovery_link(site.mail(who)), locale, script)
        if not script:
            page.locator(f"a.button-quiet[href='/r/{handle}']").click()
        expect(page.locator("#new_password")).to_be_visible()  # with a script the page moves on by itself

    heading(page, locale, "Choose a new password")
    weak_first(page, locale, script)
    choose(page)
    page.locator(".systems").wait_for()
    if script:  # it was just begun: this page, too, moves on by itself
        heading(page, locale, "Your new password works")
        fits(page)
    else:
        site.applied()
        page.goto(f"/r/{handle}")
        heading(page, locale, "Your new password works")
    assert page.url == f"{site.url}/r/{handle}"

    sign_in(page, who.key, OLD)
    expect(page.locator("#password-error")).to_be_visible()
    sign_in(page, who.key, NEW)
    page.wait_for_url("**/account")
    heading(page, locale, "Security center")


def weak_first(page: Page, locale: str, script: bool) -> None:
    """A weak password is told why before it is sent, and refused with every reason when it is."""
    if script:
        short = page.locator("#np-rules li[data-code=too_short]")
        assert short.get_attribute("data-state") == "idle"
        page.locator("#new_password").fill(WEAK)
        expect(short).to_have_attribute("data-state", "unmet")
        expect(page.locator("#np-rules li[data-code=context_word]")).to_have_attribute("data-state", "unmet")
        page.locator("#new_password").fill(NEW)
        expect(short).to_have_attribute("data-state", "met")
        expect(page.locator(".strength")).to_be_visible()
    choose(page, WEAK)
    heads = page.locator(".notice-stop li")
    expect(heads).not_to_have_count(0)
    assert WEAK not in page.content()
    if script:
        page.get_by_text(gettext(locale, "Suggest a password")).click()
        page.locator("[data-use]").click()
        taken = page.locator("#new_password")
        expect(taken).to_have_attribute("type", "text")
        expect(taken).to_have_value(page.locator("#suggestion").inner_text())
        expect(page.locator("#np-rules [data-state=unmet]")).to_have_count(0)
    else:
        page.locator("a[href$='?show=1']").click()
        expect(page.locator("#new_password")).to_have_attribute("type", "text")


@pytest.mark.covers("X-8")
def test_by_keyboard_alone(site: Site, page: Page) -> None:
    who = site.person()
    page.goto("/")
    tab_along(page, "a[href='/forgot']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/forgot")
    tab_along(page, "#identifier")
    page.keyboard.type(who.mail)
    page.keyboard.press("Enter")
    page.wait_for_url("**/r/*")
    tab_along(page, "#code")
    page.keyboard.type(site.mail(who)["codes"][0])
    tab_along(page, "form[action$='/code'] button")
    page.keyboard.press("Space")
    page.wait_for_selector("#new_password")
    tab_along(page, "#new_password")
    page.keyboard.type(NEW)
    passed = tab_along(page, "form[data-password] button[type=submit]")
    assert passed.count("BUTTON") >= 1, "showing the password is within reach"
    page.keyboard.press("Enter")
    heading(page, "en", "Your new password works")
    tab_along(page, ".actions a[href='/sign-in']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in")
    tab_along(page, "#identifier")
    page.keyboard.type(who.key)
    tab_along(page, "#password")
    page.keyboard.type(NEW)
    page.keyboard.press("Enter")
    heading(page, "en", "Security center")


@pytest.mark.slow
@pytest.mark.covers("E1", "E4", "N-S5", "O-F7", "O-F10")
def test_a_recovery_signs_nobody_in_and_everybody_out(site: Site, device: Device) -> None:
    who = site.person()
    thief = device().new_page()
    sign_in(thief, who.key, OLD)
    thief.wait_for_url("**/account")
    owner = device()
    page = owner.new_page()
    ask(page, who.mail)
    look_again(thief)
    assert thief.url.endswith("/account"), "asking alone ends nothing"
    prove_by_code(page, site, who)
    choose(page)
    heading(page, "en", "Your new password works")
    page.goto("/account")
    assert page.url == f"{site.url}/sign-in"
    assert not [c for c in owner.cookies() if c["name"].endswith("session") and c["value"]]
    thief.goto("/account")
    assert thief.url == f"{site.url}/sign-in"
