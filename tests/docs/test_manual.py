"""The site of the manual has every page, in both languages alike; `.ci/run` builds it with every link checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.support.house import ROOT

DOCS = ROOT / "docs"


class _Loader(yaml.SafeLoader):
    """Reads the file as it is; what MkDocs makes of functions is nothing here."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def pages(nav: Any) -> Iterator[str]:
    """Every page below a part of the navigation, in order."""
    if isinstance(nav, str):
        yield nav
    for part in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from pages(part)


def test_every_page_is_in_the_navigation_once_and_alike_in_both_languages() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = list(pages(yaml.load(text, Loader=_Loader)["nav"]))
    assert len(set(listed)) == len(listed)
    there = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md") if p.parent.name != "adr"}
    there -= {"en/connectors/README.md", "zh/connectors/README.md"}
    assert set(listed) == there | {"adr/README.md"}
    english, chinese = ([p[3:] for p in listed if p.startswith(f"{x}/")] for x in ("en", "zh"))
    assert english == chinese
    assert all((DOCS / page).is_file() for page in re.findall(r"link: /(\S+)\.html", text) if page.endswith(".md"))


def test_the_site_asks_nobody_else_for_anything() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "font: false" in text
    assert not re.search(r"https?://|analytics", text)
