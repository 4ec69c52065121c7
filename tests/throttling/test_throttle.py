"""The arithmetic of waiting after wrong passwords."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyback.domain.throttling.limits import HARD_CAP
from keyback.domain.throttling.password_attempts import (
    BUDGET,
    DAY,
    FREE_ATTEMPTS,
    MAX_WAIT,
    WINDOW,
    seconds,
    wait_after,
    wait_left,
)
from keyback.domain.units import HOUR, MINUTE


@pytest.mark.covers("N-T5")
def test_waiting_grows_from_half_a_minute_to_an_hour() -> None:
    waits = [wait_after(n) / MINUTE for n in range(14)]
    assert waits == [0, 0, 0, 0, 0, 0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert wait_after(10**6) == MAX_WAIT


@pytest.mark.covers("N-T4")
def test_all_sides_together_stay_within_the_standard() -> None:
    assert sum(BUDGET.values()) == HARD_CAP == 100
    assert min(BUDGET.values()) >= 2 * FREE_ATTEMPTS, "waiting comes long before the end"


@pytest.mark.covers("N-T5")
def test_what_was_tried_long_ago_or_before_a_sign_in_makes_nobody_wait() -> None:
    now = 1_800_000_000_000
    five = [now - 10_000 + n for n in range(FREE_ATTEMPTS)]
    assert wait_left([], now) == 0
    assert wait_left(five[:-1], now) == 0
    assert wait_left(five, now) == five[-1] + MINUTE // 2 - now
    assert wait_left(five, now + MINUTE) == 0
    assert wait_left(five, now, since=now - 1) == 0
    assert wait_left([*five, now - WINDOW], now) == wait_left(five, now)


@given(st.lists(st.integers(0, 3 * DAY), max_size=40), st.integers(0, 3 * DAY))
def test_waiting_ends_within_an_hour_when_nobody_tries(firsts: list[int], later: int) -> None:
    now = max(firsts, default=0)
    left = wait_left(firsts, now)
    assert 0 <= left <= HOUR
    assert wait_left(firsts, now + left + later) == 0, "and does not come back by itself"


def test_told_seconds_are_never_too_few() -> None:
    assert [seconds(ms) for ms in (0, 1, 1000, 1001)] == [0, 1, 1, 2]
