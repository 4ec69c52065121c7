"""Pictures of the manual: each is of a page that a browser test stands on, and is kept with an outline of that page.

The outline has elements, classes and words, without whatever differs from one run to the next. A picture is old when
the page that it shows has another outline now. The command `ANEW` takes those that are old anew.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.e2e.steps import fits
from tests.support.house import ROOT

PICTURES = ROOT / "docs" / "pictures"
OUTLINES = PICTURES / "outlines.json"
ANEW = "scripts/test -m slow tests/e2e/test_pictures.py --pictures-write"
# At a fixed time the demo's dates are always the same; instants, codes and numbers within the hour are not.
OUTLINE = r"""but => {
  const out = [];
  const SKIPPED = 'script, noscript, style, template, use, path, [hidden], .suggestion + .muted, .demo-strip';
  const walk = (node, depth) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.data.replace(/[\w-]{22}/g, '#').replace(/\d+/g, '0').replace(/\s+/g, ' ').trim();
      if (text) out.push(' '.repeat(depth) + text);
    } else if (node.nodeType === Node.ELEMENT_NODE && !node.matches(SKIPPED)) {
      out.push(' '.repeat(depth) + node.localName + [...node.classList].sort().map(c => '.' + c).join(''));
      if (node.matches('time, output, code, .mono' + (but && ', ' + but))) return;
      for (const child of node.childNodes) walk(child, depth + 1);
    }
  };
  walk(document.body, 0);
  return out.join('\n');
}"""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def recorded() -> dict[str, dict[str, str]]:
    """Of every picture, by its path under `docs/pictures`, the digests of its page's outline and of its bytes."""
    return json.loads(OUTLINES.read_text("utf-8")) if OUTLINES.exists() else {}


def small(taken: bytes, file: Path) -> None:
    """Writes a picture with a palette of its own: pages have few colors, and so it takes a third of the room."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(taken)) as image:
        few = image.convert("RGB").quantize(96, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(file, optimize=True)


class Album:
    """Compares pages with their pictures, or takes the pictures.

    Args:
        locale: of the pages, `en` or `zh_CN`.
        write: takes pictures that are old or missing.
        folder: keeps outlines, so that two runs can be compared.
    """

    def __init__(self, locale: str, write: bool, folder: Path) -> None:
        self._lang, self._write, self._folder = "zh" if locale == "zh_CN" else "en", write, folder
        self._known, self.old = recorded(), list[str]()

    def __call__(self, page: Page, name: str, ready: Callable[[], object] | None = None, but: str = "") -> None:
        """The page as it stands now is what the picture `name` shows.

        Args:
            ready: done first, such as to wait for something.
            but: a selector of what may differ, such as rows in whose order the worker has a part.
        """
        if ready:
            ready()
        page.wait_for_load_state("networkidle")
        fits(page)
        path = f"{self._lang}/{name}.png"
        text = page.evaluate(OUTLINE, but)
        (self._folder / f"{self._lang}-{name}.txt").write_text(text, "utf-8")
        assert "['" not in text, f"{name} shows a list as Python writes it"
        outline, file, known = digest(text.encode()), PICTURES / path, self._known.get(path, {})
        if known.get("outline") == outline and file.exists() and known.get("picture") == digest(file.read_bytes()):
            return
        if not self._write:
            self.old.append(path)
            return
        page.evaluate("document.querySelector('.demo-strip')?.remove(); document.activeElement?.blur(); scrollTo(0, 0)")
        small(page.screenshot(animations="disabled", caret="hide"), file)
        self._known[path] = {"outline": outline, "picture": digest(file.read_bytes())}
        OUTLINES.write_text(json.dumps(dict(sorted(self._known.items())), indent=1) + "\n", "utf-8")
