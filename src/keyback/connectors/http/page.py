"""Reads the fields of forms, and meta tags, of a page: where systems with pages keep what their forms have to carry."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Final

MAX_FIELDS: Final = 1000
MAX_PAGE: Final = 256 * 1024  # bytes that are looked at


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag not in {"input", "meta"} or len(self.found) >= MAX_FIELDS:
            return
        given = {name: value or "" for name, value in reversed(attrs)}  # as browsers do, the first of two counts
        value = given.get("value" if tag == "input" else "content", "")
        if (name := given.get("name")) and value:
            self.found.setdefault(name, value)


def fields_of(page: bytes) -> dict[str, str]:
    """Values of `<input>` and contents of `<meta>` by name, the first of each that has one; of anything at all."""
    reader = _Fields()
    reader.feed(page[:MAX_PAGE].decode("utf-8", "replace"))
    return reader.found
