"""The documents: links, languages, decisions."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support import house
from tests.support.each import each
from tests.support.house import ROOT

ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
ADR_PARTS = ["Context", "Decision", "Consequences", "What would change it", "How to check"]


@each("path", house.pages())
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    broken = []
    for link in re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", house.without_code(text)):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.is_relative_to(ROOT) or not target.exists():
            broken.append(link)
        elif anchor and target.suffix == ".md":
            broken += [link] * (anchor not in house.anchors(target.read_text("utf-8")))
    assert not broken


def test_readme_is_in_both_languages_with_the_same_commands() -> None:
    english, chinese = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md"))
    assert "README.zh.md" in english, "the English page links the Chinese one"
    assert "README.md" in chinese, "the Chinese page links the English one"
    assert house.commands(english), "no commands in the README"
    assert house.commands(english) == house.commands(chinese)
    assert len(re.findall(r"[\u4e00-\u9fff]", chinese)) > 300, "the Chinese page is written in Chinese"


@pytest.mark.parametrize("folder", ["en", "zh"])
def test_guides_are_in_both_languages(folder: str) -> None:
    other = {"en": "zh", "zh": "en"}[folder]
    for path in (ROOT / "docs" / folder).rglob("*.md"):
        twin = ROOT / "docs" / other / path.relative_to(ROOT / "docs" / folder)
        assert twin.exists(), f"{twin.relative_to(ROOT)} is missing"
        assert house.commands(path.read_text("utf-8")) == house.commands(twin.read_text("utf-8"))


@each("path", house.pages())
def test_scripts_named_on_a_page_exist(path: Path) -> None:
    for name in set(re.findall(r"(?<![\w/])scripts/(\w+)", path.read_text("utf-8"))):
        assert (ROOT / "scripts" / name).exists(), f"scripts/{name}"


def test_decisions_are_numbered_without_gaps() -> None:
    assert [p.name[:4] for p in ADRS] == [f"{i:04}" for i in range(1, len(ADRS) + 1)]
    assert len(ADRS) >= 12


@each("path", ADRS)
def test_decision_is_in_the_index_under_its_title(path: Path) -> None:
    title = re.match(r"# (\d+)\. (.+)\n", path.read_text("utf-8"))
    assert title, "begins with '# N. Title'"
    assert int(title[1]) == int(path.name[:4])
    assert f"[{title[2]}]({path.name})" in (path.parent / "README.md").read_text("utf-8")


@each("path", ADRS)
def test_decision_has_all_parts_on_one_page(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.M) == ADR_PARTS
    assert re.search(r"^Status: (accepted|replaced by \[\d+\]\(.+\)), \d{4}-\d{2}-\d{2}$", text, re.M)
    assert len(text.split()) <= 600, "a decision fits on a page"
