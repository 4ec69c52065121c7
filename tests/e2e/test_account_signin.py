"""Signing in with a second step, in a real browser: an authenticator app, a passkey, a saved code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.e2e.account_steps import add_totp, second_step, signed_in, totp
from tests.e2e.site import OLD, Site
from tests.e2e.steps import heading, sign_in


@pytest.mark.covers("N-E2", "M5", "A-7.5.1")
@pytest.mark.parametrize(("locale", "scripts"), [("en-US", True), ("zh-CN", False)])
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
