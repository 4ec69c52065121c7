"""The one reader of codes that people type or paste, whoever sent them and whichever form they go into."""

from __future__ import annotations

import re
import unicodedata

MAX_TYPED = 200  # characters that are looked at; the longest code has 20
_FULL_WIDTH = {c: c - 0xFEE0 for c in range(0xFF01, 0xFF5F)}  # as Chinese keyboards make them
_UNSEEN = frozenset("\ufe0e\ufe0f\u034f\u2800\u3164\uffa0\ufffc")  # blanks that Unicode counts as something else
_DASHES = frozenset("\u2212\u30fc")  # the minus sign, and what Japanese keyboards make of a hyphen
# Words before and after the digits, as of a line copied whole. A Latin letter right at a digit may be a mistyped one.
_IN_WORDS = re.compile(r"(?:\D*[^A-Za-z\d])??(\d(?:[^A-Za-z]*\d)?)(?:[^A-Za-z\d]\D*)?")
_AROUND = frozenset("<>|`~")


def bare(typed: str) -> str:
    """What is left of a code without what typing, pasting and mail programs put around and into it.

    Spaces, dashes and invisible marks fall away everywhere, punctuation at both ends; full-width forms become the plain
    ones, and so do the decimal digits of every script, as keyboards in Arabic, Persian or Hindi make them.
    """
    text = typed.translate(_FULL_WIDTH)
    kept = "".join(_plain_digit(c) for c in text if not _falls_away(c))
    first, last = 0, len(kept)
    while first < last and _is_around(kept[first]):
        first += 1
    while last > first and _is_around(kept[last - 1]):
        last -= 1
    return kept[first:last]


def digits(typed: str, count: int) -> str | None:
    """So many digits out of what was typed or pasted, words around them or not; None when it cannot be such a code."""
    if len(typed) > MAX_TYPED:
        return None
    found = _IN_WORDS.fullmatch(typed)
    plain = bare(found[1] if found else typed)
    return plain if len(plain) == count and plain.isascii() and plain.isdigit() else None


def _falls_away(c: str) -> bool:
    if c.isascii():
        return c in " -\t\r\n\v\f"
    return c.isspace() or c in _UNSEEN or c in _DASHES or unicodedata.category(c) in ("Cf", "Pd")


def _plain_digit(c: str) -> str:
    return c if c.isascii() or (value := unicodedata.decimal(c, None)) is None else str(value)


def _is_around(c: str) -> bool:
    return c in _AROUND or unicodedata.category(c).startswith("P")
