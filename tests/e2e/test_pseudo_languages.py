"""Pages hold words that are much longer, and are read from right to left: with languages made for that alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from keyback.locale import gettext, languages
from tests.e2e import samples
from tests.support import pseudo

# How far a page, or what stands in one of these, runs out of its box to the side; what may be scrolled is no fault.
OUT = """() => {
  const root = document.documentElement;
  const faults = root.scrollWidth > root.clientWidth ? [`page ${root.scrollWidth - root.clientWidth}`] : [];
  const boxes = 'button, .button, .badge, .step > span, .choice, label, th, summary, h1, h2, .go';
  for (const e of document.querySelectorAll(boxes)) {
    const style = getComputedStyle(e);
    if (style.display === 'inline' || !e.getClientRects().length || e.closest('.vh, .skip')) continue;
    if (e.scrollWidth > e.clientWidth + 1 && style.overflowX === 'visible')
      faults.push(`${e.tagName}.${e.className} ${e.scrollWidth - e.clientWidth}: ${e.textContent.trim().slice(0, 40)}`);
  }
  return faults;
}"""
ARROWS = """() => [...document.querySelectorAll('.icon-arrow')].filter(e => e.getClientRects().length)
  .map(e => { const m = new DOMMatrix(getComputedStyle(e).transform); return m.a; })"""
SIDES = """() => { const r = document.querySelector('.brand').getBoundingClientRect();
  return [r.left, document.documentElement.clientWidth - r.right]; }"""


@pytest.fixture(scope="module", autouse=True)
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    known = languages.LANGUAGES
    languages.LANGUAGES = pseudo.make(tmp_path_factory.mktemp("languages"))
    yield
    languages.LANGUAGES = known


@pytest.fixture
def looking(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    samples.serve(context)
    yield context.new_page()
    context.close()


def test_words_really_are_longer() -> None:
    texts = sorted(pseudo.english())
    assert sum(len(pseudo.german(x)) for x in texts) > 1.38 * sum(len(x) for x in texts)
    assert pseudo.german("Recovery code") == "Recöveryheitun cödehei"
    assert pseudo.german("{name}, it’s done") == "{name}, it’s dönehei"
    assert gettext("de", "Help desk") == pseudo.german("Help desk") != "Help desk"
    assert len(pseudo.english()) > 2000


@pytest.mark.parametrize("code", ["de", "he"])
def test_no_page_overflows(looking: Page, code: str) -> None:
    faults = {}
    for name in samples.walk(looking, code):
        for width in (320, 360, 1280):
            looking.set_viewport_size({"width": width, "height": 740})
            if out := looking.evaluate(OUT):
                faults[f"{name} at {width}"] = out
    assert faults == {}


def test_what_points_on_points_the_way_that_is_read(looking: Page) -> None:
    for name in ("forgot", "account-overview", "results"):
        for code, turn in (("he", -1), ("de", 1)):
            samples.show(looking, name, code)
            assert looking.locator("html").get_attribute("lang") == code
            assert looking.evaluate("getComputedStyle(document.body).direction") == ("rtl" if turn < 0 else "ltr")
            assert set(looking.evaluate(ARROWS)) <= {turn}
            left, right = looking.evaluate(SIDES)
            assert (left > right) == (turn < 0), "the masthead begins where reading does"
    samples.show(looking, "forgot", "he")
    assert looking.evaluate(ARROWS), "there are arrows to turn"
