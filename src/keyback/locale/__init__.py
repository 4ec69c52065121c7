"""The two languages of Keyback. English texts are the message ids; Chinese ones live in `zh_CN/*.po`, read at start.

What is on a shelf has its own beside it: `<folder>/zh_CN.po`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from babel.messages.pofile import read_po

Locale = Literal["zh_CN", "en"]
LOCALES: tuple[Locale, ...] = get_args(Locale)
HERE = Path(__file__).parent


@lru_cache(maxsize=4)
def catalog(locale: str) -> Mapping[str, str]:
    """English text to text in `locale`; empty for `en`. All `.po` files of the language count, fuzzy entries do not."""
    return _read(sorted((HERE / locale).glob("*.po")))


@lru_cache(maxsize=256)
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


def gettext(locale: str, message: str, **values: object) -> str:
    """The text in `locale`, with `{name}` places filled in. Texts without values are returned as they stand."""
    text = catalog(locale).get(message, message)
    return text.format(**values) if values else text


def gettext_of(folder: Path, locale: str, message: str) -> str:
    """The text in `locale` of what is on a shelf: its own texts come before the common ones."""
    return catalog_of(folder, locale).get(message) or gettext(locale, message)


def N_(text: str) -> str:
    """Marks an English text that is looked up later."""
    return text


def choose(wanted: str | None, accept_language: str = "", default: Locale = "en") -> Locale:
    """The language to answer in: an explicit wish, else the first one that the browser asks for, else the default.

    Args:
        wanted: `zh`, `zh-CN`, `zh_CN`, `en` … or None.
        accept_language: the header (RFC 9110 section 12.5.4); quality values are honoured.
    """
    for tag in [wanted or "", *_by_quality(accept_language[:200])]:
        head = tag.replace("_", "-").split("-")[0].strip().lower()
        if head == "zh":
            return "zh_CN"
        if head == "en":
            return "en"
    return default


def _by_quality(header: str) -> list[str]:
    tags: list[tuple[float, int, str]] = []
    for i, part in enumerate(header.split(",")[:20]):
        tag, _, q = part.partition(";q=")
        try:
            tags.append((-float(q or 1), i, tag.strip()))
        except ValueError:
            continue
    return [t for _, _, t in sorted(tags)]
