"""Working hours: by when a case is due, how much of its time is spent, and which ones are late."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from keyback.domain.operators.service_hours import ServiceHours
from keyback.domain.units import HOUR, MINUTE
from keyback.settings_desk import HelpDesk, week_of
from tests.support.each import each

OFFICE = ServiceHours(UTC, week_of(["mon-fri 09:00-12:00", "mon-fri 13:00-17:00"]), frozenset({date(2026, 12, 25)}))
ALWAYS = ServiceHours()


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@each(
    "since,due",
    [
        ("2026-11-30T10:00", "2026-11-30T11:00"),  # a Monday
        ("2026-11-30T11:30", "2026-11-30T13:30"),  # over lunch
        ("2026-11-30T16:15", "2026-12-01T09:15"),  # over night
        ("2026-12-04T16:30", "2026-12-07T09:30"),  # over a weekend
        ("2026-12-05T03:00", "2026-12-07T10:00"),  # within one
        ("2026-12-24T16:30", "2026-12-28T09:30"),  # over a holiday and a weekend
    ],
)
def test_a_case_is_due_after_an_hour_of_work(since: str, due: str) -> None:
    assert OFFICE.due(at(since)) == at(due)
    assert OFFICE.worked(at(since), at(due)) == HOUR
    assert ALWAYS.due(at(since)) == at(since) + HOUR


def test_days_are_the_companys_own_when_clocks_change() -> None:
    night = ServiceHours(ZoneInfo("Europe/Berlin"), week_of(["sun 01:00-04:00"]), goal=150 * MINUTE)
    assert night.due(at("2026-03-29T01:00", "Europe/Berlin")) == at("2026-04-05T01:30", "Europe/Berlin"), "two hours"
    assert night.due(at("2026-10-25T01:00", "Europe/Berlin")) == at("2026-10-25T01:00", "Europe/Berlin") + 150 * MINUTE
    shanghai = ServiceHours(ZoneInfo("Asia/Shanghai"), week_of(["mon-sun 09:00-18:00"]))
    assert shanghai.due(at("2026-11-30T00:00")) == at("2026-11-30T02:00"), "eight in the morning there"


@given(st.integers(0, 3 * 365 * 24 * 60), st.integers(0, 14 * 24 * 60))
def test_what_is_late_is_what_was_due(start: int, later: int) -> None:
    since = at("2025-01-01T00:00") + start * MINUTE
    now = since + later * MINUTE
    assert (since <= OFFICE.late_since(now)) == (OFFICE.due(since) <= now)


def test_without_hours_nothing_is_ever_due() -> None:
    never = ServiceHours(week=((),) * 7)
    assert never.worked(0, 10 * HOUR) == 0
    assert never.late_since(at("2026-11-30T10:00")) == 1


@each(
    "line",
    ["mon 9-17", "fri-mon 09:00-17:00", "mon 17:00-09:00", "mon 09:00-24:30", "mon 09:60-10:00", "day 09:00-10:00"],
)
def test_hours_that_cannot_be_read_are_refused(line: str) -> None:
    with pytest.raises(ValidationError, match="hours"):
        HelpDesk(hours=[line])


def test_settings_make_a_calendar_and_addresses_of_tickets() -> None:
    with pytest.raises(ValidationError, match="overlap"):
        HelpDesk(hours=["mon-fri 09:00-12:00", "wed 11:00-13:00"])
    with pytest.raises(ValidationError, match="IANA"):
        HelpDesk(time_zone="Moon/Base")
    for wrong in ("tickets/{ticket}", "https://x.example.com/", "javascript:{ticket}", "https://{ticket}.example.com/"):
        with pytest.raises(ValidationError, match="ticket"):
            HelpDesk(ticket_url=wrong)
    part = HelpDesk(hours=["sun 08:00-24:00"], goal_minutes=30, ticket_url="https://t.example.com/browse/{ticket}?a=1")
    hours = part.service_hours("Europe/Berlin")
    assert (hours.zone, hours.goal, hours.week[6]) == (ZoneInfo("Europe/Berlin"), 30 * MINUTE, ((480, 1440),))
    assert part.address_of("A 1/..?") == "https://t.example.com/browse/A%201%2F..%3F?a=1"
    assert part.address_of("") == HelpDesk().address_of("A1") == ""
