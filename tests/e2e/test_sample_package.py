"""A proof of an installed package in a browser: offered, asked, answered and remembered like our own."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from keyback.domain.challenges.challenge import short_code
from keyback.testing.serving import served
from tests.e2e.site import NEW, OLD, SOON, Site, Someone, running
from tests.e2e.steps import ask, choose, fits, heading, look_again, sign_in
from tests.e2e.ways_steps import add_contact, add_phone, alert, answer, held, let_go, mail_code, pick
from tests.support.samples import SECRET, Pagers, installed

WORDS = {
    "en": ("Your key fob", "You type six digits into it, and it shows six others", "by key fob"),
    "zh_CN": ("你的口令牌", "输入六位数字，口令牌会显示另外六位", "通过口令牌"),
}


@pytest.fixture(scope="module")
def pagers() -> Pagers:
    return Pagers()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pagers: Pagers) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("sample")
    ledger = folder / "ledger.json"
    ledger.write_text("{}", "utf-8")
    systems = {"ledger": {"kind": "ledger", "title": "Ledger", "file": str(ledger)}}
    with installed(folder) as settings, served(pagers) as url:
        sms = {"kind": "pager", "url": url, "secret": "pager-secret-4711", "site": "qingyu", "prefixes": ["+1"]}
        with running(folder, systems, sms=sms, **settings) as site:
            yield site


def with_ledger(site: Site, locale: str, **more: Any) -> Someone:
    """A person with an account in the ledger as well."""
    file, name = site.folder / "ledger.json", f"person{site._made + 1}"
    users = json.loads(file.read_text("utf-8"))
    users[f"id-{name}"] = {"name": name, "mail": f"{name}@example.com", "password": OLD}
    file.write_text(json.dumps(users), "utf-8")
    return site.person(locale, more={"ledger": (f"id-{name}", name)}, **more)


def in_ledger(site: Site, who: Someone) -> str:
    users = json.loads((site.folder / "ledger.json").read_text("utf-8"))
    return str(users[f"id-{who.key}"]["password"])


@pytest.mark.parametrize(
    ("locale", "width", "scripts"),
    [
        ("en", 1280, True),
        ("zh_CN", 360, False),
        pytest.param("en", 1280, False, marks=pytest.mark.whole),
        pytest.param("zh_CN", 360, True, marks=pytest.mark.whole),
    ],
)
def test_a_whole_recovery_with_a_key_fob(
    site: Site, device: Callable[..., BrowserContext], locale: str, width: int, scripts: bool
) -> None:
    title, note, by = WORDS[locale]
    who = with_ledger(site, locale, tier="mfa")
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
    assert in_ledger(site, who) == NEW
    look_again(page)
    expect(page.locator(".systems")).to_contain_text("Ledger")
    sign_in(page, who.key, NEW)
    page.goto("/account/activity")
    expect(page.locator("body")).to_contain_text(by)


@pytest.mark.parametrize(("locale", "width"), [("en", 360), ("zh_CN", 1280)])
def test_a_code_by_a_gateway_of_a_package(
    site: Site, device: Callable[..., BrowserContext], pagers: Pagers, locale: str, width: int
) -> None:
    who = with_ledger(site, locale)
    phone = add_phone(site, who)
    page = device("zh-CN" if locale == "zh_CN" else "en-US", width).new_page()
    handle = ask(page, who.mail)
    page.goto(f"/r/{handle}/ways")
    pick(page, "sms_code")
    site.until(lambda: any(m["to"] == phone for m in pagers.got), "a page")
    text = next(m["text"] for m in pagers.got if m["to"] == phone)
    answer(page, re.findall(r"(?<![\d#])\d{6}", text)[0])
    choose(page, NEW)
    page.locator(".systems").wait_for(timeout=SOON)
    site.applied()
    assert in_ledger(site, who) == NEW
