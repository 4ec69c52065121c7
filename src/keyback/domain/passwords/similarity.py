"""How close a password is to something that others know: common passwords, and names around the account. Pure.

Sources: NIST SP 800-63B-4 section 3.1.1.2 (N-P10), OWASP ASVS 5.0 6.2.4 and 6.2.11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from keyback.domain.passwords.folding import alnum, fold, letters, readings, squeeze, unleet
from keyback.domain.passwords.monotony import period


@dataclass(frozen=True, slots=True)
class Context:
    """Names that everybody around an account knows. Each is given as people write it; derivatives are made here."""

    companies: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()


_FILLERS: Final = (
    *("my", "our", "the", "is", "pass", "password", "passwd", "pwd", "login", "admin", "user", "welcome", "hello"),
    *("at", "dot", "com", "net", "org", "cn", "www", "http", "https", "mail", "email", "new", "year", "for", "and"),
    *("我的", "我们的", "密码", "登录", "账号", "管理员", "欢迎", "你好", "新", "年", "月", "日", "公司"),
)
_BOTH_WAYS: Final = frozenset(unleet(form) for f in _FILLERS for form in (f, f[::-1]))
_DOMAIN_NOISE: Final = frozenset({"com", "co", "org", "net", "gov", "edu", "www", "mail"})
_KEPT: Final = 4  # padding that may belong to the word, as in abc1234 or $ecret
_WORDS_CAP: Final = 200
_NAME_CAP: Final = 128


class Blocklist:
    """Passwords that are guessed first: in any case, with usual substitutions, backwards, repeated, or padded.

    The candidate is compared as a whole: a listed word inside a longer phrase is no hit (N-P10).

    Args:
        words: one password each; case does not matter.
    """

    __slots__ = ("_words",)

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(unleet(squeezed) for w in words if (squeezed := squeeze(fold(w))))

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, candidate: str) -> bool:
        for reading in readings(candidate):
            for whole in {reading, reading[: period(reading)]}:
                if any(self._listed(form) for form in _forms(whole)):
                    return True
        return False

    def _listed(self, form: str) -> bool:
        unit = form[: period(form)]
        candidates = (form, form[::-1], unit, unit[::-1]) if len(unit) > 3 else (form, form[::-1])
        return not self._words.isdisjoint(candidates)


def _forms(plain: str) -> Iterator[str]:
    """The text itself, and what is left without digits and signs around its letters; substitutions undone."""
    read = unleet(plain)
    yield read
    found = [i for i, c in enumerate(plain) if c.isalpha()]
    if not found:
        return
    first, end = found[0], found[-1] + 1
    for start in range(max(0, first - _KEPT), first + 1):
        for stop in range(end, min(len(plain), end + _KEPT) + 1):
            if stop - start > 3:
                yield read[start:stop]


def context_words(context: Context) -> frozenset[str]:
    """The words that count as known: whole names, their parts in either order, logins, and the parts of addresses."""
    out: set[str] = set()
    for text in (*context.companies, *context.systems, *context.usernames, *context.names):
        out |= _known(text[:_NAME_CAP])
    for mail in context.mails:
        local, _, domain = mail[:_NAME_CAP].rpartition("@")
        out |= _known(local) | {_plain(mail[:_NAME_CAP]), _plain(domain)}
        out |= {_plain(label) for label in domain.casefold().split(".") if label not in _DOMAIN_NOISE}
    long_enough = sorted((w for w in out if _counts(w)), key=len)
    return frozenset(long_enough[:_WORDS_CAP])


def _known(text: str) -> set[str]:
    parts = re.findall(r"[^\W_]+", text)
    words = {text, *parts, "".join(reversed(parts)), text.strip("0123456789"), *(p.strip("0123456789") for p in parts)}
    return {_plain(w) for w in words}


def _plain(text: str) -> str:
    return squeeze(fold(text))


def _counts(word: str) -> bool:
    return len(word) > (2 if word.isascii() else 1)


def only_context(text: str, words: frozenset[str]) -> bool:
    """Whether nothing is left but digits, signs and fillers once known words are taken out, and there was one.

    A known word counts forwards and backwards, with usual substitutions, with anything but letters in between, and cut
    off where the text begins or ends.

    Args:
        text: in normal form, as typed.
        words: from `context_words`.
    """
    read = {unleet(form) for w in words for form in (w, alnum(w), letters(w)) if _counts(form)}
    known = _Words(read | {w[::-1] for w in read})
    return any(known.cover(reading) for reading in readings(text))


class _Words:
    """Known words, found by their length, so that a look costs the same however many there are."""

    def __init__(self, words: set[str]) -> None:
        self._words = words
        self._lengths = sorted({len(w) for w in words})

    def cover(self, plain: str) -> bool:
        """Whether the text is made of known words, fillers, digits and signs, and has a known word in it."""
        read, size = unleet(plain), len(plain)
        bare, named = [False] * (size + 1), [False] * (size + 1)  # reached without, with a known word so far
        holding = list(self._words)
        for i in range(min(size, _NAME_CAP)):
            holding = [w for w in holding if read[:i] in w]  # what has no such piece has no longer one either
            bare[i] = any(w.endswith(read[:i]) for w in holding)
        for i in range(size):
            if not (bare[i] or named[i]):
                continue
            if named[i] and self._begins(read[i:]):
                return True
            steps = [len(f) for f in _BOTH_WAYS if read.startswith(f, i)]
            for step in [*steps, *([] if plain[i].isalpha() else [1])]:
                bare[i + step] |= bare[i]
                named[i + step] |= named[i]
            for length in self._lengths:
                if i + length <= size and read[i : i + length] in self._words:
                    named[i + length] = True
        return named[size]

    def _begins(self, rest: str) -> bool:
        return len(rest) <= _NAME_CAP and any(w.startswith(rest) for w in self._words)
