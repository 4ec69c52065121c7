"""Back into Odoo by the portal, as a browser sees it: by both protocols, in both languages, and where it can't be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.demo.vendors.accounts import Account
from keyback.demo.vendors.odoo.records import USER
from tests.e2e.site import NEW, OLD, Site, Someone, running
from tests.e2e.steps import ask, choose, heading, prove_by_link, recovery_link
from tests.support.odoo import Server, odoo_server

Device = Callable[..., BrowserContext]
pytestmark = pytest.mark.slow
SHOTS = {"zh_CN": "zh-CN", "en": "en-US"}


@contextmanager
def beside(server: Server, folder: Path) -> Iterator[Site]:
    with running(folder, {"odoo": {"kind": "odoo", "title": "Odoo", **server.options(timeout_s=20)}}) as site:
        yield site


def maya(site: Site, server: Server, locale: str, **more: object) -> tuple[Someone, Account]:
    account = server.add("maya", "maya@example.com", OLD, **more)
    assert account.has_password(OLD)
    return site.person(locale, more={"odoo": (account.id, account.username)}), account


def verified(device: Device, site: Site, who: Someone, locale: str, width: int) -> Page:
    page = device(SHOTS[locale], width, base_url=site.url).new_page()
    ask(page, who.key)
    prove_by_link(page, recovery_link(site.mail(who)))
    return page


@pytest.mark.covers("INV-I12", "E4")
@pytest.mark.parametrize(("version", "locale", "width"), [(19, "en", 1280), (19, "zh_CN", 360), (18, "zh_CN", 1280)])
def test_back_into_odoo(
    device: Device, tmp_path_factory: pytest.TempPathFactory, version: int, locale: str, width: int
) -> None:
    with odoo_server(version=version) as server, beside(server, tmp_path_factory.mktemp("odoo")) as site:
        who, account = maya(site, server, locale)
        page = verified(device, site, who, locale, width)
        assert page.locator("#accounts input[type=checkbox]").count() == 2
        choose(page)
        heading(page, locale, "Both systems are updated")
        assert account.has_password(NEW)
        assert not account.has_password(OLD)
        assert account.sessions == []


@pytest.mark.covers("INV-I12")
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_who_signs_in_to_odoo_elsewhere_is_told_where(
    device: Device, tmp_path_factory: pytest.TempPathFactory, locale: str
) -> None:
    with odoo_server(oauth=True) as server, beside(server, tmp_path_factory.mktemp("odoo")) as site:
        who, account = maya(site, server, locale, provider="104729")
        page = verified(device, site, who, locale, 360)
        expect(page.locator("#aside [data-finding=sso_only]")).to_contain_text("Odoo")
        choose(page)
        expect(page.locator(".system[data-state=done]")).to_have_count(1)
        assert account.changes == 0


@pytest.mark.covers("INV-I12", "N12")
@pytest.mark.parametrize("version", [19, 18])
def test_a_key_without_rights_changes_nothing_and_leads_to_people(
    device: Device, tmp_path_factory: pytest.TempPathFactory, version: int
) -> None:
    with odoo_server(version=version) as server, beside(server, tmp_path_factory.mktemp("odoo")) as site:
        who, account = maya(site, server, "en")
        server.fake.accounts.get("3").extra["groups"] = [USER]  # type: ignore[union-attr]
        page = verified(device, site, who, "en", 1280)
        choose(page)
        expect(page.locator(".system[data-state=done]")).to_have_count(1)
        odoo = page.locator(".system", has_text="Odoo")
        expect(odoo).to_have_attribute("data-state", "refused")
        expect(odoo).to_contain_text("The help desk can help")
        assert account.changes == 0
        assert account.has_password(OLD)
