"""From when and until when a second step asks for more at a recovery (ADR 23)."""

from __future__ import annotations

from typing import Any

import pytest

from keyback.domain.people.factor import COOLING_OFF, REMOVAL_GRACE, Factor, effective_factors
from keyback.domain.units import HOUR
from tests.support.each import each

DAY = 24 * HOUR


def factor(added: int, *, gone: int = 0, kind: Any = "totp", **more: Any) -> Factor:
    """Added at an instant, and removed at another one."""
    more = {"state": "removed" if gone else "active", **more}
    times = {"added_at": added, "usable_from": added + COOLING_OFF, "used_at": added + 1, "ended_at": gone}
    return Factor(f"{kind}{added}", "p", kind, "", **{**times, **more})


@pytest.mark.covers("F1", "N-R11")
@each("kind", ["totp", "passkey"])
def test_a_first_one_weighs_once_it_could_recover_and_for_a_while_after_it_went(kind: Any) -> None:
    first = factor(0, kind=kind)
    assert effective_factors([first], COOLING_OFF - 1) == ()
    assert effective_factors([first], COOLING_OFF) == effective_factors([first], 1000 * DAY) == (kind,)
    gone = factor(0, kind=kind, gone=10 * DAY)
    assert effective_factors([gone], 10 * DAY + REMOVAL_GRACE - 1) == (kind,)
    assert effective_factors([gone], 10 * DAY + REMOVAL_GRACE) == ()
    assert effective_factors([factor(0, kind=kind, gone=COOLING_OFF - 1)], COOLING_OFF - 1) == (), (
        "it went before it weighed"
    )


@pytest.mark.covers("N-R11")
def test_one_in_place_of_another_leaves_no_gap_however_often() -> None:
    chain = [factor(0, gone=10 * DAY), factor(10 * DAY - 1, gone=12 * DAY), factor(12 * DAY), factor(14 * DAY)]
    for now in range(COOLING_OFF, 20 * DAY, HOUR):
        known = [f for f in chain if f.added_at <= now]
        assert effective_factors(known, now), now
    assert effective_factors([factor(0, gone=10 * DAY), factor(10 * DAY + 2 * HOUR)], 10 * DAY + REMOVAL_GRACE + HOUR)
    at_once = [factor(0), factor(COOLING_OFF, kind="passkey")]
    assert effective_factors(at_once, COOLING_OFF) == ("totp", "passkey"), (
        "added in the moment in which the first one begins"
    )
    assert effective_factors([factor(0, gone=COOLING_OFF)], COOLING_OFF) == ("totp",), "and removed in it"
    late = [factor(0, gone=10 * DAY), factor(10 * DAY + REMOVAL_GRACE)]
    assert not effective_factors(late, 10 * DAY + REMOVAL_GRACE), "it is a first one again"


@pytest.mark.covers("F1")
def test_many_new_ones_weigh_no_sooner_than_the_first() -> None:
    new = [factor(n * HOUR, kind=kind) for n in range(20) for kind in ("totp", "passkey")]
    assert effective_factors(new, COOLING_OFF - 1) == ()
    assert set(effective_factors(new[::-1], COOLING_OFF)) == {"totp", "passkey"}


@pytest.mark.parametrize(
    "other",
    [
        factor(0, kind="recovery_codes"),
        factor(0, kind="security_questions"),
        factor(0, state="pending"),
        factor(0, gone=30 * DAY, used_at=0),
    ],
    ids=lambda f: f"{f.kind}-{f.state}",
)
def test_what_is_no_second_step_or_never_worked_weighs_nothing(other: Factor) -> None:
    assert effective_factors([other], 30 * DAY) == ()
    assert effective_factors([other, factor(29 * DAY)], 30 * DAY) == ()
    assert effective_factors([other, factor(DAY)], 30 * DAY) == ("totp",), "and hides no other"
