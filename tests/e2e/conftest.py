"""One site and one browser for all browser tests; every test has a profile of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from tests.e2e.site import SOON, Site, running

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HERE = Path(__file__).parent
QUICK = frozenset({"test_circle.py"})  # all else is in `-m slow`
# What a browser says of an address that it was to open while the page before was just loading itself anew.
OVERTAKEN = ("net::ERR_ABORTED", "interrupted by another navigation")
_goto = Page.goto


def _goto_at_last(self: Page, url: str, **more: Any) -> Any:
    """As `goto`, and once more for a page that was overtaken."""
    try:
        return _goto(self, url, **more)
    except Error as e:
        if not any(words in str(e) for words in OVERTAKEN):
            raise
        return _goto(self, url, **more)


Page.goto = _goto_at_last  # type: ignore[method-assign, assignment]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            if item.path.name not in QUICK:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not on PATH: install it to run the browser tests")
    expect.set_options(timeout=SOON)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def device(browser: Browser, site: Site) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser profile: `device(locale="zh-CN", width=360, java_script_enabled=False, …)`."""
    made: list[BrowserContext] = []
    bad: list[str] = []

    def make(locale: str = "en-US", width: int = 1280, **over: Any) -> BrowserContext:
        size = {"width": width, "height": 740 if width < 600 else 900}
        values = {"base_url": site.url, "locale": locale, "viewport": size, "reduced_motion": "reduce", **over}
        context = browser.new_context(**values)
        context.set_default_timeout(SOON)
        context.on("response", lambda r: bad.append(f"{r.status} {r.url}") if r.status >= 500 else None)
        context.on("weberror", lambda e: bad.append(str(e.error)))
        context.on(
            "console", lambda m: bad.append(m.text) if m.type == "error" and "status of 4" not in m.text else None
        )
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()
    assert not bad, "no page may break, and the browser has nothing to complain about"


@pytest.fixture
def context(device: Callable[..., BrowserContext]) -> BrowserContext:
    return device()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
