"""Times as people read them: in their language, in the company's time zone, spelled by Babel from the CLDR."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime, get_timezone_name

from keyback.locale.languages import language

Form = Literal["long", "short", "clock"]
CLOCK = "HH:mm"  # 24 hours in every language
_babel = lru_cache(maxsize=None)(lambda code: Locale.parse(language(code).tag, sep="-"))


def day(locale: str, at: int, zone: ZoneInfo) -> str:
    """`24 November 2026` or `2026年11月24日`, for what is kept for years. `at`: ms."""
    pattern = language(locale).dates["day"]
    return format_datetime(datetime.fromtimestamp(at // 1000, zone), pattern, locale=_babel(locale))


def moment(locale: str, at: int, zone: ZoneInfo, form: Form = "short") -> str:
    """`24 Nov, 14:02` or `11月24日14:02`.

    Args:
        at: ms.
        form: `long` spells the month out, `clock` is the time of day alone.

    Raises:
        OverflowError, OSError, ValueError: no instant that a calendar has.
    """
    return _moment(locale, at // 60_000, zone, form)


@lru_cache(maxsize=4096)  # mails of one batch tell the same minutes
def _moment(locale: str, minute: int, zone: ZoneInfo, form: Form) -> str:
    pattern = language(locale).dates.get(form, CLOCK)
    return format_datetime(datetime.fromtimestamp(minute * 60, zone), pattern, tzinfo=zone, locale=_babel(locale))


def same_day(one: int, other: int, zone: ZoneInfo) -> bool:
    """Whether two instants (ms) are on one day there."""
    return datetime.fromtimestamp(one // 1000, zone).date() == datetime.fromtimestamp(other // 1000, zone).date()


@lru_cache(maxsize=64)
def zone_name(locale: str, zone: ZoneInfo) -> str:
    """What people call a time zone, such as `China time`."""
    if zone.key in {"UTC", "Etc/UTC"}:
        return "UTC"
    name = get_timezone_name(zone, width="long", zone_variant="generic", locale=_babel(locale))
    return language(locale).zones.get(zone.key) or name.replace(" Time", " time")
