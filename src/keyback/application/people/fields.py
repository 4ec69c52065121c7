"""What a record of somebody says in one field, wherever it comes from: tidied, or why it cannot be taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from keyback.domain.characters import INVISIBLE, are_shown
from keyback.domain.errors import BadInput
from keyback.domain.people.mail_address import read_mail_address
from keyback.domain.people.person import MAX_IDENTIFIER, canonicalize
from keyback.domain.people.phone import e164

MAX_NAME = 200
MAX_PHONES = 5  # of one person
Why = Literal["not_text", "too_long", "bad_mail"]


class BadField(Exception):
    """`why` a field cannot be taken. The text of the field is not part of it."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


def one_line(text: str, most: int) -> str:
    """Text on one line, without marks that nobody sees.

    Args:
        most: characters.

    Raises:
        BadField: it holds what cannot be shown, or is longer.
    """
    text = " ".join(INVISIBLE.sub("", text).split())
    if not are_shown(text):
        raise BadField("not_text")
    if len(text) > most:
        raise BadField("too_long")
    return text


def canonical(text: str) -> str:
    """The form in which identifiers are compared. Raises `BadField` for what cannot be one."""
    try:
        return canonicalize(text)
    except BadInput as e:
        raise BadField("too_long" if e.code == "too_long" else "not_text") from None


def mail_address(text: str) -> tuple[str, str]:
    """Address and canonical form; also of `Name <address>` and `mailto:address`. Raises `BadField`."""
    if "<" in text or text[:7].lower() == "mailto:":
        text = text.rpartition("<")[2].rstrip("> ;,").removeprefix("mailto:").removeprefix("MAILTO:").strip()
    if len(text) > MAX_IDENTIFIER:
        raise BadField("too_long")
    try:
        read_mail_address(text)
    except BadInput:
        raise BadField("bad_mail") from None
    return text, canonical(text)


def phone_numbers(texts: Iterable[str], country: str) -> tuple[str, ...] | None:
    """Numbers of phones that get messages, in their one form, each once; empty texts are none. None where one of them
    is no such number, or there are too many.

    Args:
        country: ISO 3166 code that counts for numbers without a country code; empty: they cannot be taken.
    """
    try:
        found = tuple(dict.fromkeys(e164(text.strip(), country) for text in texts if text.strip()))
    except BadInput:
        return None
    return found if len(found) <= MAX_PHONES else None
