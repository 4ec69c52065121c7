"""Signing in with a second step, in a real browser: an authenticator app, a passkey, a saved code."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.e2e.account_steps import add_totp, authenticator, second_step, signed_in, totp
from tests.e2e.site import NEW, OLD, Site, running
from tests.e2e.steps import heading, sign_in, to_result


@pytest.fixture(scope="module")
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("passkeys"), host="localhost") as site:
        yield site


@pytest.mark.covers("N-E2", "M5", "A-7.5.1")
@pytest.mark.parametrize(("locale", "scripts"), [pytest.param("en-US", True, marks=pytest.mark.slow), ("zh-CN", False)])
def test_an_app_is_added_and_signs_in(
    site: Site, device: Callable[..., BrowserContext], locale: str, scripts: bool
) -> None:
    lang = "zh_CN" if locale == "zh-CN" else "en"
    who = site.person(lang)
    page = device(locale, java_script_enabled=scripts).new_page()
    signed_in(page, who)
    seed = add_totp(page, site)
    told = site.mail(who)
    assert any("/l/" in link for link in told["links"]), "the notice says how to stop it"

    page.context.clear_cookies()
    sign_in(page, who.key, OLD)
    page.wait_for_url("**/sign-in/second")
    heading(page, lang, "One more step")
    page.goto("/account")
    page.wait_for_url("**/sign-in")  # the password alone opens nothing
    page.goto("/sign-in/second")
    second_step(page, "000000")
    expect(page.locator("[role=alert]")).to_be_visible()
    second_step(page, totp(site, seed))
    page.wait_for_url("**/account")


@pytest.mark.slow
@pytest.mark.covers("W-1", "N-T8", "N-E2")
@pytest.mark.parametrize("locale", ["en-US", pytest.param("zh-CN", marks=pytest.mark.slow)])
def test_a_passkey_is_made_and_signs_in_alone(
    own_site: Site, device: Callable[..., BrowserContext], locale: str
) -> None:
    site, lang = own_site, "zh_CN" if locale == "zh-CN" else "en"
    who = site.person(lang)
    context = device(locale, base_url=site.url)
    page = context.new_page()
    touched = authenticator(context, page)
    signed_in(page, who)
    page.goto("/account/passkeys")
    page.locator("[data-passkey-button]").click()
    page.wait_for_url("**/account/ways?done=passkey_added")
    expect(page.locator(".items")).to_contain_text("Linux, Chrome")  # named by itself
    page.locator("a[href^='/account/name/']").click()
    page.locator("#label").fill("Work laptop")
    page.locator("form[action^='/account/name/'] button").click()
    page.wait_for_url("**/account/ways?done=renamed")
    expect(page.locator(".items")).to_contain_text("Work laptop")

    touched(False)
    context.clear_cookies()
    sign_in(page, who.key, OLD)  # the password first: then the passkey is the second step
    page.wait_for_url("**/sign-in/second")
    touched(True)
    page.locator("[data-passkey-button]").click()
    page.wait_for_url("**/account")

    touched(False)
    context.clear_cookies()
    page.goto("/sign-in")
    touched(True)
    page.locator("[data-passkey-button]").click()  # which ends what was offered for filling in
    page.wait_for_url("**/account")
    heading(page, lang, "Security center")


@pytest.mark.slow
@pytest.mark.covers("W-6", "N-T8")
def test_the_browser_offers_a_passkey_where_it_fills_in_the_user_name(
    own_site: Site, device: Callable[..., BrowserContext]
) -> None:
    who, context = own_site.person(), device(base_url=own_site.url)
    page = context.new_page()
    touched = authenticator(context, page, fills_in=True)
    signed_in(page, who)
    page.goto("/account/passkeys")
    page.locator("[data-passkey-button]").click()
    page.wait_for_url("**/account/ways?done=passkey_added")
    touched(False)
    context.clear_cookies()
    page.goto("/sign-in")
    expect(page.locator("#identifier")).to_have_attribute("autocomplete", "username webauthn")
    page.locator("#identifier").fill(who.key)  # nothing asks, and nothing is in the way
    expect(page.locator("[data-passkey-failed]")).to_be_hidden()
    touched(True)
    page.reload()  # who touches the offer is in: nothing was pressed
    page.wait_for_url("**/account")


@pytest.mark.slow
@pytest.mark.covers("N-E2")
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_after_a_recovery_a_passkey_is_offered_once(
    own_site: Site, device: Callable[..., BrowserContext], locale: str
) -> None:
    who = own_site.person("zh_CN" if locale == "zh-CN" else "en")
    context = device(locale, base_url=own_site.url)
    page = context.new_page()
    touched = authenticator(context, page)
    result = f"/r/{to_result(page, own_site, who)}"
    expect(page.locator("main .button")).to_have_count(1)  # one main way on: the offer stands below it
    page.locator("[data-passkey-offer] a").click()
    page.locator("#identifier").fill(who.key)
    page.locator("#password").fill(NEW)
    page.locator("form[action='/sign-in'] button[type=submit]").click()
    page.wait_for_url("**/account/passkeys")
    page.locator("[data-passkey-button]").click()
    page.wait_for_url("**/account/ways?done=passkey_added")
    page.goto(result)
    expect(page.locator("[data-passkey-offer]")).to_have_count(0)
    touched(False)
    sign_in(page, who.key, NEW)  # what followed one sign-in follows none after it
    page.wait_for_url("**/sign-in/second")
    touched(True)
    page.locator("[data-passkey-button]").click()
    page.wait_for_url("**/account")


@pytest.mark.covers("W-6")
def test_without_scripts_a_passkey_is_no_dead_end(own_site: Site, device: Callable[..., BrowserContext]) -> None:
    page = device(java_script_enabled=False, base_url=own_site.url).new_page()
    who = own_site.person()
    signed_in(page, who)
    page.goto("/account/passkeys")
    expect(page.locator("noscript")).to_have_count(1)
    page.goto("/sign-in")
    expect(page.locator("[data-passkey-button]")).to_be_hidden()
