"""A proof of an installed package in a browser: offered, asked, answered and remembered like our own."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from keyback.domain.challenges.challenge import short_code
from tests.e2e.conftest import SOON
from tests.e2e.site import NEW, Site, running
from tests.e2e.steps import ask, choose, fits, heading, sign_in
from tests.e2e.ways_steps import add_contact, alert, answer, held, let_go, mail_code, pick
from tests.samples import SECRET, installed

WORDS = {
    "en": ("Your key fob", "You type six digits into it, and it shows six others", "by key fob"),
    "zh_CN": ("你的口令牌", "输入六位数字，口令牌会显示另外六位", "通过口令牌"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("sample")
    with installed(folder) as settings, running(folder, **settings) as site:
        yield site


@pytest.mark.parametrize(("locale", "width"), [("en", 1280), ("zh_CN", 360)])
@pytest.mark.parametrize("scripts", [True, False])
def test_a_whole_recovery_with_a_key_fob(
    site: Site, device: Callable[..., BrowserContext], locale: str, width: int, scripts: bool
) -> None:
    title, note, by = WORDS[locale]
    who = site.person(locale, tier="mfa")
    fob = add_contact(site, who, "im", f"fob{who.key.removeprefix('person')}")
    page = device("zh-CN" if locale == "zh_CN" else "en-US", width, java_script_enabled=scripts).new_page()
    ask(page, who.mail)

    # Before anything is proven it is offered to everybody alike, with its own words.
    handle = page.url.rpartition("/")[2]
    page.goto(f"/r/{handle}/ways")
    choice = page.locator("form[action$='/ways/key_fob']")
    expect(choice.locator(".choice-name")).to_have_text(title)
    expect(choice.locator(".choice-note")).to_have_text(note)
    page.goto(f"/r/{handle}")

    mail_code(page, site, who)
    heading(page, locale, "One more method, please")
    pick(page, "key_fob")
    expect(page.locator("h1")).to_have_text(title)
    fits(page)
    answer(page, "000000")
    alert(page)
    digits = page.locator(".number-shown b").inner_text()
    answer(page, short_code(hmac.digest(SECRET, fob.encode(), "sha256"), digits.encode()))
    held(page, locale, short=True)
    site.later(minutes=16)
    let_go(site, page)
    choose(page, NEW)
    page.locator(".systems").wait_for(timeout=SOON)
    site.applied()
    sign_in(page, who.key, NEW)
    page.goto("/account/activity")
    expect(page.locator("body")).to_contain_text(by)
