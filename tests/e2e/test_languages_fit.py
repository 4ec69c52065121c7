"""Every page of every language on a phone: nothing is wider than the screen, and no label is cut off."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from keyback.locale import LOCALES, language
from tests.e2e import samples

PARTS = "button, .button, dt, dd, th, h1, h2, h3, label, output"
TOO_WIDE = """parts => [document.documentElement, ...document.querySelectorAll(parts)]
  .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth && getComputedStyle(e).overflowX !== 'auto')
  .filter(e => !e.closest('.vh') && getComputedStyle(e).display !== 'inline')
  .map(e => e.tagName + ': ' + e.textContent.trim().slice(0, 40))"""


@pytest.mark.slow
@pytest.mark.covers("X-8")
@pytest.mark.parametrize("code", LOCALES)
def test_every_page_fits_a_phone(browser: Browser, code: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640}, reduced_motion="reduce")
    samples.serve(context)
    page = context.new_page()
    wide = {name: found for name in samples.walk(page, code) if (found := page.evaluate(TOO_WIDE, PARTS))}
    assert page.evaluate("document.documentElement.lang") == language(code).tag
    context.close()
    assert wide == {}
