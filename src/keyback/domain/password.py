"""What makes a new password acceptable, and what to say when it is not. Pure: lists and rules come in as parameters.

Sources: NIST SP 800-63B-4 section 3.1.1.2 (N-P1 to N-P11), OWASP ASVS 5.0 6.2, RFC 8265 OpaqueString (without its ban
on characters that phone keyboards put into emoji).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

READ_CODE_POINTS: Final = 1024
READ_BYTES: Final = 4096

Code = Literal[
    "too_short", "too_long", "too_long_to_read", "not_text",
    "class_upper", "class_lower", "class_digit", "class_symbol",
    "blocklisted", "context_word",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """What a preset asks of a password.

    Args:
        name: the preset.
        min_length: code points after NFC, where the password is the only factor.
        min_length_with_factor: the same where a second factor is enforced.
        max_length: code points after NFC; at least 64 (N-P2).
        classes_required: 4 asks for capital, small letter, digit and sign; 0 asks for none (N-P4).
        history: how many earlier passwords may not come back; 0 for none.
        max_age_days: days until a new one is due; None for never (N-P5).
        conflicts: requirements that these rules break, for the conformance report (decisions D2 and D3).

    Raises:
        ValueError: for rules that no preset may have.
    """

    name: str
    min_length: int
    min_length_with_factor: int
    max_length: int = 256
    classes_required: Literal[0, 4] = 0
    history: int = 0
    max_age_days: int | None = None
    conflicts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 8 <= self.min_length_with_factor <= self.min_length <= 64 <= self.max_length <= READ_CODE_POINTS:
            raise ValueError("password lengths: 8 <= with factor <= alone <= 64 <= longest <= 1024")
        if (
            self.classes_required not in (0, 4)
            or self.history < 0
            or (self.max_age_days is not None and self.max_age_days < 1)
        ):
            raise ValueError("password rules: classes are 0 or 4, history and age are not negative")

    def shortest(self, with_factor: bool) -> int:
        """The least number of code points for somebody with or without an enforced second factor."""
        return self.min_length_with_factor if with_factor else self.min_length


PRESETS: Final[Mapping[str, Rules]] = MappingProxyType(
    {
        "nist": Rules("nist", 15, 8),
        "classic": Rules(
            "classic",
            8,
            8,
            classes_required=4,
            history=5,
            max_age_days=180,
            conflicts=("N-P1", "N-P4", "N-P5", "A-6.2.5", "A-6.2.10"),
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Context:
    """Names that everybody around an account knows. Each is given as people write it; derivatives are made here."""

    companies: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """One reason against a password. `text` and `suggestion` are message ids with places that `values` fills.

    Never holds any part of the password (ASVS 16.2.5).
    """

    code: Code
    text: str
    suggestion: str
    values: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One rule to show before anything is typed; `code` is the code of the violation that breaks it."""

    code: Code
    text: str
    values: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequirementState:
    """Where a candidate stands with one rule; `idle` while there is nothing to judge."""

    requirement: Requirement
    state: Literal["idle", "met", "unmet"]


