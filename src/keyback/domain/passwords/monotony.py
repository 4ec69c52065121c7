"""Whether a password is too much of the same: few characters, a short piece repeated, a run along the keyboard. Pure.

Judged is the text as typed, with its separators, and then what is left without them: either may hide the other.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from keyback.domain.characters import is_picture
from keyback.domain.passwords.folding import alnum, fold, letters, squeeze

_UNSHIFTED: Final = str.maketrans('!@#$%^&*()_+{}|:"<>?~', "1234567890-=[]\\;',./`")
_WALKS: Final = (
    "1234567890", "abcdefghijklmnopqrstuvwxyz", "`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./",
    "1234567890qwertyuiopasdfghjklzxcvbnm", "qazwsxedcrfvtgbyhnujmikolp", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p", "a1b2c3d4e5f6g7h8i9j0", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm",
    "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю", "абвгдежзийклмнопрстуфхцчшщъыьэюя", "αβγδεζηθικλμνξοπρστυφχψω",
    "零一二三四五六七八九十", "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥",
)  # fmt: skip
_JUDGED_FROM: Final = 6  # shorter ones are refused for that
_UNIT: Final = 7  # a repetition holds as long as its unit, and no preset takes fewer than eight characters
_PADDING: Final = 4
_DIFFERENT: Final = 4
_RUN: Final = re.compile(r"(.)\1+")
_WEIGHT: Final = 6


def _steps() -> frozenset[str]:
    lines = (line for walk in map(fold, _WALKS) for line in (walk * 2, (walk * 2)[::-1]))
    return frozenset(line[i : i + 3] for line in lines for i in range(len(line) // 2))


_STEPS: Final = _steps()  # every three neighbours, in either direction


def monotonous(text: str, shortest: int = _UNIT + 1) -> bool:
    """Whether a password in normal form is little more than a repetition, separators, or runs along a keyboard.

    Costs at most some passes over 1,024 code points.

    Args:
        shortest: the least characters of a password; what is a repetition of fewer, and of nothing else, holds no more
            than those.
    """
    if len(text) < _JUDGED_FROM:
        return False
    seen = fold(text)
    # A repeated ideograph or emoji is no key held down, and N-P3 wants fifteen of them accepted.
    if len(set(seen)) == 1 and _picture(seen[0]):
        return False
    if _weight(seen) < _WEIGHT or len(set(seen)) < _DIFFERENT:
        return True
    typed = "".join(seen.split()).translate(_UNSHIFTED)
    plain = alnum(seen)
    if any(_repeats(t) or _walks(t) for t in {seen, typed, squeeze(seen), plain}):
        return True
    if any(period(t) < min(shortest, len(t) // 2 + 1) for t in (seen, plain) if t):
        return True
    once = _RUN.sub(r"\1", plain)
    if _JUDGED_FROM <= len(once) <= len(plain) // 2 and (_repeats(once) or _walks(once)):
        return True  # aabbccddeeff
    kinds = [k for k in (letters(plain), "".join(c for c in plain if not c.isalpha())) if len(k) > _PADDING]
    return bool(kinds) and all(_repeats(k) or _walks(k) for k in kinds)


def _weight(seen: str) -> int:
    """Letters, digits and pictures, and the different signs and blanks among them, each once."""
    return sum(map(_carries, seen)) + len({c for c in seen if not _carries(c)})


def _carries(c: str) -> bool:
    return c.isalnum() or _picture(c)


def _picture(c: str) -> bool:
    """An ideograph or an emoji: one says as much as a word."""
    if c.isalpha():
        return unicodedata.name(c, "").startswith("CJK ")
    return is_picture(c) or "\U00020000" <= c <= "\U0003fffd"  # ideographs, also those that are still to come


def period(text: str) -> int:
    """Length of the shortest unit that the text repeats, the last one perhaps cut off; of the text where it is none."""
    return next((p for p in range(1, len(text) // 2 + 1) if text.startswith(text[:-p], p)), len(text))


def _repeats(text: str) -> bool:
    """Whether a short unit comes at least twice and nearly nothing else; what is padded has to repeat for longer."""
    if len(text) >= _JUDGED_FROM and period(text) <= min(_UNIT, len(text) // 2):
        return True
    for start in range(_PADDING + 1):
        # The shortest that counts is enough: whatever repeats for longer does so there, too.
        stop = max(start + 2 * _WEIGHT, len(text) - _PADDING)
        core = text[start:stop]
        if stop <= len(text) and any(core.startswith(core[:-p], p) for p in range(1, _UNIT + 1)):
            return True
    return False


def _walks(text: str) -> bool:
    """Whether nearly every character has its neighbours of the keyboard or the alphabet beside it."""
    on = {i + k for i in range(len(text) - 2) if text[i : i + 3] in _STEPS for k in range(3)}
    return len(on) >= _WEIGHT and len(on) >= 2 * (len(text) - len(on)) and len(text) - len(on) <= _PADDING
