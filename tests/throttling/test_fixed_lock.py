"""The fixed lock of `mlps2` and `mlps3`: for every name, at every minute of its steps, on every node (E27)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.origin import Origin
from keyback.application.signin import sessions, sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.application.throttling import password_attempts
from keyback.domain.secret import Secret
from tests.support.enrolled import person_id
from tests.support.guessing import WRONG, enter, guess, owned, somewhere, tray_and
from tests.support.kit import Kit
from tests.support.steps import HERE, NEW, OLD, choose, drain, proven, set_password

Make = Callable[..., Kit]
MINUTE = 60_000
LOCKED = sign_in.NotSignedIn("slow_down", 30 * 60)


def both(kit: Kit, n: int, origin: Origin = HERE) -> Any:
    known, unknown = (enter(kit, who, guess(n), origin) for who in ("maya", "nobody"))
    assert known == unknown
    return known


@pytest.mark.slow
@pytest.mark.covers("E27", "C-2", "INV-I5")
@pytest.mark.parametrize("preset", ["mlps2", "mlps3"])
@pytest.mark.parametrize("after", [0, 1, 2 * MINUTE, 5 * MINUTE - 1])
def test_the_lock_holds_from_the_moment_a_password_was_chosen(make_kit: Make, preset: str, after: int) -> None:
    """Whatever part of a step the password was chosen in, and however soon the wrong ones come."""
    kit = owned(make_kit, password={"preset": preset})
    kit.clock.now += -kit.clock.now % password_attempts.LOCK_STEP + 2 * MINUTE  # in the middle of a step
    set_password(kit, "maya", job_id="just chosen")
    kit.clock.now += after
    assert [both(kit, n) for n in range(5)] == [WRONG] * 5
    for who in ("maya", "nobody"):
        assert enter(kit, who, OLD, somewhere(1)) == LOCKED, "the right one, from another network"
    kit.clock.forward(minutes=29)
    assert enter(kit, "maya", OLD, somewhere(1)).wait_s == enter(kit, "nobody", OLD, somewhere(1)).wait_s <= 6 * 60
    kit.clock.forward(minutes=6)
    assert isinstance(enter(kit, "maya", OLD, somewhere(1)), SignedIn)


@pytest.mark.covers("E27", "C-2")
def test_who_waits_as_long_as_they_are_told_gets_in(make_kit: Make) -> None:
    kit = owned(make_kit, password={"preset": "mlps2"})
    for n in range(5):
        enter(kit, "maya", guess(n), somewhere(n))
    waited = 0
    while isinstance(answer := enter(kit, "maya", OLD), sign_in.NotSignedIn):
        kit.clock.now += answer.wait_s * 1000
        waited += answer.wait_s
    assert 30 * 60 <= waited <= 35 * 60


@pytest.mark.slow
@pytest.mark.covers("E27", "INV-I9", "SD-D8")
def test_a_recovery_opens_it_at_once_and_it_can_close_again_at_once(database_url: str, make_kit: Make) -> None:
    kit, tray = tray_and(make_kit, url=database_url, password={"preset": "mlps2"})
    for n in range(5):
        enter(kit, "maya", guess(n), somewhere(n))
    assert enter(kit, "maya", OLD) == LOCKED
    choose(kit, proven(kit, tray), Secret("Supper-ladder-teapot-7"))
    drain(kit)
    assert isinstance(enter(kit, "maya", Secret("Supper-ladder-teapot-7")), SignedIn)
    assert [enter(kit, "maya", guess(100 + n), somewhere(n)) for n in range(5)] == [WRONG] * 5
    assert enter(kit, "maya", NEW, somewhere(9)) == LOCKED, "in the same step in which it was opened"


@pytest.mark.covers("E27", "C-2")
def test_somebody_who_changes_their_password_is_not_locked_by_what_was_guessed_before(make_kit: Make) -> None:
    kit = owned(make_kit, password={"preset": "mlps2"})
    inside = enter(kit, "maya", OLD)
    for n in range(5):
        enter(kit, "maya", guess(n), somewhere(n))
    session = kit.read(lambda tx: sessions.session_of(tx, inside.token))
    assert session is not None
    from keyback.application.account import change_password

    found = change_password.change(kit.services, session[0], OLD, Secret("Lantern-harbour-17"), HERE)
    assert not kit.run(found)
    assert isinstance(enter(kit, "maya", Secret("Lantern-harbour-17"), somewhere(9)), SignedIn)
    pid = person_id(kit)
    kit.write(lambda tx: password_attempts.unlock(tx, pid))  # nothing is left to open, and it opens nothing else


@pytest.mark.covers("E27", "D1", "D15")
def test_five_wrong_ones_are_five_wherever_they_fall(make_kit: Make) -> None:
    """Four on one side of a day's end and one on the other are five in a row."""
    kit = owned(make_kit, password={"preset": "mlps2"})
    assert both(kit, 0, somewhere(0)) == WRONG
    kit.clock.forward(hours=23, minutes=59)
    assert [both(kit, n, somewhere(n)) for n in (1, 2, 3)] == [WRONG] * 3
    kit.clock.forward(minutes=2)
    assert both(kit, 4, somewhere(4)) == WRONG
    assert both(kit, 5, somewhere(5)) == LOCKED


@pytest.mark.covers("E27", "D1")
def test_a_burst_on_all_sides_is_compared_five_times(database_url: str, make_kit: Make) -> None:
    kit = owned(make_kit, url=database_url, password={"preset": "mlps2"})
    s = kit.services

    async def burst() -> list[Any]:
        tries = (sign_in.sign_in(s.db, s.gate, "maya", guess(n), somewhere(n), s.rules) for n in range(30))
        return await asyncio.gather(*tries)

    answers = kit.run(burst())
    assert answers.count(WRONG) == 5
    assert answers.count(LOCKED) == 25
