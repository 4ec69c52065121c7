"""A phone number in place of a mail address or user name: one canonical form, told from all others by its beginning.

What is typed decides alone whether it is read as a number; nothing is looked up for that (A1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import phonenumbers

from keyback.domain.errors import BadInput
from keyback.domain.people.person import canonicalize
from keyback.domain.people.phone import MAX_TYPED, e164

PREFIX = "tel:"
_CANONICAL = re.compile(r"tel:\+[1-9][0-9]{4,14}")
# Digits with what people write between them; a letter makes it a user name. Full-width ones count as well.
_LIKE_A_NUMBER = re.compile(r"[+＋]?[0-9０-９ ()（）./\-‐-―－\u3000\u00a0]{7,}")
_DIGITS = re.compile(r"[^0-9]")


@dataclass(frozen=True, slots=True)
class PhoneIdentifiers:
    """Whether people are known by their phone numbers, and of which country one without a calling code is.

    Args:
        taken: False reads numbers as user names.
        country: ISO 3166 code; empty: a number without its calling code is read as a user name.
    """

    taken: bool = False
    country: str = ""

    def number(self, typed: str) -> str | None:
        """What was typed as a number in E.164; None where it is none that could be on record."""
        text = typed.strip()
        if not self.taken or len(text) > MAX_TYPED or not _LIKE_A_NUMBER.fullmatch(text):
            return None
        try:
            return e164(text, self.country)
        except BadInput:
            return None

    def canonicalize(self, typed: str) -> str:
        """The one form in which identifiers are compared; a number's is `tel:+8613800138000`.

        Raises:
            BadInput: as `person.canonicalize`.
        """
        number = self.number(typed)
        if number is not None:
            return PREFIX + number
        plain = canonicalize(typed)
        return plain.removeprefix(PREFIX) if is_phone(plain) else plain  # nobody types this form past the setting


NONE_TAKEN = PhoneIdentifiers()


def is_phone(canonical: str) -> bool:
    """Whether a canonical identifier is a phone number."""
    return _CANONICAL.fullmatch(canonical) is not None


def as_written(canonical: str) -> str:
    """A canonical identifier for people to read."""
    return canonical.removeprefix(PREFIX) if is_phone(canonical) else canonical


def names_of(canonical: str) -> tuple[str, ...]:
    """Names under which somebody with this identifier may be known besides it: user names are often phone numbers, with
    their calling code or without."""
    if not is_phone(canonical):
        return (canonical,)
    number = canonical.removeprefix(PREFIX)
    read = phonenumbers.parse(number, None)
    national = _DIGITS.sub("", phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.NATIONAL))
    return tuple(dict.fromkeys((number, number[1:], national, str(read.national_number))))
