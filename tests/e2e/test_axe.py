"""Every page, of the main job and of the other ways: axe finds nothing in either language, and nothing sticks out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Error, Page

from tests.e2e import tour, ways_tour
from tests.e2e.axe import AXE, CONTRAST, DRAWN, SMALL, wrong
from tests.e2e.site import Site
from tests.e2e.steps import fits

BEGINNING = 12  # pages of the main job that the default run looks at
WALKS = [
    pytest.param(tour.tour, 30, id="main"),
    pytest.param(ways_tour.tour, 20, id="ways"),
]


# Whole tours are for `scripts/test -m slow`, which .ci/run runs too.
@pytest.mark.slow
@pytest.mark.covers("X-8", "X-3")
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
@pytest.mark.parametrize(("walk", "many"), WALKS)
def test_every_page(
    site: Site, device: Callable[..., BrowserContext], locale: str, walk: Callable[..., Any], many: int
) -> None:
    assert len(look_at(walk(site, device, locale, 360), locale)) > many


@pytest.mark.covers("X-8", "X-3")
def test_the_first_pages(site: Site, device: Callable[..., BrowserContext]) -> None:
    assert len(look_at(islice(tour.tour(site, device, "en", 360), BEGINNING), "en")) == BEGINNING


def look_at(pages: Iterable[tuple[str, Page]], locale: str) -> list[str]:
    """The names of all pages; a page with a fault fails."""
    faults: dict[str, list[Any]] = {}
    names = []
    for name, page in pages:
        names.append(name)
        if found := standing_still(page, lambda p: faults_of(p, locale)):
            faults[name] = found
    assert faults == {}
    return names


def standing_still(page: Page, look: Callable[[Page], list[Any]]) -> list[Any]:
    """What is found on a page; looked at anew where it loaded itself again meanwhile, as live pages do."""
    for _ in range(5):
        page.wait_for_load_state()
        try:
            page.evaluate("window.looked = true")
            found = look(page)
            if page.evaluate("window.looked === true"):
                return found
        except Error as e:
            if "context was destroyed" not in e.message and "axe is not defined" not in e.message:
                raise
    raise AssertionError("the page never stands still")


def faults_of(page: Page, locale: str) -> list[Any]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: list[Any] = wrong(page) + page.evaluate(SMALL)
    if locale == "en":  # the colours are the same in both
        page.emulate_media(color_scheme="dark")
        page.evaluate(DRAWN)
        found += wrong(page, **CONTRAST)
        page.emulate_media(color_scheme="light")
    if page.locator("aside a[href='/help']").count() != 1:
        found.append("help is not where it always is")
    fits(page)
    return found
