"""No limit lets twice as many through around the end of its hour or day (D15)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.ports.storage import Tx
from keyback.application.signin.sign_in import NotSignedIn
from keyback.application.throttling.proof_attempts import count
from keyback.domain import units
from keyback.domain.throttling.limits import WINDOW_TRIES
from keyback.domain.throttling.password_attempts import MAX_PER_SOURCE
from tests.support.guessing import WRONG, guess, owned
from tests.support.kit import Kit
from tests.support.steps import HERE, sign_in

Make = Callable[..., Kit]
HOUR, DAY = units.HOUR, 24 * units.HOUR


def taken(kit: Kit, key: str, most: int, *, day: bool = False) -> bool:
    """What every limit does: counts, and takes back what it refuses."""

    def fn(tx: Tx) -> bool:
        c = tx.counters.add([key])[key]
        if (c.day if day else c.hour) <= most:
            return True
        tx.counters.take_back([key])
        return False

    return kit.write(fn)


@pytest.mark.covers("D15")
@pytest.mark.parametrize(("day", "length"), [(False, HOUR), (True, DAY)])
def test_a_boundary_gives_nothing(database_url: str, make_kit: Make, day: bool, length: int) -> None:
    kit = make_kit(url=database_url)
    assert taken(kit, "k", 10, day=day)
    kit.clock.now += length - 1000
    assert [taken(kit, "k", 10, day=day) for _ in range(10)] == [True] * 9 + [False]
    kit.clock.now += 2000
    assert [taken(kit, "k", 10, day=day) for _ in range(9)].count(True) <= 1, "the first of them is old enough"
    kit.clock.now += length - 2001
    assert not taken(kit, "k", 10, day=day)
    kit.clock.now += 1
    assert taken(kit, "k", 10, day=day), "those of the end are old enough, whatever was refused meanwhile"


@pytest.mark.covers("D15")
def test_a_burst_is_over_after_an_hour_however_often_one_asks_meanwhile(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    assert [taken(kit, "k", 3) for _ in range(4)] == [True, True, True, False]
    for _ in range(59):
        kit.clock.now += 60_000
        assert not taken(kit, "k", 3)
    kit.clock.now += 60_000
    assert [taken(kit, "k", 3) for _ in range(4)] == [True, True, True, False]


@pytest.mark.slow
@pytest.mark.covers("D15")
@pytest.mark.parametrize("seed", range(6))
def test_in_no_hour_are_there_more_than_allowed(make_kit: Make, seed: int) -> None:
    kit, dice = make_kit(), random.Random(seed)
    most, at = dice.choice([3, 5, 10]), []
    for _ in range(150):
        kit.clock.now += dice.choice([1, 1000, 60_000, 600_000, HOUR - 1, HOUR // 2])
        if taken(kit, "k", most):
            at.append(kit.clock.now)
    assert len(at) > most
    assert max(sum(end - HOUR < x <= end for x in at) for end in at) <= most


@pytest.mark.covers("D15")
def test_what_flows_evenly_is_weighed_not_counted_twice(make_kit: Make) -> None:
    kit = make_kit()
    for _ in range(24 * 5):
        kit.clock.now += HOUR
        found = kit.write(lambda tx: tx.counters.add(["sms/+86"])["sms/+86"])
        assert found.day_even <= 26, "twenty-four a day, every day"
    assert found.day_even >= 23


@pytest.mark.slow
@pytest.mark.covers("D15", "D1")
def test_wrong_codes_and_wrong_passwords_meet_it(make_kit: Make) -> None:
    kit = owned(make_kit)

    def codes(n: int) -> int:
        def one(tx: Tx) -> bool:
            return not count(tx, "totp", ["someone"], "", HERE)

        return sum(kit.write(one) for _ in range(n))

    def passwords(n: int, at: int) -> list[Any]:
        return [sign_in(kit, f"name{at + i}", guess(at + i)) for i in range(n)]

    assert codes(1) == 1
    assert passwords(1, 0) == [WRONG]
    kit.clock.now += HOUR - 1000
    assert codes(20) == WINDOW_TRIES - 1
    assert passwords(MAX_PER_SOURCE - 1, 1) == [WRONG] * (MAX_PER_SOURCE - 1)
    kit.clock.now += 2000
    assert codes(20) <= 1
    slow = passwords(3, 500)[-1]
    assert isinstance(slow, NotSignedIn)
    assert slow.reason == "slow_down"
    kit.clock.now += slow.wait_s * 1000
    assert codes(20) == WINDOW_TRIES
    assert passwords(1, 600) == [WRONG], "whoever waits as long as they are told"
