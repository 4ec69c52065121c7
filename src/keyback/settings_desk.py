"""The section `[help_desk]` of `keyback.toml`: when the help desk works, and the company's own tickets."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from keyback.domain.operators.service_hours import DAY_MINUTES, ServiceHours, Span
from keyback.domain.units import MINUTE
from keyback.settings_sections import Part

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LINE = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)(?:-(mon|tue|wed|thu|fri|sat|sun))? (\d\d):(\d\d)-(\d\d):(\d\d)")
TICKET = "{ticket}"


class HelpDesk(Part):
    """When your operators work, and where your own tickets are."""

    hours: list[str] = Field(
        default_factory=list,
        description="Working hours, such as `mon-fri 09:00-18:00`, a line for each span. Empty: around the clock.",
    )
    holidays: list[date] = Field(default_factory=list, description="Days without working hours, such as `2026-12-25`.")
    time_zone: str = Field("", description="Time zone of the hours (an IANA name). Empty: as `timezone`.")
    goal_minutes: int = Field(
        60, ge=1, le=100_000, description="Working time in which a case should be decided; then it is overdue."
    )
    ticket_url: str = Field(
        "", description="Address of a ticket of yours, with `{ticket}` in it. Ticket numbers in the console link there."
    )

    @field_validator("hours")
    @classmethod
    def _readable(cls, value: list[str]) -> list[str]:
        if value:
            week_of(value)
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value and value not in available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone, such as Asia/Shanghai")
        return value

    @field_validator("ticket_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if value:
            split = urlsplit(value)
            if split.scheme not in ("https", "http") or TICKET in split.netloc or not split.netloc:
                raise ValueError("has to be like https://tickets.example.com/browse/{ticket}")
            if value.count(TICKET) != 1:
                raise ValueError("needs {ticket} once, where the number belongs")
        return value

    def service_hours(self, time_zone: str) -> ServiceHours:
        """The calendar of these settings.

        Args:
            time_zone: taken where none is set here.
        """
        week = week_of(self.hours) if self.hours else ServiceHours().week
        zone, goal = ZoneInfo(self.time_zone or time_zone), self.goal_minutes * MINUTE
        return ServiceHours(zone, week, frozenset(self.holidays), goal)

    def address_of(self, ticket: str) -> str:
        """Where a ticket is; empty where that is not known."""
        return self.ticket_url.replace(TICKET, quote(ticket, safe="")) if ticket and self.ticket_url else ""


class Reports(Part):
    """What recoveries cost your company. Keyback has no figures of its own for that."""

    desk_cost: float | None = Field(
        None, ge=0, le=1_000_000, description="What a call to the help desk costs you. Empty: reports show no money."
    )
    own_cost: float = Field(0, ge=0, le=1_000_000, description="What a recovery without the help desk costs you.")
    currency: str = Field(
        "", pattern="^([A-Z]{3})?$", description="Currency of both, such as `EUR`. Empty: none is shown."
    )


def week_of(lines: list[str]) -> tuple[tuple[Span, ...], ...]:
    """The week that lines such as `mon-fri 09:00-18:00` say.

    Raises:
        ValueError: one cannot be read, or two overlap.
    """
    week: list[list[Span]] = [[] for _ in DAYS]
    for line in lines:
        found = _LINE.fullmatch(line.strip().lower())
        numbers = [int(x) for x in found.groups()[2:]] if found else []
        if not found or numbers[1] > 59 or numbers[3] > 59:
            raise ValueError(f"{line!r} is not like mon-fri 09:00-18:00")
        start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
        first, last = DAYS.index(found[1]), DAYS.index(found[2] or found[1])
        if not start < end <= DAY_MINUTES or first > last:
            raise ValueError(f"{line!r} ends before it begins")
        for day in week[first : last + 1]:
            day.append((start, end))
    for day in week:
        day.sort()
        if any(a[1] > b[0] for a, b in pairwise(day)):
            raise ValueError("hours overlap")
    return tuple(tuple(day) for day in week)
