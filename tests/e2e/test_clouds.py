"""A recovery that ends in a vendor's cloud: its own sign-in page takes the new password and no longer the old one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.demo_steps import MINUTES, NEW, PATIENCE, Demo, patient, running_demo, seen
from tests.e2e.steps import ask, choose, look_again
from tests.e2e.ways_steps import mail_code

pytestmark = pytest.mark.slow
Device = Callable[..., BrowserContext]
DOMAIN = "qingyu.example.com"
# System to path of its sign-in page and, by language, who has an account there and is recovered with one email.
CLOUDS = {
    "salesforce": ("/demo/salesforce/login", {"en": "priya.raman", "zh_CN": "mahui"}),
    "dynamics365": ("/demo/dynamics365/sign-in", {"en": "wambui.njoroge", "zh_CN": "chenyu"}),
    "zoho": ("/demo/zoho/signin", {"en": "leila.farouk", "zh_CN": "ayguli"}),
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("clouds") / "data") as demo:
        yield demo


@pytest.fixture
def site(demo: Demo) -> Demo:
    """What `device` opens its browsers for."""
    demo.afresh()
    return demo


def at_the_cloud(page: Page, path: str, username: str, password: str) -> None:
    """Types user name and password on the system's own page, on two pages where it asks so."""
    page.goto(path)
    page.locator("#username").fill(f"{username}@{DOMAIN}")
    if not page.locator("#password").count():
        page.locator("form button:not(.link)").first.click()
    page.locator("#password").fill(password)
    page.locator("form button:not(.link)").first.click()


@pytest.mark.covers("N1")
@pytest.mark.parametrize(
    ("locale", "cloud"),
    [
        ("en", "salesforce"),
        ("zh_CN", "dynamics365"),
        ("zh_CN", "zoho"),
        pytest.param("zh_CN", "salesforce", marks=pytest.mark.whole),
        pytest.param("en", "dynamics365", marks=pytest.mark.whole),
        pytest.param("en", "zoho", marks=pytest.mark.whole),
    ],
)
def test_the_new_password_signs_in_at_the_system_itself(site: Demo, device: Device, locale: str, cloud: str) -> None:
    path, people = CLOUDS[cloud]
    who = site.who(people[locale])
    page = patient(device("zh-CN" if locale == "zh_CN" else "en-US", 360))
    old = site.password(who)
    at_the_cloud(page, path, who.key, old)
    expect(page.locator("h1")).to_contain_text(str(site.people[who.key]["name"]))

    ask(page, who.key)
    mail_code(page, site, who)
    if not page.locator("#new_password").count():  # nobody knows this browser
        site.later(MINUTES)
        look_again(page)
        page.locator("#new_password").wait_for()
    choose(page, NEW)
    page.locator(".systems").wait_for()
    site.until(lambda: not page.locator("[data-state=working], [data-state=waiting]").count(), "all settled")
    seen(page, f"{cloud}-results")
    assert page.locator("[data-state=refused], [data-state=failed], [data-state=uncertain]").count() == 0

    other, another = (patient(device("zh-CN" if locale == "zh_CN" else "en-US", 360)) for _ in range(2))
    at_the_cloud(other, path, who.key, old)
    expect(other.locator("#password")).to_be_visible()
    at_the_cloud(another, path, who.key, NEW)
    expect(another.locator("h1")).to_contain_text(str(site.people[who.key]["name"]))
    page.goto(path)
    expect(page.locator("#username")).to_be_visible()  # the session from before has ended


@pytest.mark.covers("N7")
def test_what_has_no_call_for_passwords_leads_through_its_own_page(site: Demo, device: Device) -> None:
    who = site.who("huangjie")
    page = patient(device("zh-CN", 360))
    ask(page, who.key)
    mail_code(page, site, who)
    if not page.locator("#new_password").count():
        site.later(MINUTES)
        look_again(page)
        page.locator("#new_password").wait_for()
    choose(page, NEW)
    row = page.locator(".system", has_text="远客")
    expect(row.locator("ol li").first).to_be_visible()
    expect(row.locator("a[href*='/demo/fxiaoke/']").first).to_be_visible()
    seen(page, "fxiaoke-results")
    other = page.context.new_page()
    other.goto(page.url)
    other.locator("button[value=in]").click()
    expect(row).to_contain_text("你已确认可以登录", timeout=PATIENCE)  # the first page took the news in by itself
