"""Both languages are complete, and written in one voice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

from keyback.locale import catalog, catalog_of
from tests.support.each import each
from tests.support.house import ROOT

SRC = ROOT / "src" / "keyback"
CATALOGS = sorted([*(SRC / "locale" / "zh_CN").glob("*.po"), *SRC.glob("*/*/zh_CN.po")])
# `_("text")`, `N_("text")` for texts that are looked up later, `gettext(locale, "text")`.
PYTHON = {"_": None, "N_": None, "gettext": (2,)}
TEMPLATES = {"_": None, "gettext": None}
TEMPLATE_ENDINGS = (".html", ".txt", ".xml", ".jinja", ".j2")


def used() -> Iterator[tuple[str, str]]:
    """Every English text in the source that a person may read in Chinese, with the place."""
    for path in sorted(SRC.rglob("*")):
        if path.suffix == ".py":
            method, keywords = "python", PYTHON
        elif path.suffix in TEMPLATE_ENDINGS and "static" not in path.parts:
            method, keywords = "jinja2.ext:babel_extract", TEMPLATES
        else:
            continue
        with path.open("rb") as f:
            options = {"encoding": "utf-8", "silent": "false"}
            for line, message, _comments, _context in extract(method, f, keywords, (), options):
                text = message[0] if isinstance(message, tuple) else message
                if text:
                    yield text, f"{path.relative_to(ROOT)}:{line}"


def entries() -> Iterator[tuple[str, str, str]]:
    """File, English and Chinese of every entry of the catalogues."""
    for path in CATALOGS:
        with path.open("rb") as f:
            for m in read_po(f):
                if m.id:
                    assert isinstance(m.id, str), f"{path.name}: no plural forms; write two texts"
                    assert isinstance(m.string, str)
                    yield path.name, m.id, m.string


def known(place: str) -> Mapping[str, str]:
    """The Chinese texts that are found from a place: the common ones, and on a shelf those that lie beside it."""
    return {**catalog("zh_CN"), **catalog_of((ROOT / place.partition(":")[0]).parent, "zh_CN")}


def places(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)", text))


def test_every_text_of_the_source_has_chinese() -> None:
    texts = dict(used())
    assert texts, "nothing was extracted"
    missing = {t: place for t, place in texts.items() if t not in known(place)}
    assert missing == {}


@pytest.mark.parametrize("path", CATALOGS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_catalogue_is_utf8_without_fuzzy_or_empty_entries(path) -> None:
    text = path.read_text("utf-8")
    assert re.search(r"charset=utf-8", text, re.I)
    with path.open("rb") as f:
        assert [m.id for m in read_po(f) if m.id and (m.fuzzy or not m.string)] == []


def test_both_texts_have_the_same_places() -> None:
    assert [(f, en) for f, en, zh in entries() if places(en) != places(zh)] == []


def test_one_english_text_has_one_chinese_text() -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for _file, en, zh in entries():
        seen[en].add(zh)
    assert {en: zh for en, zh in seen.items() if len(zh) > 1} == {}


@each("word", ["您", "温馨提示", "抱歉", "！", "!"])
def test_chinese_keeps_the_voice(word: str) -> None:
    assert [(f, zh) for f, _en, zh in entries() if word in zh] == []


@each("word", ["oops", "sorry", "invalid", "!", "please be patient"])
def test_english_keeps_the_voice(word: str) -> None:
    assert [(f, en) for f, en, _zh in entries() if word in en.lower()] == []
