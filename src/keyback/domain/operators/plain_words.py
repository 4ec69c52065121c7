"""What may not be written to or by the help desk: passwords, codes, links and numbers of documents.

Whoever reads a message to the help desk, its backup or a screenshot of it must find nothing that opens anything. What
looks like a secret is refused with a word for what it looks like, and the writer takes it out.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Literal

Leak = Literal["", "has_password", "has_code", "has_link", "has_number"]
PASSWORD = re.compile(
    r"(?:pass ?words?|passwd|passphrase|pwd|\bpin\b|密码|口令)\s*(?P<verb>is|was|are|是|为|改成)?\s*(?P<mark>[=:]?)"
    r"\s*(?P<said>[!-~]+)",
    re.I,
)
LINK = re.compile(
    r"/(?:l|stop|vouch|new-address|set-up|sign-in-with)/[A-Za-z0-9_-]{16,}|https?://\S*[A-Za-z0-9_-]{20,}", re.I
)
SAVED = re.compile(r"\b[0-9A-Z]{6}(?:-[0-9A-Z]{6}){2}\b")  # a recovery code
DIGITS = re.compile(r"(?<![A-Za-z0-9])\d(?:[ -]?\d)*[Xx]?(?![A-Za-z0-9])")
PASSPORT = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,2}\d{7,8}(?![A-Za-z0-9])")
CODES = (6, 8)  # digits of the codes that we send
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECKS = "10X98765432"


def leak(text: str) -> Leak:
    """What a text seems to give away; empty for nothing.

    `has_code`: six or eight digits by themselves, as of our codes (a date of eight is none), or a recovery code.
    `has_number`: a resident ID number, a passport number, or as many digits as a bank card has.
    """
    text = unicodedata.normalize("NFKC", text)
    if any(_is_password(found) for found in PASSWORD.finditer(text)):
        return "has_password"
    if LINK.search(text):
        return "has_link"
    if SAVED.search(text):
        return "has_code"
    if PASSPORT.search(text):
        return "has_number"
    for found in DIGITS.finditer(text):
        apart = found[0]
        digits = re.sub(r"[ -]", "", found[0]).upper()
        if len(digits) >= 15 or is_resident_id(digits):
            return "has_number"
        if len(digits) in CODES and digits.isdecimal() and "-" not in apart and not _is_date(digits, apart):
            return "has_code"
    return ""


def _is_password(found: re.Match[str]) -> bool:
    """ "My password is wrong" gives nothing away: a word counts with a digit or sign in it, or after a colon."""
    said = found["said"].rstrip(".,;:?!)\"'")
    mixed = any(map(str.isdigit, said)) and any(map(str.isalpha, said))
    if found["verb"] and not found["verb"].isascii():
        return len(said) >= 3  # Latin letters after 密码是 are no words
    return len(said) >= 4 and (mixed or bool(found["mark"]) or (bool(found["verb"]) and not said.isalpha()))


def is_resident_id(number: str) -> bool:
    """Whether this is written like a resident identity number with a date and a right check digit (GB 11643-1999). It
    says that nobody mistyped it, and nothing about whose it is."""
    number = unicodedata.normalize("NFKC", number).upper()
    if not number.isascii() or not re.fullmatch(r"\d{17}[\dX]", number) or not _is_date(number[6:14], number[6:14]):
        return False
    return CHECKS[sum(int(d) * w for d, w in zip(number[:17], WEIGHTS, strict=True)) % 11] == number[17]


def _is_date(digits: str, written: str) -> bool:
    if len(digits) != 8:
        return False
    try:
        return 1900 < date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year < 2100 and " " not in written
    except ValueError:
        return False
