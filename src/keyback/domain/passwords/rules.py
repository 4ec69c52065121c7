"""What makes a new password acceptable, and what to say when it is not. Pure: lists and rules come in as parameters.

Sources: NIST SP 800-63B-4 section 3.1.1.2 (N-P1 to N-P11), OWASP ASVS 5.0 6.2, RFC 8265 OpaqueString (without its ban
on characters that phone keyboards put into emoji).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from keyback.domain.characters import NEVER, is_picture, normalized
from keyback.domain.passwords.monotony import monotonous
from keyback.domain.passwords.similarity import Blocklist, Context, context_words, only_context

__all__ = [
    "CLASSES", "PRESETS", "READ_BYTES", "READ_CODE_POINTS", "USED_BEFORE", "Blocklist", "Code", "Context", "FixedLock",
    "Requirement", "RequirementState", "Rules", "Unreadable", "Violation", "check", "context_words", "has_class",
    "missing_class", "normalize", "requirements", "state_of", "too_long", "too_short",
]  # fmt: skip

READ_CODE_POINTS: Final = 1024
READ_BYTES: Final = 4096

Code = Literal[
    "too_short", "too_long", "too_long_to_read", "not_text",
    "class_upper", "class_lower", "class_digit", "class_symbol",
    "blocklisted", "context_word", "breached", "used_before", "few_classes", "contains_name",
]  # fmt: skip


ClassCode = Literal["class_upper", "class_lower", "class_digit", "class_symbol"]
DAY: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class FixedLock:
    """An account's password stops working for a while after wrong ones in a row (GB/T 22239-2019 8.1.4.1 b, C-2).

    Args:
        tries: wrong passwords in a row until it locks.
        minutes: how long. Recovery stays open meanwhile and ends the lock.
    """

    tries: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What a preset asks of a password.

    Args:
        name: the preset.
        min_length: code points after NFC, where the password is the only factor.
        min_length_with_factor: the same where a second factor is enforced.
        max_length: code points after NFC; at least 64 (N-P2).
        classes_required: 4 asks for capital, small letter, digit and sign; 0 asks for none (N-P4).
        history: how many passwords before the current one may not come back; 0 for none, and none is kept.
        max_age_days: days until a new one is due; None for never (N-P5).
        lock: a fixed lock in place of the soft throttle alone; None for none (decision D8).
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
    lock: FixedLock | None = None
    conflicts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 8 <= self.min_length_with_factor <= self.min_length <= 64 <= self.max_length <= READ_CODE_POINTS:
            raise ValueError("password lengths: 8 <= with factor <= alone <= 64 <= longest <= 1024")
        if (
            self.classes_required not in (0, 4)
            or self.history < 0
            or (self.max_age_days is not None and self.max_age_days < 1)
            or (self.lock is not None and (self.lock.tries < 3 or self.lock.minutes < 1))
        ):
            raise ValueError("password rules: classes are 0 or 4, history and age are not negative, a lock has 3 tries")

    def shortest(self, with_factor: bool) -> int:
        """The least number of code points for somebody with or without an enforced second factor."""
        return self.min_length_with_factor if with_factor else self.min_length

    def due_at(self, changed_at: int) -> int | None:
        """When a password of this age must be replaced, ms; None where age is no reason."""
        return None if self.max_age_days is None else changed_at + self.max_age_days * DAY


_BY_AGE_AND_CLASS: Final = ("N-P1", "N-P4", "N-P5", "A-6.2.5", "A-6.2.10")
# GB/T 22239-2019 8.1.4.1 asks for complexity, regular change and handling of failed sign-ins, without figures; 8 and 10
# characters, 180 and 90 days, 5 tries and 30 minutes are ours, after what assessments usually look for. There is
# no least age: whoever suspects something must be able to change a password twice in a day.
PRESETS: Final[Mapping[str, Rules]] = MappingProxyType(
    {
        r.name: r
        for r in (
            Rules("nist", 15, 8),
            Rules(
                "mlps2", 8, 8, classes_required=4, history=5, max_age_days=180, lock=FixedLock(5, 30),
                conflicts=_BY_AGE_AND_CLASS,
            ),
            Rules(
                "mlps3", 10, 10, classes_required=4, history=5, max_age_days=90, lock=FixedLock(5, 30),
                conflicts=_BY_AGE_AND_CLASS,
            ),
            Rules("classic", 8, 8, classes_required=4, history=5, max_age_days=180, conflicts=_BY_AGE_AND_CLASS),
        )
    }
)  # fmt: skip


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
    "It contains a character that not every device can type, such as a tab or a line break.",
    "Remove it, or paste only the password.",
)
_MISSING: Final[Mapping[ClassCode, Violation]] = {
    "class_upper": Violation("class_upper", "No capital letter yet.", "Make one letter a capital."),
    "class_lower": Violation("class_lower", "No lowercase letter yet.", "Make one letter lowercase."),
    "class_digit": Violation("class_digit", "No digit yet.", "Add a digit anywhere, 0 to 9."),
    "class_symbol": Violation("class_symbol", "No symbol yet, such as - or #.", "Add a symbol anywhere."),
}
CLASSES: Final = tuple(_MISSING)
_UNRELATED: Final = "Three or four unrelated words are much stronger."
_REPEATS: Final = Violation(
    "blocklisted",
    "This repeats itself or follows the keyboard. Such passwords are guessed first.",
    _UNRELATED,
)
_COMMON: Final = Violation(
    "blocklisted",
    "This is on the list of passwords that are guessed first.",
    _UNRELATED,
)
_BREACHED: Final = Violation(
    "breached",
    "This password is in a public leak, so it’s among the first to be tried.",
    "Choose one you’ve never used anywhere, and change it wherever you use this one.",
)
USED_BEFORE: Final = Violation(
    "used_before",
    "You’ve used this password here before.",
    "Choose one you haven’t used here.",
)
_CONTEXT: Final = Violation(
    "context_word",
    "This is little more than a name others know: yours, the company’s, or the system’s.",
    "Leave the name out, or use it as one word among several.",
)


def normalize(password: str) -> str:
    """The form that is checked and hashed: NFC (N-P9), never trimmed, never cut (N-P8).

    Every character is taken, also those of Unicode versions to come; they are left as they are, so that no later
    version changes what was hashed. Costs at most a pass over 1,024 code points.

    Raises:
        Unreadable: over 1,024 code points or 4,096 bytes of UTF-8, or not text: control characters and lone surrogates.
    """
    if _beyond_reading(password):
        raise Unreadable(TOO_LONG_TO_READ)
    if any(c in _NO_TEXT for c in map(unicodedata.category, password)) or NEVER.search(password):
        raise Unreadable(NOT_TEXT)
    out = normalized("NFC", password)
    if _beyond_reading(out):  # a few characters come apart under NFC
        raise Unreadable(TOO_LONG_TO_READ)
    return out


_NO_TEXT: Final = ("Cc", "Cs")


def _beyond_reading(password: str) -> bool:
    return len(password) > READ_CODE_POINTS or len(password.encode("utf-8", "surrogatepass")) > READ_BYTES


# ── judging ─────────────────────────────────────────────────────────────────


def check(
    password: str,
    rules: Rules,
    context: Context,
    blocklist: Blocklist,
    with_factor: bool = False,
    leaked: Container[str] = (),
) -> tuple[Violation, ...]:
    """Everything that speaks against a new password, all at once; empty when it is good.

    Args:
        password: as received.
        rules: the preset that holds for this person.
        context: names known around the account.
        blocklist: common passwords.
        with_factor: a second factor is enforced for this person.
        leaked: passwords known from public leaks, asked for the normal form (A-6.2.12).
    """
    try:
        text = normalize(password)
    except Unreadable as refused:
        return (refused.violation,)
    out: list[Violation] = []
    count, shortest = len(text), rules.shortest(with_factor)
    if count < shortest:
        out.append(too_short(shortest, count))
    if count > rules.max_length:
        out.append(too_long(rules.max_length, count))
    if rules.classes_required:
        out += [v for code, v in _MISSING.items() if not has_class(text, code)]
    if 0 < count <= rules.max_length:
        if monotonous(text, shortest):
            out.append(_REPEATS)
        elif text in blocklist:
            out.append(_COMMON)
        if text in leaked:
            out.append(_BREACHED)
        if only_context(text, context_words(context)):
            out.append(_CONTEXT)
    return tuple(out)


def too_short(shortest: int, count: int) -> Violation:
    values = {"min": shortest, "count": count}
    text = "At least {min} characters; this has {count}."
    return Violation("too_short", text, "One or two more words will do.", values)


def too_long(longest: int, count: int) -> Violation:
    values = {"max": longest, "count": count}
    return Violation("too_long", "At most {max} characters; this has {count}.", "Leave some words out.", values)


def missing_class(code: ClassCode) -> Violation:
    """What to say when this kind of character, one of `CLASSES`, does not occur."""
    return _MISSING[code]


def has_class(text: str, code: ClassCode) -> bool:
    """Whether a character of this kind, one of `CLASSES`, occurs."""
    wanted = {"class_upper": ("Lu", "Lt"), "class_lower": ("Ll",), "class_digit": ("Nd",), "class_symbol": ("P", "S")}
    signs = code == "class_symbol"  # emoji that are newer than this Python are signs as well
    return any(unicodedata.category(c).startswith(wanted[code]) or (signs and is_picture(c)) for c in text)


def requirements(rules: Rules, with_factor: bool = False, against_leaks: bool = False) -> tuple[Requirement, ...]:
    """The rules in words, to be shown before anything is typed. The upper limit is told only to who meets it, an
    earlier password only to who sends one: finding out costs as much as a sign-in."""
    length = {"min": rules.shortest(with_factor)}
    out = [Requirement("too_short", "At least {min} characters", length)]
    if rules.classes_required:
        out += [
            Requirement("class_upper", "A capital letter"),
            Requirement("class_lower", "A lowercase letter"),
            Requirement("class_digit", "A digit"),
            Requirement("class_symbol", "A symbol, such as - or #"),
        ]
    out += [
        Requirement("blocklisted", "Not a common password"),
        Requirement("context_word", "Not just your name, the company’s or the system’s"),
    ]
    if against_leaks:
        out.append(Requirement("breached", "Not in a public leak"))
    return tuple(out)


def state_of(
    candidate: str,
    rules: Rules,
    context: Context,
    blocklist: Blocklist,
    with_factor: bool = False,
    leaked: Container[str] = (),
) -> tuple[RequirementState, ...]:
    """Each requirement and where the candidate stands, all idle for an empty or unreadable one; as `check`."""
    broken = {v.code for v in check(candidate, rules, context, blocklist, with_factor, leaked)}
    judged = candidate and not broken & {"too_long_to_read", "not_text"}
    return tuple(
        RequirementState(r, "idle" if not judged else "unmet" if r.code in broken else "met")
        for r in requirements(rules, with_factor, leaked != ())
    )
