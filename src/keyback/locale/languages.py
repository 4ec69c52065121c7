"""The languages that there are: one folder each, whose `language.toml` has everything but the texts.

CONTRIBUTING has how to add one. Nothing else in the house names a language where it means any of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

HERE = Path(__file__).parent
SOURCE = "en"
"""The language of the message ids: what a text is shown in where no other one has it."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    Args:
        code: the name of its `folder`, as it is stored: `zh_TW`.
        name: what it calls itself.
        tag: for `lang`, `hreflang` and `Content-Language` (BCP 47).
        whole: every text is there, so it is offered to people; until then its folder is only checked.
        falls_back: whose text is shown where this one has none; English comes last anyway.
        asked: tags, or beginnings of tags, by which it is asked for; the longest that fits counts.
        named: a regular expression that finds its name in what other systems export.
        codes: other short names that they give it, such as a Windows LCID.
        region: the country of phone numbers typed without one (ISO 3166); empty: it must be typed.
        gap: between two sentences; comma, colon, semicolon, either, every (before the last of a list); aside: brackets.
        dates: patterns of the CLDR for `day`, `long` and `short`.
        zones: what people call a time zone, where the CLDR calls it otherwise.
        fill, width: what labels in a column of a plain mail are padded with, and to how many of them.
    """

    code: str
    folder: Path
    name: str
    tag: str
    direction: Literal["ltr", "rtl"] = "ltr"
    whole: bool = True
    falls_back: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    named: str = ""
    codes: tuple[str, ...] = ()
    region: str = ""
    gap: str = " "
    comma: str = ", "
    colon: str = ": "
    semicolon: str = "; "
    either: str = " or "
    every: str = ", and "
    aside: str = " ({})"
    dates: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    fill: str = " "
    width: int = 9

    @property
    def chain(self) -> tuple[str, ...]:
        """Itself, then those that it falls back to, English last."""
        return tuple(dict.fromkeys((self.code, *self.falls_back, SOURCE)))


def read(folder: Path) -> Language:
    """The language of a folder. Raises KeyError or TypeError for one that is described wrongly."""
    raw: dict[str, Any] = tomllib.loads((folder / "language.toml").read_text("utf-8"))
    marks, labels = dict(raw.pop("marks")), raw.pop("labels", {})
    marks["either"], marks["every"] = marks.pop("or"), marks.pop("and")
    for name in ("falls_back", "asked", "codes"):
        raw[name] = tuple(raw.get(name, ()))
    return Language(folder.name, folder, **raw, **marks, **labels)


def found(folder: Path = HERE) -> Mapping[str, Language]:
    """All of a folder by code: English first, the rest as their codes are sorted."""
    all_of = [read(path.parent) for path in folder.glob("*/language.toml")]
    return {x.code: x for x in sorted(all_of, key=lambda x: (x.code != SOURCE, x.code))}


LANGUAGES: Mapping[str, Language] = MappingProxyType(found())
"""All that have a folder, whole or not."""
LOCALES: tuple[str, ...] = tuple(code for code, x in LANGUAGES.items() if x.whole)
"""Codes of those that people are offered."""


def language(code: str) -> Language:
    """A language by its code; English for one that is not there."""
    return LANGUAGES.get(code) or LANGUAGES[SOURCE]


def asked_for(tag: str) -> str | None:
    """The language offered that a tag means, by the longest beginning that one is asked for by (RFC 4647, section 3.4);
    None for another one. `zh-Hant-HK`, `zh_TW` and `zh` are understood alike."""
    parts = tag.strip().replace("_", "-").lower().split("-")
    table = _asked(LOCALES)
    while parts:
        if code := table.get("-".join(parts)):
            return code
        parts.pop()
    return None


@lru_cache(maxsize=4)
def _asked(codes: Sequence[str]) -> Mapping[str, str]:
    return {tag.lower(): code for code in codes for tag in LANGUAGES[code].asked}
