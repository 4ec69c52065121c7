"""One password, several systems, each with its own true result; among them a real Tryton."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.testing.tryton_server import TrytonServer, start_tryton
from tests.e2e.site import NEW, OLD, Site, running
from tests.e2e.steps import ask, choose, heading, prove_by_link, recovery_link, to_password
from tests.support.tryton import SERIES, programs

Device = Callable[..., BrowserContext]


@pytest.fixture
def mended(site: Site) -> Iterator[None]:
    yield
    site.crm.broken, site.crm.slow = "", 0.0


def state(page: Page, title: str) -> str | None:
    return page.locator(".system", has_text=title).get_attribute("data-state")


@pytest.mark.slow
@pytest.mark.covers("INV-I12", "N12")
def test_a_system_that_is_down_is_shown_as_such_until_it_is_done(site: Site, page: Page, mended: None) -> None:
    who = site.person(crm=True, guided=True)
    to_password(page, site, who)
    assert page.locator("#accounts input[type=checkbox]").count() == 3
    site.crm.broken = "refuse"
    choose(page)
    expect(page.locator(".system[data-state=done]")).to_have_count(1)
    expect(page.locator(".system[data-state=working]")).to_have_count(1)
    assert (state(page, "Keyback"), state(page, "Demo CRM")) == ("done", "working")
    assert state(page, "Partner desk") == "yours"
    heading(page, "en", "1 of {n} systems is done", n=3)
    assert site.crm.sign_in(who.key, OLD), "there the old one still holds"
    site.crm.broken = ""
    expect(page.locator(".system[data-state=done]")).to_have_count(2)
    assert site.crm.sign_in(who.key, NEW)
    assert not site.crm.sign_in(who.key, OLD)


@pytest.mark.slow
@pytest.mark.covers("INV-I12")
def test_a_system_that_refuses_gives_its_reason_and_another_try(site: Site, page: Page, mended: None) -> None:
    who = site.person(crm=True)
    to_password(page, site, who)
    site.crm.broken = "policy"
    choose(page)
    expect(page.locator(".system[data-state=refused] q")).to_contain_text("used before")
    expect(page.locator(".system[data-state=done]")).to_have_count(1)
    assert site.crm.sign_in(who.key, OLD)
    site.crm.broken = ""
    page.locator("a.button", has_text="Choose another password").click()
    assert not page.locator("#accounts input[type=checkbox]").count(), "only the one that refused is left"
    choose(page, "another kettle sings 12")
    heading(page, "en", "Both systems are updated")
    assert site.crm.sign_in(who.key, "another kettle sings 12")


@pytest.mark.slow
def test_only_the_systems_that_were_ticked(site: Site, page: Page) -> None:
    who = site.person(crm=True)
    to_password(page, site, who)
    page.locator("#accounts input[type=checkbox]").first.uncheck()
    page.locator("#accounts input[type=checkbox]").last.uncheck()
    choose(page)
    expect(page.locator("#accounts-error")).to_be_visible()
    page.locator("label.check", has_text="Demo CRM").click()
    choose(page)
    heading(page, "en", "Your new password works")
    assert site.crm.sign_in(who.key, NEW)


@pytest.fixture(params=SERIES)
def tryton(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TrytonServer]:
    server = start_tryton(tmp_path, programs=programs(request.param))
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.slow
@pytest.mark.covers("INV-I12", "E4")
def test_back_into_a_real_tryton(
    tryton: TrytonServer, tmp_path: Path, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = tryton.create_user("maya", "maya@example.com", OLD)
    section = {
        "kind": "tryton",
        "title": "Tryton",
        "url": tryton.url,
        "database": tryton.database,
        "login": tryton.admin_login,
        "secret": tryton.admin_password.reveal(),
    }
    session = tryton.login("maya", OLD)
    assert session is not None
    with running(tmp_path_factory.mktemp("with-tryton"), {"tryton": section}) as site:
        who = site.person(more={"tryton": (key, "maya")})
        page = device("zh-CN", 360, base_url=site.url).new_page()
        ask(page, "maya")
        prove_by_link(page, recovery_link(site.mail(who)))
        choose(page)
        heading(page, "zh_CN", "Both systems are updated")
    assert tryton.alive(session) is tryton.keeps_sessions
    assert tryton.login("maya", NEW)
    assert tryton.login("maya", OLD) is None
