"""Phone numbers: one written form for each (ITU-T E.164), and whether a message can reach it."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType as Type

from keyback.domain.errors import BadInput

MAX_TYPED = 40
# Numbers that cost the caller, or that nobody reads messages on: a text there only makes somebody rich.
NEVER = frozenset(
    {
        Type.PREMIUM_RATE, Type.SHARED_COST, Type.TOLL_FREE, Type.PERSONAL_NUMBER, Type.UAN, Type.VOICEMAIL, Type.PAGER,
        Type.FIXED_LINE,
    }
)  # fmt: skip
NO_COUNTRY = "001"  # +800, +808, +870, +878, +881 to +883, +888, +979: satellites and services, dear and of no country
# What a calling code stands for by itself, where that is more than its main country.
TOGETHER: dict[int, frozenset[str]] = {1: frozenset({"US", "CA"})}
PRECISE = 3  # digits behind a calling code that name one country of those that share it, such as +44 7781


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
    if phonenumbers.number_type(number) in NEVER or phonenumbers.region_code_for_number(number) == NO_COUNTRY:
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


def is_country(code: str) -> bool:
    """Whether `e164` knows a country by this ISO 3166 code, in letters of either case."""
    return code.upper() in phonenumbers.SUPPORTED_REGIONS


def country_of(number: str) -> str | None:
    """The ISO 3166 code of the country that a number in E.164 belongs to; None when it is none that is known."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return None


@lru_cache(maxsize=1024)
def small_country_of(prefix: str) -> str | None:
    """The country that a prefix names among those that share a calling code, such as `JM` for `+1876`; None for a
    prefix of the main country, or of several."""
    code, national = _split(prefix)
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())[1:]:
        about = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
        if about is None or not national or region in TOGETHER.get(code, ()):
            continue
        if about.leading_digits and re.match(about.leading_digits, national):
            return str(region)
        mobile = about.mobile.example_number if about.mobile else None
        if len(national) >= PRECISE and mobile and mobile.startswith(national):
            return str(region)
    return None


def reaches(prefix: str, country: str | None) -> bool:
    """Whether an allowed prefix means numbers of this country that begin with it. A calling code that several countries
    share means the main one (`+1`: the United States and Canada); the others are named by longer prefixes."""
    code, national = _split(prefix)
    sharing = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())
    if len(sharing) < 2 or len(national) >= PRECISE:
        return True
    return country in TOGETHER.get(code, {sharing[0]}) or (country is not None and small_country_of(prefix) == country)


def _split(prefix: str) -> tuple[int, str]:
    """Calling code and what follows of a prefix such as `+1876`; 0 for one that names no calling code."""
    digits = prefix.lstrip("+")
    for n in (1, 2, 3):
        if int(digits[:n] or 0) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return int(digits[:n]), digits[n:]
    return 0, digits