class Unreadable(ValueError):
    """A password that is refused before anything is done with it. `violation` says why; no part of it is kept."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.code)
        self.violation = violation


TOO_LONG_TO_READ: Final = Violation(
    "too_long_to_read",
    "This is too long to be a password.",
    "Check that only the password was pasted.",
)
NOT_TEXT: Final = Violation(
    "not_text",
    "There is a character in it that not every device can send, such as a tab or a line break.",
    "Take it out, or paste only the password.",
)
_MISSING: Final[Mapping[str, Violation]] = {
    "class_upper": Violation("class_upper", "No capital letter yet.", "Make one letter a capital."),
    "class_lower": Violation("class_lower", "No small letter yet.", "Make one letter small."),
    "class_digit": Violation("class_digit", "No digit yet.", "Put a digit anywhere, 0 to 9."),
    "class_symbol": Violation("class_symbol", "No sign yet, such as - or #.", "Put a sign anywhere."),
}
_UNRELATED: Final = "Three or four words that have nothing to do with each other hold much longer."
_REPEATS: Final = Violation(
    "blocklisted",
    "This repeats itself or runs along the keyboard. Such passwords are guessed first.",
    _UNRELATED,
)
_COMMON: Final = Violation(
    "blocklisted",
    "This is on the list of passwords that are guessed first.",
    _UNRELATED,
)
_CONTEXT: Final = Violation(
    "context_word",
    "This is little more than a name that others know: yours, the company’s or the system’s.",
    "Keep the name out, or let it be one word among several.",
)


def normalize(password: str) -> str:
    """The form that is checked and hashed: NFC (N-P9), never trimmed, never cut (N-P8).

    Control characters, lone surrogates and unassigned code points are refused: the last because a later Unicode version
    may normalise them differently, which would lock the person out. Costs at most a pass over 1,024 code points.

    Raises:
        Unreadable: over 1,024 code points or 4,096 bytes of UTF-8, or not text.
    """
    if _beyond_reading(password):
        raise Unreadable(TOO_LONG_TO_READ)
    if any(unicodedata.category(c) in ("Cc", "Cs", "Cn") for c in password):
        raise Unreadable(NOT_TEXT)
    out = unicodedata.normalize("NFC", password)
    if _beyond_reading(out):  # a few characters come apart under NFC
        raise Unreadable(TOO_LONG_TO_READ)
    return out


def _beyond_reading(password: str) -> bool:
    return len(password) > READ_CODE_POINTS or len(password.encode("utf-8", "surrogatepass")) > READ_BYTES


# ── likeness ────────────────────────────────────────────────────────────────

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


def _squeeze(text: str) -> str:
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
        self._words = frozenset(squeezed for w in words if (squeezed := _squeeze(w)))

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, candidate: str) -> bool:
        plain = _squeeze(candidate)
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


def _runs(plain: str) -> bool:
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
        out |= _known(local) | {_squeeze(mail[:_LIKENESS_CAP])}
        out |= {_squeeze(label) for label in domain.casefold().split(".")[:-1] if label not in _DOMAIN_NOISE}
    long_enough = sorted((w for w in out if len(w) > (2 if w.isascii() else 1)), key=len)
    return frozenset(long_enough[:_WORDS_CAP])


def _known(text: str) -> set[str]:
    parts = re.findall(r"[^\W_]+", text)
    words = {text, *parts, "".join(reversed(parts)), text.strip("0123456789"), *(p.strip("0123456789") for p in parts)}
    return {_squeeze(w) for w in words}


def _only_context(plain: str, words: frozenset[str]) -> bool:
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


# ── judging ─────────────────────────────────────────────────────────────────


def check(
    password: str, rules: Rules, context: Context, blocklist: Blocklist, with_factor: bool = False
) -> tuple[Violation, ...]:
    """Everything that speaks against a new password, all at once; empty when it is good.

    Args:
        password: as received.
        rules: the preset that holds for this person.
        context: names known around the account.
        blocklist: common passwords.
        with_factor: a second factor is enforced for this person.
    """
    try:
        text = normalize(password)
    except Unreadable as refused:
        return (refused.violation,)
    out: list[Violation] = []
    count, shortest = len(text), rules.shortest(with_factor)
    if count < shortest:
        out.append(
            Violation(
                "too_short",
                "{min} characters or more; this has {count}.",
                "One or two more words will do.",
                {"min": shortest, "count": count},
            )
        )
    if count > rules.max_length:
        out.append(
            Violation(
                "too_long",
                "{max} characters at most; this has {count}.",
                "Leave some words out.",
                {"max": rules.max_length, "count": count},
            )
        )
    if rules.classes_required:
        out += [v for code, v in _MISSING.items() if not _has_class(text, code)]
    if 0 < count <= rules.max_length:
        plain = _squeeze(text)
        if _runs(plain):
            out.append(_REPEATS)
        elif text in blocklist:
            out.append(_COMMON)
        if _only_context(plain, context_words(context)):
            out.append(_CONTEXT)
    return tuple(out)


def _has_class(text: str, code: str) -> bool:
    wanted = {"class_upper": ("Lu", "Lt"), "class_lower": ("Ll",), "class_digit": ("Nd",), "class_symbol": ("P", "S")}
    return any(unicodedata.category(c).startswith(wanted[code]) for c in text)


def requirements(rules: Rules, with_factor: bool = False) -> tuple[Requirement, ...]:
    """The rules in words, to be shown before anything is typed. The upper limit is told only to who meets it."""
    length = {"min": rules.shortest(with_factor)}
    out = [Requirement("too_short", "{min} characters or more; words and spaces are welcome", length)]
    if rules.classes_required:
        out += [
            Requirement("class_upper", "A capital letter"),
            Requirement("class_lower", "A small letter"),
            Requirement("class_digit", "A digit"),
            Requirement("class_symbol", "A sign, such as - or #"),
        ]
    out += [
        Requirement("blocklisted", "Not a common password"),
        Requirement("context_word", "Not just your name, the company’s or the system’s"),
    ]
    return tuple(out)


def state_of(
    candidate: str, rules: Rules, context: Context, blocklist: Blocklist, with_factor: bool = False
) -> tuple[RequirementState, ...]:
    """Each requirement and where the candidate stands, all idle for an empty or unreadable one; as `check`."""
    broken = {v.code for v in check(candidate, rules, context, blocklist, with_factor)}
    judged = candidate and not broken & {"too_long_to_read", "not_text"}
    return tuple(
        RequirementState(r, "idle" if not judged else "unmet" if r.code in broken else "met")
        for r in requirements(rules, with_factor)
    )
