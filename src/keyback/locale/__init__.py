"""The languages of Keyback. English texts are the message ids; those of another language live in `<code>/*.po`, read at
start, beside its `language.toml`.

What is on a shelf has its own beside it: `<folder>/zh_CN.po`. A text that a language lacks is shown in the one that it
falls back to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from babel.messages.pofile import read_po

from keyback.locale.languages import HERE as HERE
from keyback.locale.languages import LANGUAGES as LANGUAGES
from keyback.locale.languages import LOCALES as LOCALES
from keyback.locale.languages import SOURCE, asked_for
from keyback.locale.languages import language as language

Locale = str
"""A code of `LOCALES`."""
T = TypeVar("T")


@lru_cache(maxsize=32)
def catalog(locale: str) -> Mapping[str, str]:
    """English text to text in `locale`; empty for `en`. All `.po` files of the language count, fuzzy entries do not."""
    return _read(sorted(language(locale).folder.glob("*.po")))


@lru_cache(maxsize=1024)
def catalog_of(folder: Path, locale: str) -> Mapping[str, str]:
    """The same of what is on a shelf: `<folder>/<locale>.po`; empty where there is no such file."""
    path = folder / f"{locale}.po"
    return _read([path] if path.is_file() else [])


def _read(paths: Iterable[Path]) -> Mapping[str, str]:
    out: dict[str, str] = {}
    for path in paths:
        with path.open("rb") as f:
            for m in read_po(f):
                if m.id and m.string and not m.fuzzy and isinstance(m.id, str) and isinstance(m.string, str):
                    out[m.id] = m.string
    return out


@lru_cache(maxsize=32)
def _texts(locale: str) -> Mapping[str, str]:
    """All texts of a language, those that it lacks in the languages that it falls back to."""
    out: dict[str, str] = {}
    for code in reversed(language(locale).chain):
        out |= catalog(code)
    return out


def gettext(locale: str, message: str, **values: object) -> str:
    """The text in `locale`, with `{name}` places filled in. Texts without values are returned as they stand."""
    text = _texts(locale).get(message, message)
    return text.format(**values) if values else text


def gettext_of(folder: Path, locale: str, message: str) -> str:
    """The text in `locale` of what is on a shelf: its own texts come before the common ones."""
    for code in language(locale).chain:
        text = catalog_of(folder, code).get(message) or catalog(code).get(message)
        if text:
            return text
    return message


def told(texts: Mapping[str, str], locale: str) -> str:
    """One of texts that stand side by side, by code: in this language, else by its catalog, else in what it falls back
    to, else in any."""
    for code in language(locale).chain:
        text = texts.get(code) or catalog(code).get(texts.get(SOURCE, ""))
        if text:
            return text
    return next(iter(texts.values()))


def all_told(texts: Mapping[str, Sequence[str]], locale: str) -> tuple[str, ...]:
    """The same of several texts in a row, all of them in one language."""
    for code in language(locale).chain:
        if texts.get(code):
            return tuple(texts[code])
        own = tuple(catalog(code).get(text, "") for text in texts.get(SOURCE, ()))
        if own and all(own):
            return own
    return tuple(next(iter(texts.values())))


def with_all(texts: Mapping[str, str]) -> Mapping[str, str]:
    """Texts of somebody's own in every language that is offered, by what each falls back to."""
    return {code: told(texts, code) for code in LOCALES}


def in_language(things: Mapping[str, T], locale: str) -> T | None:
    """One of things that stand side by side, by code: in this language, else in what it falls back to, else any; None
    where there is none."""
    found = (things[code] for code in (*language(locale).chain, *things) if code in things)
    return next(found, None)


def N_(text: str) -> str:
    """Marks an English text that is looked up later."""
    return text


def choose(wanted: str | None, accept_language: str = "", default: Locale = "en") -> Locale:
    """The language to answer in: an explicit wish, else the first one that the browser asks for, else the default.

    Args:
        wanted: `zh`, `zh-CN`, `zh_TW`, `ja` … or None.
        accept_language: the header (RFC 9110 section 12.5.4); quality values are honoured, and 0 asks for no such one.
    """
    for tag in [wanted or "", *_by_quality(accept_language[:200])]:
        if code := asked_for(tag):
            return code
    return default


def _by_quality(header: str) -> list[str]:
    tags: list[tuple[float, int, str]] = []
    for i, part in enumerate(header.split(",")[:20]):
        tag, _, q = part.partition(";q=")
        try:
            tags.append((-float(q or 1), i, tag.strip()))
        except ValueError:
            continue
    return [tag for q, _, tag in sorted(tags) if q < 0]
