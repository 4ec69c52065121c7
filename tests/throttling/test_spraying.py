"""Guessing that no single account shows: one alarm, and no flood of mails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.signin import alerts
from keyback.application.throttling import spraying
from keyback.application.throttling.spraying import Thresholds
from keyback.domain.throttling.password_attempts import BUDGET
from keyback.worker import Worker
from tests.support.guessing import enter, guess, owned, somewhere
from tests.support.kit import Kit, person
from tests.support.live import logged
from tests.support.steps import drain, fit, set_password, sign_in

Make = Callable[..., Kit]
FEW = {"failing_names": 6, "locked_names": 3}


def watch(kit: Kit) -> tuple[Worker, str]:
    worker = Worker(kit.services)
    with logged() as log:
        kit.run(worker.upkeep.watch())
    return worker, log.getvalue()


@pytest.mark.slow
@pytest.mark.covers("D6")
def test_a_little_failing_of_many_is_one_alarm_an_hour(database_url: str, make_kit: Make) -> None:
    kit = owned(make_kit, url=database_url, limits=FEW)
    kit.write(lambda tx: tx.people.save_imported([person(f"person{n}") for n in range(4)]))
    for n in range(6):
        sign_in(kit, f"person{n}", guess(0), somewhere(n))  # some of them are nobody's
    worker, log = watch(kit)
    assert worker.tally.names == {"failing": 6, "locked": 0}
    assert "many_failing" not in log
    sign_in(kit, "person6", guess(0), somewhere(6))
    assert [watch(kit)[1].count("many_failing") for _ in range(3)] == [1, 0, 0]
    assert "person" not in watch(kit)[1]
    kit.clock.forward(minutes=61)
    for n in range(8):
        sign_in(kit, f"person{n}", guess(1), somewhere(n))
    assert watch(kit)[1].count("many_failing") == 1, "it goes on, so it is said again"
    kit.clock.forward(minutes=61)
    assert watch(kit)[0].tally.names == {"failing": 0, "locked": 0}


@pytest.mark.covers("D6")
def test_much_failing_of_one_is_none(make_kit: Make) -> None:
    kit = owned(make_kit, limits=FEW)
    for n in range(40):
        sign_in(kit, "maya", guess(n), somewhere(n))
    worker, log = watch(kit)
    assert worker.tally.names["failing"] == 1
    assert "many_" not in log


@pytest.mark.slow
@pytest.mark.covers("J2")
@pytest.mark.parametrize("preset", ["mlps2", "nist"])
def test_many_locked_at_once_are_one_alarm(database_url: str, make_kit: Make, preset: Any) -> None:
    kit = owned(make_kit, url=database_url, password={"preset": preset}, limits={**FEW, "failing_names": 1000})
    tries = 5 if preset == "mlps2" else BUDGET["stranger"]
    for who in ("maya", "nobody", "noone"):
        for n in range(tries):
            enter(kit, who, guess(n), somewhere(n))
    worker, log = watch(kit)
    assert worker.tally.names["locked"] == 3
    assert "many_locked" not in log
    for n in range(tries):
        enter(kit, "somebody", guess(n), somewhere(n))
    assert [watch(kit)[1].count("many_locked") for _ in range(2)] == [1, 0]


@pytest.mark.slow
@pytest.mark.covers("J2", "J5")
def test_beyond_some_nobody_is_mailed_and_later_ones_are_again(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "MAX_TOLD", 3)
    kit = make_kit()
    tray = fit(kit, *(person(f"person{n}") for n in range(8)))
    for n in range(8):
        set_password(kit, f"person{n}", job_id=f"job{n}")
        for k in range(5):
            sign_in(kit, f"person{n}", guess(k), somewhere(n))
    watch(kit)
    drain(kit)
    told = {x.name for x in tray.messages if x.kind == "tries"}
    assert len(told) == 3
    late = next(n for n in range(8) if f"Person{n}" not in told)
    kit.clock.forward(minutes=61)
    sign_in(kit, f"person{late}", guess(9), somewhere(late))
    watch(kit)
    drain(kit)
    assert len([x for x in tray.messages if x.kind == "tries"]) == 4


def test_thresholds_are_those_of_the_settings(make_kit: Make) -> None:
    assert make_kit(limits=FEW).services.alarms == Thresholds(6, 3)
    assert make_kit().services.alarms == Thresholds()
    kit = make_kit()
    assert kit.write(lambda tx: spraying.look(tx, Thresholds())).failing == 0
