"""What another system asks of a password, as far as it can be told before anything is set there. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from keyback.domain.passwords.rules import (
    CLASSES,
    ClassCode,
    Requirement,
    Violation,
    has_class,
    missing_class,
    too_long,
    too_short,
)

_FEW: Final = "At least {min} of these: capital letters, lowercase letters, digits, symbols"
_FEW_NOW: Final = "It uses {count} of these: capital letters, lowercase letters, digits, symbols. It needs {min}."


@dataclass(frozen=True, slots=True)
class TargetRules:
    """A system's own rules. What cannot be told beforehand, the system says when the password is set.

    Args:
        min_length, max_length: characters; 0 and None where there is no such rule.
        classes: kinds of characters that each must occur.
        classes_of_four: so many of the four kinds, any; 0 where there is no such rule.
        no_names: the user name or a part of the person's name must not occur in it.
        history: so many earlier passwords are refused; 0 for none or unknown.
        min_age_ms: how old a password must be before it can be changed again; 0 for no such rule.
        max_age_ms: how old it may become; None for any age.
        known: `read` from the system, `configured` by an administrator, or `documented` by its vendor.
    """

    min_length: int = 0
    max_length: int | None = None
    classes: frozenset[ClassCode] = frozenset()
    classes_of_four: int = 0
    no_names: bool = False
    history: int = 0
    min_age_ms: int = 0
    max_age_ms: int | None = None
    known: Literal["read", "configured", "documented"] = "documented"

    def violations(self, password: str, username: str = "", name: str = "") -> tuple[Violation, ...]:
        """Everything that this system would refuse, all at once; empty when nothing is known to speak against it.

        Args:
            password: as it would be sent, in NFC.
            username, name: as the system knows them.
        """
        out: list[Violation] = []
        count = len(password)
        if count < self.min_length:
            out.append(too_short(self.min_length, count))
        if self.max_length is not None and count > self.max_length:
            out.append(too_long(self.max_length, count))
        out += [missing_class(code) for code in CLASSES if code in self.classes and not has_class(password, code)]
        kinds = sum(has_class(password, code) for code in CLASSES)
        if kinds < self.classes_of_four:
            values = {"min": self.classes_of_four, "count": kinds}
            out.append(Violation("few_classes", _FEW_NOW, "Add a digit, a symbol or a capital letter.", values))
        if self.no_names and _holds_name(password, username, name):
            out.append(Violation("contains_name", "It contains your name or username.", "Remove the name completely."))
        return tuple(out)

    def requirements(self) -> tuple[Requirement, ...]:
        """The rules in words, to be shown before anything is typed."""
        out: list[Requirement] = []
        if self.min_length:
            out.append(Requirement("too_short", "At least {min} characters", {"min": self.min_length}))
        if self.max_length is not None:
            out.append(Requirement("too_long", "At most {max} characters", {"max": self.max_length}))
        words: dict[ClassCode, str] = {
            "class_upper": "A capital letter",
            "class_lower": "A lowercase letter",
            "class_digit": "A digit",
            "class_symbol": "A symbol, such as - or #",
        }
        out += [Requirement(code, words[code]) for code in CLASSES if code in self.classes]
        if self.classes_of_four:
            out.append(Requirement("few_classes", _FEW, {"min": self.classes_of_four}))
        if self.no_names:
            out.append(Requirement("contains_name", "Doesn’t contain your name or username"))
        if self.history:
            out.append(Requirement("used_before", "Not one of your last {count} passwords", {"count": self.history}))
        return tuple(out)


def _holds_name(password: str, username: str, name: str) -> bool:
    """As Active Directory compares: the whole user name, and parts of the name from three characters on."""
    text = password.casefold()
    split = "".join(" " if unicodedata.category(c)[0] in "PSZC" else c for c in name.casefold()).split()
    parts = [username.casefold(), *split]
    return any(len(p) >= 3 and p in text for p in parts)
