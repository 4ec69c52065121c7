"""Password rules as the vendors have them: which rule is broken comes out, each vendor has its own words for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from keyback.demo.vendors.accounts import Account

Broken = Literal["", "short", "long", "mix", "name", "easy", "repeated", "young"]
EASY = ("password", "12345678", "qwerty", "letmein", "welcome1", "abc12345", "11111111")
HOUR_MS = 3_600_000


def N_(text: str) -> str:
    """Marks a text that is translated where it is shown."""
    return text


@dataclass(slots=True)
class Rules:
    """What a password has to be.

    Args:
        classes: how many of lower case, upper case, digits and other characters; letters count as one with `letters`.
        letters: letters of either case are one class, as in "letters and numbers".
        history: how many passwords, the present one included, may not come again.
        min_age_h: hours that a password has to live.
    """

    min_length: int = 8
    max_length: int = 256
    classes: int = 2
    letters: bool = False
    history: int = 3
    min_age_h: int = 0

    def broken(self, account: Account, password: str, now: int) -> Broken:
        """The first rule that this password breaks."""
        folded = password.casefold()
        login = account.username.partition("@")[0].casefold()
        if len(password) < self.min_length:
            return "short"
        if len(password) > self.max_length:
            return "long"
        if self._classes(password) < self.classes:
            return "mix"
        if len(login) > 2 and login in folded:
            return "name"
        if any(e in folded for e in EASY):
            return "easy"
        if account.repeats(password, self.history):
            return "repeated"
        if self.min_age_h and account.changed_at and now - account.changed_at < self.min_age_h * HOUR_MS:
            return "young"
        return ""

    def _classes(self, password: str) -> int:
        lower, upper = any(c.islower() for c in password), any(c.isupper() for c in password)
        digit, other = any(c.isdigit() for c in password), any(not c.isalnum() for c in password)
        if self.letters:
            return (lower or upper) + digit + other
        return lower + upper + digit + other
