"""What only a browser can say of a page: wider spacing, forced colors, paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e import samples

SLOW = pytest.mark.slow
WIDER = """* { letter-spacing: 0.12em !important; word-spacing: 0.16em !important; line-height: 1.5 !important; }
p { margin-block-end: 2em !important; }"""  # WCAG 2.2, 1.4.12
SOME = ["waiting", "password", "results", "ways-mailbox", "forgot-second-factor", "account-overview", "account-devices"]
OUT = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
CLIPBOARD = """window.copied = [];
Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { copied.push(text); } } });"""
Look = Callable[..., Page]


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Makes a page that shows samples."""
    made = []

    def make(width: int = 360, **over: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 740}, reduced_motion="reduce", **over)
        made.append(context)
        samples.serve(context)
        return context.new_page()

    yield make
    for context in made:
        context.close()


@pytest.mark.covers("X-8")
@pytest.mark.parametrize(
    ("locale", "names"), [("en", SOME), pytest.param("en", None, marks=SLOW), pytest.param("zh_CN", None, marks=SLOW)]
)
def test_wider_spacing_fits(look: Look, locale: str, names: list[str] | None) -> None:
    faults = {}
    for width in (320, 360, 1280):
        page = look(width)
        for name in samples.walk(page, locale, names):
            page.add_style_tag(content=WIDER)
            if out := page.evaluate(OUT):
                faults[f"{name} at {width}"] = out
    assert faults == {}


# What is told by a fill or a line alone must still differ where the colors are the reader's own.
DIFFER = {
    "the current tab": ("account-devices", ".tabs a[aria-current]", ".tabs a:not([aria-current])"),
    "what is now and what is done": ("password", ".step.is-now", ".step.is-done"),
    "what is now and what is to come": ("waiting", ".step.is-now", ".step:last-child"),
    "strength": ("password-errors", ".strength i:first-child", ".strength i:last-child"),
    "readiness": ("account-overview", ".readiness-cells .yes", ".readiness-cells i:not(.yes)"),
}
SEEN = """([selector]) => { const e = document.querySelector(selector);
  const told = [null, '::before'].map(p => { const s = getComputedStyle(e, p);
    return [s.borderBottomColor, s.borderBottomWidth, s.backgroundColor, s.boxShadow].join(); });
  return told.join('|'); }"""


@pytest.mark.covers("X-8")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("what", DIFFER)
def test_forced_colors_keep_what_is_told_by_a_mark(look: Look, what: str, scheme: str) -> None:
    name, one, other = DIFFER[what]
    page = look(forced_colors="active", color_scheme=scheme)
    samples.show(page, name)
    page.add_style_tag(content="*, *::before { transition: none !important; }")
    page.evaluate("document.querySelector('.tabs a')?.setAttribute('aria-current', 'page')")  # samples have no address
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    assert page.evaluate(SEEN, [one]) != page.evaluate(SEEN, [other]), what


@pytest.mark.parametrize("name", ["account-totp-setup", "replace-factor-scan"])
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_an_app_on_the_same_phone_gets_its_key_by_a_link_or_a_copy(look: Look, name: str, locale: str) -> None:
    """Nobody scans their own screen: the link holds what the picture holds, and what is copied has no spaces."""
    page = look()
    page.add_init_script(CLIPBOARD)
    samples.show(page, name, locale)
    link = page.locator("main a[href^='otpauth://totp/']")
    key = "".join(page.locator("#app-key").inner_text().split())
    assert link.is_visible()
    assert (link.bounding_box() or {"height": 0})["height"] >= 44
    assert page.locator(".qr").is_visible()
    page.locator("[data-copy]").click()
    assert page.evaluate("copied") == [key]


def test_without_scripts_the_key_is_there_to_type(look: Look) -> None:
    page = look(java_script_enabled=False)
    samples.show(page, "account-totp-setup")
    assert page.locator("#app-key").is_visible()
    assert page.locator("main a[href^='otpauth://totp/']").is_visible()
    assert not page.locator("[data-copy]").is_visible()
