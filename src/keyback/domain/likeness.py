"""How close a password is to something that others know: lists, names, repetitions, runs along the keyboard. Pure.

Sources: NIST SP 800-63B-4 section 3.1.1.2 (N-P10), OWASP ASVS 5.0 6.2.4 and 6.2.11.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Context:
    """Names that everybody around an account knows. Each is given as people write it; derivatives are made here."""

    companies: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()


_LEET: Final = {
    "0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "i", "+": "t", "(": "c", "€": "e", "|": "l",
}  # fmt: skip
_AS_I: Final = str.maketrans(_LEET)
_AS_L: Final = str.maketrans({**_LEET, "1": "l", "!": "l"})
_WALKS: Final = (
    "1234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm",
    "1234567890qwertyuiopasdfghjklzxcvbnm", "qazwsxedcrfvtgbyhnujmikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "1q2w3e4r5t6y7u8i9o0p", "a1b2c3d4e5f6g7h8i9j0",
)  # fmt: skip
_FILLERS: Final = (
    *("my", "our", "the", "is", "pass", "password", "passwd", "pwd", "login", "admin", "user", "welcome", "hello"),
    *("我的", "我们的", "密码", "登录", "账号", "管理员", "欢迎", "你好"),
)
_DOMAIN_NOISE: Final = frozenset({"com", "co", "org", "net", "gov", "edu", "www", "mail"})
_KEPT: Final = 4  # padding that may belong to the word, as in abc1234 or $ecret
_WORDS_CAP: Final = 200
_LIKENESS_CAP: Final = 128


def squeeze(text: str) -> str:
    """Compatibility forms and case folded, separators out: only ever for comparing, never for hashing."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum() or c in _LEET)


def _periods(text: str) -> Iterator[str]:
    """Each unit of which `text` is a repetition, the last one perhaps cut off."""
    return (text[:p] for p in range(1, len(text) // 2 + 1) if text[p:] == text[:-p])


class Blocklist:
    """Passwords that are guessed first: in any case, with usual substitutions, repeated, or with padding around.

    The candidate is compared as a whole: a listed word inside a longer phrase is no hit (N-P10).

    Args:
        words: one password each; case does not matter.
    """

    __slots__ = ("_words",)

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(squeezed for w in words if (squeezed := squeeze(w)))

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, candidate: str) -> bool:
        plain = squeeze(candidate)
        forms = (form for whole in (plain, *_periods(plain)) for form in _forms(whole))
        return any(
            form in self._words or any(len(unit) > 3 and unit in self._words for unit in _periods(form))
            for form in forms
        )


def _forms(plain: str) -> Iterator[str]:
    variants = (plain, plain.translate(_AS_I), plain.translate(_AS_L))
    yield from variants
    letters = [i for i, c in enumerate(plain) if c.isalpha()]
    if not letters:
        return
    first, end = letters[0], letters[-1] + 1
    for start in range(max(0, first - _KEPT), first + 1):
        for stop in range(end, min(len(plain), end + _KEPT) + 1):
            if stop - start > 3:
                yield from (v[start:stop] for v in variants)


def runs(plain: str) -> bool:
    """Whether a squeezed text repeats a unit of up to four characters or runs along keyboard or alphabet."""
    # ASCII only: a repeated ideograph or emoji is no key held down, and N-P3 wants fifteen of them accepted.
    if len(plain) < 6 or not plain.isascii():
        return False
    if any(len(unit) <= 4 for unit in _periods(plain)):
        return True
    return any(plain in (line := walk * (len(plain) // len(walk) + 2)) or plain in line[::-1] for walk in _WALKS)


def context_words(context: Context) -> frozenset[str]:
    """The words that count as known: whole names, their parts in either order, logins, and the parts of addresses."""
    out: set[str] = set()
    for text in (*context.companies, *context.systems, *context.usernames, *context.names):
        out |= _known(text[:_LIKENESS_CAP])
    for mail in context.mails:
        local, _, domain = mail[:_LIKENESS_CAP].rpartition("@")
        out |= _known(local) | {squeeze(mail[:_LIKENESS_CAP])}
        out |= {squeeze(label) for label in domain.casefold().split(".")[:-1] if label not in _DOMAIN_NOISE}
    long_enough = sorted((w for w in out if len(w) > (2 if w.isascii() else 1)), key=len)
    return frozenset(long_enough[:_WORDS_CAP])


def _known(text: str) -> set[str]:
    parts = re.findall(r"[^\W_]+", text)
    words = {text, *parts, "".join(reversed(parts)), text.strip("0123456789"), *(p.strip("0123456789") for p in parts)}
    return {squeeze(w) for w in words}


def only_context(plain: str, words: frozenset[str]) -> bool:
    """Whether nothing is left but digits, signs and fillers once known words are taken out, and there was one."""
    size = len(plain)
    if not words or size > _LIKENESS_CAP:
        return False
    variants = (plain, plain.translate(_AS_I), plain.translate(_AS_L))
    bare, named = [False] * (size + 1), [False] * (size + 1)  # reached without, with a known word so far
    bare[0] = True
    for i in range(size):
        if not (bare[i] or named[i]):
            continue
        steps = [len(f) for f in _FILLERS if plain.startswith(f, i)]
        for step in [*steps, *([] if plain[i].isalpha() else [1])]:
            bare[i + step] |= bare[i]
            named[i + step] |= named[i]
        for word in words:
            if any(v.startswith(word, i) for v in variants):
                named[i + len(word)] = True
    return named[size]
