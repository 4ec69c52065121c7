"""Signing in with another system in the demo: connected in the security center, and the way back 72 hours later."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.demo.company import PROVIDER
from keyback.demo.provider import PREFIX
from keyback.locale import gettext
from tests.e2e.demo_steps import DAY, NEW, Demo, goes_on, patient, running_demo, seen
from tests.e2e.site import Someone
from tests.e2e.steps import ask, choose, sign_in
from tests.e2e.ways_steps import alert, pick

WHO = {"en": "jonas.bergstrom", "zh_CN": "luxin"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("provider") / "data") as demo:
        yield demo


@pytest.fixture
def site(demo: Demo) -> Demo:
    """What `device` opens its browsers for."""
    return demo


def there(page: Page, who: Someone, password: str) -> None:
    """Signs in on the provider's page."""
    page.wait_for_url(f"**{PREFIX}/authorize?*")
    seen(page, "provider")
    page.locator("#username").fill(who.key)
    page.locator("#password").fill(password)
    page.locator("form button").first.click()


@pytest.mark.parametrize("locale", ["en", pytest.param("zh_CN", marks=pytest.mark.slow)])
def test_connected_and_then_the_way_back(demo: Demo, device: Callable[..., BrowserContext], locale: str) -> None:
    who, page = demo.who(WHO[locale]), patient(device("zh-CN" if locale == "zh_CN" else "en-US", 360))
    password = demo.password(who)
    sign_in(page, who.key, password)
    page.wait_for_url("**/account")
    page.goto("/account/providers")
    seen(page, "providers")
    page.locator("main button.choice").click()
    go_on = page.get_by_role("link", name=gettext(locale, "Continue to {system}", system=PROVIDER))
    go_on.click()
    page.wait_for_url(f"**{PREFIX}/authorize?*")
    page.locator("button[name=cancel]").click()
    page.wait_for_url("**/account/providers/failed/denied")
    seen(page, "providers-denied")
    page.locator("main button.choice").click()
    go_on.click()
    there(page, who, "not the password")
    expect(page.get_by_role("alert")).to_be_visible()
    there(page, who, password)
    page.wait_for_url("**/account/ways?done=provider_added")
    seen(page, "provider-added")

    demo.later(3 * DAY + 60)
    page = patient(device("zh-CN" if locale == "zh_CN" else "en-US", 360))
    ask(page, who.key)
    page.locator("main a[href$='/ways']").first.click()
    pick(page, "provider_sign_in")
    seen(page, "way-provider")
    page.locator("main a.choice").click()
    page.wait_for_url(f"**{PREFIX}/authorize?*")
    page.locator("button[name=cancel]").click()
    page.wait_for_url("**/ways/provider_sign_in?said=denied")
    alert(page)
    page.locator("main a.choice").click()
    there(page, who, password)
    goes_on(page)
    choose(page, NEW)
    page.locator(".systems").wait_for()
    seen(page, "result")
    demo.until(lambda: demo.opens(who, NEW), "the new password")
    assert not demo.opens(who, password)
