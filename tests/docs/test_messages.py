"""Every language is complete, and written in one voice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

from keyback.application.webhooks.catalogue import CATALOGUE, GROUPS
from keyback.application.webhooks.words import KEPT, PLAINER, STEPS
from keyback.connectors.fxiaoke import options as fxiaoke
from keyback.connectors.presets import presets
from keyback.connectors.zoho import options as zoho
from keyback.locale import LANGUAGES, LOCALES, catalog, catalog_of
from keyback.locale.languages import HERE, SOURCE
from tests.support.each import each
from tests.support.house import ROOT

SRC = ROOT / "src" / "keyback"
CODES = [code for code in LOCALES if code != SOURCE]
# What is the same in all languages, such as a name.
SAME = {"Cookie", "Cookies", "JavaScript", "CRM", "App", "SMS", "Apps"}
# `_("text")`, `N_("text")` for texts that are looked up later, `gettext(locale, "text")`.
PYTHON = {"_": None, "N_": None, "gettext": (2,)}
TEMPLATES = {"_": None, "gettext": None}
TEMPLATE_ENDINGS = (".html", ".txt", ".xml", ".jinja", ".j2")


def used() -> Iterator[tuple[str, str]]:
    """Every English text in the source that a person may read in another language, with the place."""
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


def beside() -> Iterator[str]:
    """English texts whose Chinese stands beside them; other languages have them in their catalogues (`told`)."""
    yield from (words[SOURCE] for words in (STEPS, *GROUPS.values()))
    yield from (event.about[SOURCE] for name, event in CATALOGUE.items() if name not in PLAINER)
    yield from (words[0] for words in (*PLAINER.values(), *KEPT.values()))
    for steps in (zoho.STEPS, fxiaoke.STEPS, fxiaoke.SSO_STEPS, *(p.steps for p in presets().values())):
        yield from steps[SOURCE]


def catalogs(code: str) -> list[Path]:
    return sorted([*(SRC / "locale" / code).glob("*.po"), *SRC.glob(f"*/*/{code}.po")])


@cache
def entries(code: str) -> tuple[tuple[str, str, str], ...]:
    """File, English and the other text of every entry of a language's catalogues."""
    out = []
    for path in catalogs(code):
        with path.open("rb") as f:
            for m in read_po(f):
                if m.id:
                    assert isinstance(m.id, str), f"{path.name}: no plural forms; write two texts"
                    assert isinstance(m.string, str)
                    out.append((path.name, m.id, m.string))
    return tuple(out)


def known(place: str, code: str) -> Mapping[str, str]:
    """The texts that are found from a place: the common ones, and on a shelf those that lie beside it."""
    return {**catalog(code), **catalog_of((ROOT / place.partition(":")[0]).parent, code)}


def places(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)", text))


@cache
def extracted() -> Mapping[str, str]:
    return dict(used())


def test_a_language_has_a_folder_that_says_all_of_it() -> None:
    assert sorted(p.name for p in HERE.iterdir() if p.is_dir() and any(p.glob("*.po"))) == sorted(
        set(LANGUAGES) - {SOURCE}
    )
    assert [code for code in LANGUAGES if not (HERE / code / "language.toml").is_file()] == []
    assert [code for code in LOCALES if not (HERE / code / "words.txt").is_file()] == []


@pytest.mark.parametrize("code", CODES)
def test_every_text_of_the_source_is_there_in_every_language(code: str) -> None:
    assert extracted(), "nothing was extracted"
    missing = {t: place for t, place in extracted().items() if t not in known(place, code)}
    assert missing == {}
    if code != "zh_CN":
        assert [t for t in beside() if t not in catalog(code)] == []


@pytest.mark.parametrize(
    "path", [p for code in CODES for p in catalogs(code)], ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_catalogue_is_utf8_without_fuzzy_or_empty_entries(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.search(r"charset=utf-8", text, re.I)
    with path.open("rb") as f:
        assert [m.id for m in read_po(f) if m.id and (m.fuzzy or not m.string)] == []


@each("code", CODES)
def test_texts_have_the_same_places(code: str) -> None:
    assert [(f, en) for f, en, text in entries(code) if places(en) != places(text)] == []


@each("code", CODES)
def test_nothing_is_left_in_english(code: str) -> None:
    """A text without one letter of the language's own is a name, a place or an address."""
    letters = re.compile(r"(?<![{\w])[A-Za-z]{2}")
    left = [(f, en, text) for f, en, text in entries(code) if text.isascii() and letters.search(text)]
    assert [x for x in left if x[2] not in SAME] == []


@each("code", CODES)
def test_one_english_text_has_one_text_in_a_language(code: str) -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for _file, en, text in entries(code):
        seen[en].add(text)
    assert {en: texts for en, texts in seen.items() if len(texts) > 1} == {}


@each("word", ["您", "温馨提示", "溫馨提示", "抱歉", "！", "!"])
def test_chinese_keeps_the_voice(word: str) -> None:
    assert [(f, zh) for code in CODES if code.startswith("zh") for f, _en, zh in entries(code) if word in zh] == []


@each("word", ["oops", "sorry", "invalid", "!", "please be patient"])
def test_english_keeps_the_voice(word: str) -> None:
    assert [(f, en) for f, en, _zh in entries("zh_CN") if word in en.lower()] == []
