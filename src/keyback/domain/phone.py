"""Phone numbers: one written form for each (ITU-T E.164), and whether a message can reach it."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumberType as Type

from keyback.domain.errors import BadInput

MAX_TYPED = 40
# Numbers that cost the caller, or that nobody reads messages on: a text there only makes somebody rich.
NEVER = frozenset(
    {Type.PREMIUM_RATE, Type.SHARED_COST, Type.TOLL_FREE, Type.UAN, Type.VOICEMAIL, Type.PAGER, Type.FIXED_LINE}
)


def e164(typed: str, region: str = "") -> str:
    """The one form of a phone number, such as `+8613800138000`.

    Args:
        typed: as somebody wrote it, with or without country code, spaces or brackets.
        region: ISO 3166 code that counts when no country code is there, such as `CN`; empty: the code must be there.

    Raises:
        BadInput: no number of a phone that can get messages.
    """
    try:
        if len(typed) > MAX_TYPED:
            raise ValueError
        number = phonenumbers.parse(typed, region.upper() or None)
    except (phonenumbers.NumberParseException, ValueError):
        raise BadInput("phone_not_understood") from None
    if number.extension or not phonenumbers.is_valid_number(number):
        raise BadInput("phone_not_understood")
    if phonenumbers.number_type(number) in NEVER:
        raise BadInput("phone_without_messages")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def is_e164(text: str) -> bool:
    """Whether `text` is exactly what `e164` gives for it; stored numbers are checked again before they are used."""
    try:
        return e164(text) == text
    except BadInput:
        return False


def shown(number: str) -> str:
    """A stored number as a hint to its owner: country code and the last two digits, such as `+86 ••• 00`."""
    return f"+{phonenumbers.parse(number, None).country_code} ••• {number[-2:]}"
