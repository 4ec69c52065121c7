"""What axe and our own eyes find on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
CONTRAST = {"runOnly": ["color-contrast"]}
DRAWN = """async () => {
  getComputedStyle(document.body).color;
  await new Promise(requestAnimationFrame);
  await Promise.all(document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished));
}"""


SMALL = """() => [...document.querySelectorAll('main a, main button, main input, main select, main summary')]
  .filter(e => e.checkVisibility() && e.type !== 'hidden' && !e.closest('p, dd, small'))
  .map(e => [(e.closest('label') || e).getBoundingClientRect().height, e.outerHTML.slice(0, 90)])
  .filter(([height]) => height < 44)"""


def wrong(page: Page, **options: Any) -> list[str]:
    found = page.evaluate("options => axe.run(document, {resultTypes: ['violations'], ...options})", options)
    return [f"{v['id']}: {n['html']}" for v in found["violations"] for n in v["nodes"]]
