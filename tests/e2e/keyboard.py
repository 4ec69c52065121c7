"""A page by the keyboard alone."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.e2e.axe import AXE, SMALL, wrong
from tests.e2e.steps import (
    fits,
)


def tab_to(page: Page, selector: str) -> None:
    """Goes on with the Tab key until something of this kind has the focus, which has to be seen."""
    for _ in range(60):
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", selector
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {selector} on {page.url}")


def press(page: Page, selector: str, key: str = "Enter") -> None:
    tab_to(page, selector)
    page.keyboard.press(key)


def looked_at(page: Page) -> None:
    """The page is accessible, large enough to touch, and nothing sticks out."""
    page.evaluate(AXE)
    assert wrong(page) + page.evaluate(SMALL) == []
    fits(page)


FOCUS = """() => {
  const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
  const place = [...document.querySelectorAll('*')].indexOf(e);
  return {tag: e.tagName, outline: s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth), place,
          seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight};
}"""


def tab_along(page: Page, selector: str, most: int = 40) -> list[str]:
    """Tabs until the element has the focus. Focus is visible at every stop and goes through the page in its order."""
    wanted = page.locator(selector).first
    wanted.wait_for()
    passed: list[str] = []
    before = -1
    if wanted.evaluate("e => e === document.activeElement"):
        return passed
    for _ in range(most):
        page.keyboard.press("Tab")
        at: dict[str, Any] = page.evaluate(FOCUS)
        assert at["outline"] >= 2, f"no visible focus on {at}"
        assert at["seen"], f"focus is off the screen on {at}"
        assert at["place"] > before, f"focus jumps back to {at}"
        before = at["place"]
        if wanted.evaluate("e => e === document.activeElement"):
            return passed
        passed.append(at["tag"])
    raise AssertionError(f"{selector} is out of reach by Tab")
