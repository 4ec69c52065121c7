"""The login doctor in a browser: it finds what is planted in the demo's clouds, with one next step each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.demo_steps import MINUTES, Demo, patient, running_demo, seen
from tests.e2e.steps import ask, look_again
from tests.e2e.ways_steps import answer, mail_code, pick

Device = Callable[..., BrowserContext]
STILL = "/forgot?journey=still_locked_out"
# Who, the system's name in the demo, and what is found there.
PLANTED = (
    pytest.param("fatima.zahran", "en", "Cirrus Sales", "frozen"),
    pytest.param("tomas.novak", "en", "Cirrus Sales", "sso_only", marks=pytest.mark.slow),
    pytest.param("peter.vandermeer", "zh_CN", "Meridian 365", "synced_elsewhere", marks=pytest.mark.slow),
    pytest.param("dengchao", "zh_CN", "Cirrus Sales", "stale_password", marks=pytest.mark.slow),
    pytest.param("hugo.lefevre", "zh_CN", "Meridian 365", "wrong_host", marks=pytest.mark.slow),
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("doctor") / "data") as demo:
        yield demo


@pytest.fixture
def site(demo: Demo) -> Demo:
    """What `device` opens its browsers for."""
    demo.afresh()
    return demo


def verified(page: Page, site: Demo, username: str, path: str = STILL) -> str:
    """By email alone, and the wait of an unknown browser; the address of the recovery."""
    who = site.who(username)
    handle = ask(page, who.key, path)
    mail_code(page, site, who)
    return f"/r/{handle}"


@pytest.mark.covers("N18")
@pytest.mark.parametrize(("username", "locale", "system", "code"), PLANTED)
def test_the_doctor_finds_what_is_planted(
    site: Demo, device: Device, username: str, locale: str, system: str, code: str
) -> None:
    page = patient(device("zh-CN" if locale == "zh_CN" else "en-US", 360))
    at = verified(page, site, username)
    if not page.locator("[data-finding]").count():
        site.later(MINUTES)
        page.goto(at)
    row = page.locator(".system", has_text=system)
    expect(row.locator(f"[data-finding={code}]")).to_be_visible()
    expect(page.locator("#self")).to_be_visible()
    seen(page, f"doctor-{code}")
    if code in ("frozen", "synced_elsewhere", "wrong_host"):
        page.goto(f"{at}?new=1")
        expect(page.locator(f"#aside [data-finding={code}]")).to_be_visible()
        expect(page.locator("#new_password")).to_be_visible()
        seen(page, f"preflight-{code}")


def lost(page: Page, site: Demo, username: str, system: str) -> None:
    """From the doctor's page to that of the lost second step: one more method, and the wait."""
    at = verified(page, site, username)
    who = site.who(username)
    if not page.locator("[data-finding], form[action$='/second-step']").count():
        pick(page, "totp")
        answer(page, site.digits(who))
        page.wait_for_url(f"**{at}")
        site.later(MINUTES)
        page.goto(at)
    seen(page, f"doctor-lost-{username}")
    row = page.locator(".system", has_text=system)
    expect(row.locator("[data-finding=factor_lost]")).to_be_visible()
    row.locator("form[action$='/second-step'] button").click()
    page.wait_for_url(lambda url: not url.endswith(at))
    if not page.locator("[data-system]").count():
        site.later(MINUTES)
        look_again(page)
    expect(page.locator(f"[data-system='{system}']")).to_be_visible()


@pytest.mark.slow
@pytest.mark.covers("O-M1")
def test_a_lost_second_step_is_removed_in_the_system(site: Demo, device: Device) -> None:
    page = patient(device("zh-CN", 360))
    lost(page, site, "hanxue", "Cirrus Sales")
    seen(page, "system-factors")
    button = page.locator("[data-system='Cirrus Sales'] form[action$='/system-factors'] button")
    button.click()
    expect(page.locator(".notice[role=alert]")).to_be_visible()
    expect(button).to_have_count(0)
    seen(page, "system-factors-removed")


@pytest.mark.slow
@pytest.mark.covers("O-M1")
def test_a_temporary_pass_is_shown_once(site: Demo, device: Device) -> None:
    page = patient(device("en-US", 1280))
    lost(page, site, "sunli", "Meridian 365")
    page.locator("form[action$='/temporary-pass'] button").click()
    shown = page.locator(".number-shown").inner_text()
    assert shown
    seen(page, "temporary-pass")
    page.goto(page.url.replace("/temporary-pass", "/system-factors"))
    assert shown not in page.content()
