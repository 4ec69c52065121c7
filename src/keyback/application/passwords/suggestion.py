"""A password to take as it is: a few words drawn by chance, a capital letter and two digits (NIST 800-63B-4, 3.1.1)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from keyback.locale import Locale, language

# Words and digits: 41 bits or more; 39 where it has to be short.
_SHAPES: Final = ((4, 2), (4, 2), (4, 2), (3, 4), (3, 4), (3, 4))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A password, and what its words mean where they are written in other letters; else empty."""

    password: str = field(repr=False)
    meaning: str = field(default="", repr=False)


@lru_cache(maxsize=16)
def load_words(locale: Locale) -> Sequence[tuple[str, str]]:
    """Words in lowercase letters of ASCII, which every keyboard and every system takes, each with what it means."""
    files = (language(code).folder / "words.txt" for code in language(locale).chain)
    text = next(file for file in files if file.is_file()).read_text("utf-8")
    return tuple((word, meaning) for word, _, meaning in (line.partition(" ") for line in text.splitlines()) if word)


def suggest(locale: Locale, fits: Callable[[str], bool]) -> Suggestion | None:
    """A new one for each page; None where no words fit the rules of all systems, such as eight characters at most.

    Args:
        fits: whether a password keeps every rule that is known.
    """
    words = load_words(locale)
    for count, digits in _SHAPES:
        drawn = [secrets.choice(words) for _ in range(count)]
        number = f"{secrets.randbelow(10**digits):0{digits}}"
        password = "-".join([word for word, _ in drawn] + [number]).capitalize()
        if fits(password):
            return Suggestion(password, " ".join(meaning for _, meaning in drawn if meaning))
    return None
