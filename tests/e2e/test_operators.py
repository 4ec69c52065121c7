"""Operators in the browser: a passkey is made by a set-up link, signs in by itself, and confirms before what matters.
And every page of the console is looked at, in both languages, three widths, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.application.desk import operators
from keyback.domain.operators.roles import Role
from tests.e2e.account_steps import authenticator
from tests.e2e.axe import AXE, wrong
from tests.e2e.demo_steps import patient, seen
from tests.e2e.site import Site, running

Device = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("operators"), host="localhost") as site:
        yield site


def clean(page: Page) -> None:
    page.evaluate(AXE)
    assert wrong(page) == []


def set_up(site: Site, context: BrowserContext, role: Role, mail: str) -> Page:
    """A page of somebody who made a passkey by their link, and signed in with it."""
    page = patient(context)
    authenticator(context, page)
    invited = site.write(lambda tx: operators.add(tx, role.value.title(), mail, role))
    page.goto(f"/console/set-up/{invited.token}")
    seen(page, f"set-up-{role.value}")
    page.locator("#label").fill("This laptop")
    page.locator("[data-passkey-button]").click()
    page.locator("form[action='/console/sign-in']").wait_for()
    seen(page, "sign-in-after-set-up")
    page.locator("[data-passkey-button]").click()
    page.locator(".rail-out").wait_for()
    return page


@pytest.mark.covers("A-6.3.3")
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_passkey_signs_an_operator_in_and_confirms(site: Site, device: Device, locale: str) -> None:
    mail = f"admin-{locale.lower()}@example.com"
    page = set_up(site, device(locale, 1280), Role.SYSTEM_ADMINISTRATOR, mail)
    expect(page.locator("main h1")).to_be_visible()
    site.clock.ahead += 6 * 60_000
    page.goto("/console/keys")
    seen(page, "keys-before-confirming")
    page.locator("main a[href^='/console/confirm']").click()
    seen(page, "confirm")
    page.locator("[data-passkey-button]").click()
    page.wait_for_url("**/console/keys")
    page.locator("#name").fill("Ticket desk")
    page.locator("input[value='cases.view']").check()
    page.locator("form[action='/console/keys'] button").click()
    expect(page.locator("[role=status]")).to_contain_text("keyback_")
    seen(page, "key-made")
    clean(page)


@pytest.mark.parametrize(
    ("locale", "scheme"),
    [
        ("en-US", "light"),
        ("zh-CN", "dark"),
        pytest.param("en-US", "dark", marks=pytest.mark.whole),
        pytest.param("zh-CN", "light", marks=pytest.mark.whole),
    ],
)
def test_pages_of_the_console_fit_and_are_accessible(site: Site, device: Device, locale: str, scheme: Any) -> None:
    context = device(locale, 1280, color_scheme=scheme)
    mail = f"officer-{locale.lower()}-{scheme}@example.com"
    page = set_up(site, context, Role.SECURITY_OFFICER, mail)
    for path in ("", "?tier=privileged&late=1", "/calls", "/audit", "/operators", "/keys", "/tasks", "/requests"):
        for width in (820, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(f"/console{path}")
            seen(page, f"{path.strip('/?').split('=')[0] or 'queue'}-{width}-{scheme}")
        clean(page)
