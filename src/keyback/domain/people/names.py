"""Whether two names may be one: a fact for whoever judges, never a judgement.

Sources: NIST SP 800-63A-4 section 2.5.1; Unicode Standard Annex 15.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal

Fit = Literal["exact", "relaxed", "part", "differs"]
FITS: Final[tuple[Fit, ...]] = ("exact", "relaxed", "part", "differs")
MAX_VERIFIED = 400  # characters of a name that somebody else verified
_APART: Final = re.compile(r"[^\w]+|_+")
_HAN: Final = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def compare(verified: Sequence[str], record: str) -> Fit:
    """How a verified name fits the one on record.

    `exact`: letter by letter, but for spaces; the parts of a name may come in either order. `relaxed`: the same words
    without regard to case, accents, hyphens and order. `part`: all words of the shorter one are in the other.

    Args:
        verified: the name, or its parts, such as given and family name.
    """
    parts, ours = [_plain(p) for p in verified], _plain(record)
    if not ours or not all(parts):
        return "differs"
    joints = ("", " ") if _HAN.search(ours) else (" ",)
    ways = (parts, parts[::-1])
    if any(joint.join(way) == ours for way in ways for joint in joints):
        return "exact"
    theirs, own = _words(" ".join(parts)), _words(ours)
    if not theirs or not own:
        return "differs"
    if sorted(theirs) == sorted(own) or (
        _HAN.search(ours) and any("".join(_words("".join(w))) == "".join(own) for w in ways)
    ):
        return "relaxed"
    short, long = sorted((theirs, own), key=len)
    return "part" if _within(short, long) else "differs"


def folded(name: str) -> str:
    """A name without case, accents, spaces and marks, its words, or Chinese characters, sorted: what is compared where
    a name itself must not be kept."""
    words = _words(_plain(name))
    return "".join(sorted("".join(words))) if _HAN.search(name) else " ".join(sorted(words))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _words(text: str) -> list[str]:
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    return [w for w in _APART.split(unicodedata.normalize("NFKC", bare)) if w]


def _run(parts: Sequence[str]) -> str:
    """Without any spaces, as names in Chinese characters are written."""
    return "".join(_words(" ".join(parts)))


def _within(short: Sequence[str], long: Sequence[str]) -> bool:
    left = list(long)
    for word in short:
        if word not in left:
            return False
        left.remove(word)
    return True
