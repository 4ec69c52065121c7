"""The link on a sign-in page of the company's own: it brings the username along, tells no server, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from keyback.testing.demo_crm import DemoCrm
from keyback.testing.serving import served
from keyback.web.ui.sign_in_link import below_sign_in
from tests.e2e.axe import AXE, wrong
from tests.e2e.site import Site

Device = Callable[..., BrowserContext]
NAME = "maya+crm lindqvist@example.com"


@pytest.fixture
def crm(site: Site) -> Iterator[str]:
    """The sign-in page of a CRM at an address of its own."""
    made = DemoCrm(None, "t")
    made.help_link = lambda locale: below_sign_in(site.url, locale, "crm")
    with served(made) as url:
        yield f"{url}/sign-in"


def intakes(site: Site) -> int:
    return int(site.sql("SELECT count(*) FROM intakes")[0][0])


@pytest.mark.covers("A1", "E7")
@pytest.mark.parametrize("how", ["click", "keyboard", "new tab"])
def test_the_name_comes_along_and_no_server_sees_it(site: Site, device: Device, crm: str, how: str) -> None:
    context = device(width=360)
    asked: list[str] = []
    context.on("request", lambda r: asked.append(f"{r.url.partition('#')[0]} {r.headers}"))
    page, before = context.new_page(), intakes(site)
    page.goto(crm)
    page.fill("input[name=username]", f"  {NAME} ")
    page.fill("input[name=password]", "a secret of hers")
    link = page.get_by_role("link", name="Can’t sign in?")
    if how == "click":
        link.click()
    elif how == "keyboard":
        link.focus()
        page.keyboard.press("Enter")
    else:
        with context.expect_page() as opened:
            link.click(modifiers=["Control"])
        page = opened.value
    expect(page.locator("#identifier")).to_have_value(NAME)
    expect(page.locator("#system")).to_have_value("crm")
    assert page.url == f"{site.url}/forgot?system=crm"
    assert not any("lindqvist" in x or "secret" in x or "/sign-in" in x.partition(" ")[2] for x in asked[1:]), asked
    assert intakes(site) == before, "nothing was asked for"
    assert context.cookies(site.url) == []
    page.evaluate(AXE)
    assert wrong(page) == []


def test_without_scripts_it_is_a_plain_link(site: Site, device: Device, crm: str) -> None:
    page = device(locale="zh-CN", java_script_enabled=False).new_page()
    page.goto(crm)
    page.fill("input[name=username]", NAME)
    page.get_by_role("link", name="无法登录？").click()
    expect(page.locator("#identifier")).to_have_value("")
    assert page.url == f"{site.url}/forgot?system=crm"


def test_a_strangers_link_fills_a_field_and_no_more(site: Site, device: Device) -> None:
    page, before = device().new_page(), intakes(site)
    for text in ("<img src=x onerror=alert(1)>", "x" * 9000, "%00", "a%0Ab"):
        page.goto("about:blank")
        page.goto(f"{site.url}/forgot#user={text}")
        expect(page.locator("#identifier")).not_to_have_value("")
        assert len(page.locator("#identifier").input_value()) <= 254
        assert page.url == f"{site.url}/forgot"
    page.goto(f"{site.url}/forgot#user=")
    page.fill("#identifier", "typed")
    page.evaluate("location.hash = 'user=other'")
    expect(page.locator("#identifier")).to_have_value("typed")
    assert intakes(site) == before
