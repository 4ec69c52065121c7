"""The pages of connectors: their sections are ones that Keyback takes, and every key stands on its page."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from keyback.cli.connectors import class_of
from keyback.connectors.base import ConnectorOptions

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*/connectors/*.md"))
COMMON = set(ConnectorOptions.model_fields)


def section(page: Path) -> dict[str, object]:
    found = re.search(r"```toml\n(\[systems\..*?)```", page.read_text(encoding="utf-8"), re.S)
    assert found, "a page shows a section first of all"
    (one,) = tomllib.loads(found[1])["systems"].values()
    return dict(one)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: f"{p.parts[-3]}/{p.stem}")
def test_the_section_of_a_page_has_keys_that_there_are(page: Path) -> None:
    one = section(page)
    kind = str(one.pop("kind"))
    assert kind == page.stem
    one.pop("title")
    class_of(kind).options_model.model_validate(one)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: f"{p.parts[-3]}/{p.stem}")
def test_every_key_stands_on_the_page(page: Path) -> None:
    """Those of every kind stand on the page of all connectors."""
    text = page.read_text(encoding="utf-8")
    own = set(class_of(page.stem).options_model.model_fields) - COMMON
    if page.stem == "active_directory":
        own -= set(class_of("ldap").options_model.model_fields)  # its page sends readers there
    assert {k for k in own if not re.search(rf"`{k}( = [^`]+)?`", text)} == set()


def test_pages_of_both_languages_show_the_same_section() -> None:
    for page in (ROOT / "docs" / "en" / "connectors").glob("*.md"):
        other = section(ROOT / "docs" / "zh" / "connectors" / page.name)
        assert {**section(page), "title": ""} == {**other, "title": ""}
