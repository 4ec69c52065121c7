"""The ways to read a password when it is compared with something: only ever for comparing, never for hashing. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

from keyback.domain.characters import normalized

# Signs and digits that stand for letters. i, l and 1 are one, because people read them as one.
_LEET: Final = {
    "0": "o", "1": "i", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "i", "+": "t", "(": "c", "<": "c", "|": "i", "€": "e", "¢": "c", "£": "i", "¥": "y",
}  # fmt: skip
# Letters of other scripts that look like Latin ones, after folding: a word of theirs is read so on both sides.
_ALIKE: Final = dict(zip("авеһікмнорсԛтуԝхѕјԁԍαβεικμνορτυχ", "abehikmhopcqtywxsjdgabeikmvoptux", strict=True))
_AS_READ: Final = str.maketrans({**_LEET, **_ALIKE, "l": "i"})
_SQUEEZED: Final = {i: None for i in range(128) if not chr(i).isalnum() and chr(i) not in _LEET}
_UNSEEN: Final = frozenset("\u115f\u1160\u2800")  # letters and a sign in name, blanks to the eye
_LONGEST: Final = 1024  # a few characters fold to eighteen


def fold(text: str) -> str:
    """What the eye is left with: one case, compatibility forms and accents undone, blanks alike, nothing invisible.

    At most 1,024 code points are kept.
    """
    if text.isascii():
        return text.casefold()[:_LONGEST]
    apart = normalized("NFKD", normalized("NFKD", text).casefold())
    seen = (_seen(c) for c in apart)
    return normalized("NFC", "".join(seen))[:_LONGEST]


def _seen(c: str) -> str:
    category = unicodedata.category(c)
    if category in ("Mn", "Me", "Cf") or c in _UNSEEN:
        return ""
    return " " if category.startswith("Z") else c


def squeeze(folded: str) -> str:
    """Letters, digits, and the signs that stand for letters."""
    if folded.isascii():
        return folded.translate(_SQUEEZED)
    return "".join(c for c in folded if c.isalnum() or c in _LEET)


def alnum(folded: str) -> str:
    """Letters and digits."""
    return "".join(c for c in folded if c.isalnum())


def letters(folded: str) -> str:
    """Letters alone, of every script."""
    return "".join(c for c in folded if c.isalpha())


def unleet(squeezed: str) -> str:
    """The text with usual substitutions undone; as long as before. Both sides of a comparison are to be read so."""
    return squeezed.translate(_AS_READ)


def readings(text: str) -> tuple[str, ...]:
    """The texts that a password may be a disguise of: with signs as letters, signs as separators, digits as separators.

    Fewer than six letters among digits say nothing: a machine's password has as many.
    """
    folded = fold(text)
    out = [squeeze(folded), alnum(folded)]
    if len(alone := letters(folded)) >= _WORD:
        out.append(alone)
    return tuple(dict.fromkeys(out))


_WORD: Final = 6
