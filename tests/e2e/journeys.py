"""What a journey costs a person on a phone: what they do, read and wait for, counted while a browser goes through it.

The method is the design review's, stated so that it can be disputed: 2 s a tap, 0.35 s a typed character, 6 s to the
mail app and back with a paste, and all words above the control read at 240 words or 400 Chinese characters a minute. A
password manager fills in what `fill_in` says: one tap, as the system's own keyboard does with a code from a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Locator, Page

TAP, CHARACTER, APP = 2.0, 0.35, 6.0
WORDS, HAN = 240, 400  # a minute
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ABOVE = """(e) => { const box = e.getBoundingClientRect(), seen = [], end = box.top + scrollY;
  const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    const parent = node.parentElement;
    if (!node.data.trim() || !parent.checkVisibility() || parent.closest('.vh, .demo-strip, .mail-frame')) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    const at = range.getBoundingClientRect();
    if (at.top + scrollY < end || e.contains(node)) seen.push(node.data.trim());
  }
  return [seen.join(' '), Math.max(0, Math.round(box.bottom + scrollY - innerHeight))]; }"""


@dataclass
class Journey:
    """The count of one journey in one language.

    Args:
        actions: what a person does: a tap, or a field with the button after it, or a change of app with a paste.
        single: the same with every tap, field and change of app by itself.
    """

    page: Page
    actions: int = 0
    single: int = 0
    loads: int = 0
    words: int = 0
    scroll: int = 0
    seconds: float = 0.0
    done: list[str] = field(default_factory=list)
    _read: set[str] = field(default_factory=set)
    _in_form: bool = False

    def __post_init__(self) -> None:
        self.page.on("domcontentloaded", self._loaded)

    def _loaded(self, _: Any) -> None:
        self.loads += 1

    def _reads(self, at: Locator) -> None:
        text, far = at.evaluate(ABOVE)
        new = [line for line in re.split(r"(?<=[.。？?])\s+|\n", text) if line not in self._read]
        self._read.update(new)
        said = " ".join(new)
        chinese = len(CHINESE.findall(said))
        other = len(re.findall(r"[A-Za-z0-9][\w’'-]*", said))
        self.words += other + chinese
        self.seconds += 60 * (other / WORDS + chinese / HAN)
        self.scroll += far

    def tap(self, at: Locator) -> None:
        """Reads down to a button or link, and presses it."""
        at.wait_for()
        self._reads(at)
        self.single += 1
        self.actions += 0 if self._in_form else 1
        self._in_form = False
        self.seconds += TAP
        self.done.append(f"tap {at.inner_text().split(chr(10))[0]}")
        at.click()

    def type(self, at: Locator, text: str, *, typed: bool = True) -> None:
        """Fills in a field; the button after it belongs to the same action."""
        at.wait_for()
        self._reads(at)
        self.single += 1
        self.actions += 1
        self._in_form = True
        self.seconds += len(text) * CHARACTER if typed else TAP
        self.done.append("field")
        at.fill(text)

    def fill_in(self, at: Locator, text: str) -> None:
        """What the phone itself offers above its keyboard: one tap."""
        self.type(at, text, typed=False)

    def app(self) -> None:
        """To the mail, and back with what was copied there; part of the field that it goes into."""
        self.single += 1
        self.seconds += APP
        self.done.append("app")

    def prompt(self) -> None:
        """The finger, face or PIN that the browser's own window asks for: one tap."""
        self.single += 1
        self.actions += 1
        self.seconds += TAP
        self.done.append("prompt")

    def open_link(self, address: str) -> None:
        """To the mail, and on by its link."""
        self.single += 1
        self.actions += 1
        self._in_form = False
        self.seconds += APP
        self.done.append("link")
        self.page.goto(address)

    @property
    def row(self) -> dict[str, int]:
        return {
            "actions": self.actions,
            "single": self.single,
            "loads": self.loads,
            "words": self.words,
            "scroll": self.scroll,
            "seconds": round(self.seconds),
        }
