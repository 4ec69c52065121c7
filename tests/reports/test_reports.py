"""Figures out of the audit log: each row counts once, whatever breaks, and none points to a person."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from keyback.application.desk import approvals, workbench
from keyback.application.policy.coverage import Offer
from keyback.application.recovery import evidence
from keyback.application.reports import make
from keyback.application.reports.fold import fold, share_of, time_class
from keyback.application.reports.report import Period, Report, build, lines
from keyback.domain.errors import BadInput
from keyback.domain.operators.roles import Role
from keyback.domain.recovery.events import Note
from tests.support.console import URL, staffed, waits
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.steps import NEW, ask, choose, drain, fit, proven, sign_in

Make = Callable[..., Kit]


def fold_all(kit: Kit) -> None:
    while kit.write(make.fold_next):
        pass


def report(kit: Kit) -> Report:
    fold_all(kit)
    today = date.fromtimestamp(kit.clock() / 1000)
    return kit.read(lambda tx: build(tx, Period.of("", "", today, 90)))


def row(n: int, stream: str, kind: str, minutes: float = 0, **data: Any) -> dict[str, Any]:
    return {"seq": n, "at": int(minutes * 60_000), "stream": stream, "type": kind, "data": json.dumps(data)}


@pytest.mark.both
def test_a_recovery_is_followed_from_its_request_to_the_first_sign_in(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"), person("omar"))
    case_id = proven(kit, tray)
    kit.clock.forward(minutes=2)
    choose(kit, case_id, NEW)
    drain(kit)
    kit.clock.forward(minutes=1)
    assert sign_in(kit, "maya", NEW).token
    assert sign_in(kit, "maya", NEW).token, "only the first one counts"
    ask(kit, "omar")
    drain(kit)
    r = report(kit)
    assert list(r.sums["funnel"].values()) == [2, 1, 1, 1, 1]
    assert (r.alone, r.back, r.sum("solved", "desk")) == (100.0, 0.0, 0)
    assert r.times["to_sign_in"].count == 1
    assert r.times["to_sign_in"].median is None, "one recovery would be somebody's"
    assert r.sum("deliveries", "mail/in_time") > 1


@pytest.mark.both
@pytest.mark.covers("Q10")
def test_each_row_counts_once_though_workers_break_off(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    notes = [Note("caller_check_failed", {}) for _ in range(500)]
    for n in range(0, 500, 50):
        kit.write(lambda tx, n=n: tx.audit.record("calls", notes[n : n + 50]))  # type: ignore[misc]

    class Broken(Exception):
        pass

    def breaks(tx: Any) -> int:
        make.fold_next(tx, UTC, 37)
        raise Broken

    async def workers() -> int:
        acts = [lambda tx: make.fold_next(tx, UTC, 37), breaks] * 4
        done = await asyncio.gather(*(kit.services.db.write(a) for a in acts), return_exceptions=True)
        return sum(d for d in done if isinstance(d, int))

    while kit.run(workers()):
        pass
    assert report(kit).sum("callers", "refused") == 500


def test_the_same_rows_in_pieces_give_the_same_figures() -> None:
    rows = [
        row(1, "c1", "requested", 0, person_id="p1", journey="password"),
        row(2, "c1", "proof_accepted", 1, sufficient=True),
        row(3, "c1", "hold_started", 2),
        row(4, "c1", "approved", 1442, by="hold"),
        row(5, "c1", "password_chosen", 1450),
        row(6, "c1", "recovered", 1451),
        row(7, "p1", "signed_in", 1452),
        row(8, "c2", "requested", 3000, person_id="p1", journey="password"),
        row(9, "c2", "case_claimed", 3001),
        row(10, "c2", "cancelled", 3002, by="owner"),
    ]
    whole = fold(rows, [], UTC)
    known: dict[str, Any] = {}
    figures = whole.figures.__class__()
    for r in rows:
        piece = fold([r], list(known.values()), UTC)
        figures += piece.figures
        known = {k: v for k, v in (known | piece.kept).items() if k not in piece.over}
    assert figures == whole.figures
    assert figures["1970-01-01", "to_password", time_class(11 * 60_000)] == 1, "the hold is left out"
    assert figures["1970-01-02", "hold_time", time_class(1440 * 60_000)] == 1
    assert figures["1970-01-01", "back", "alone"] == 1
    assert figures["1970-01-03", "ends", "canceled_owner"] == 1
    assert not known, "what ended is forgotten"


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_medians_are_right_within_five_per_cent(share: float) -> None:
    times = [int(1000 * 1.07**n) for n in range(20, 160)]
    classes: dict[str, int] = {}
    for t in times:
        classes[time_class(t)] = classes.get(time_class(t), 0) + 1
    exact = statistics.quantiles([t / 1000 for t in times], n=100, method="inclusive")[int(share * 100) - 1]
    found = share_of(classes, share)
    assert found
    assert abs(found - exact) / exact < 0.08
    assert share_of({}, 0.5) is None


@pytest.mark.both
def test_desk_holds_owners_and_pairs_are_counted(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url, public_url=URL)
    staff = staffed(kit)
    started, case_id = waits(staff)
    version = kit.read(lambda tx: tx.cases.get(case_id)).version
    agent, approver = staff.actor(Role.AGENT), staff.actor(Role.APPROVER)
    kit.write(lambda tx: workbench.claim(tx, agent, case_id))
    kit.write(
        lambda tx: workbench.recommend(tx, agent, case_id, started.handle, version, "Fits.", "", kit.services.policy)
    )
    version = kit.read(lambda tx: tx.cases.get(case_id)).version
    kit.write(lambda tx: approvals.approve(tx, approver, case_id, started.handle, version, "Yes.", kit.services.policy))
    kit.clock.forward(hours=25)
    kit.write(evidence.release)
    choose(kit, case_id, NEW)
    drain(kit)
    r = report(kit)
    assert r.sums["pairs"] == {f"{approver.operator.id}/{agent.operator.id}": 1}
    assert (r.sum("holds", "started"), r.sum("holds", "waited")) == (1, 1)
    assert (r.alone, r.first_contact) == (0.0, 100.0)
    assert r.saved(60, 2) == 0


def hours_until(kit: Kit, hour: int) -> int:
    """From now to some minutes past a full hour, in UTC."""
    return (hour - datetime.fromtimestamp(kit.clock() / 1000, UTC).hour) % 24


@pytest.mark.both
def test_the_queue_and_everybody_are_looked_at_once_a_day(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url, public_url=URL)
    staff = staffed(kit)
    kit.write(lambda tx: tx.people.save_imported([person("lost")]))
    lost = person_id(kit, "lost")
    for c in kit.read(lambda tx: tx.contacts.of_person(lost)):
        kit.write(lambda tx, c=c: tx.contacts.refuse(c.id))  # type: ignore[misc]
    waits(staff)
    kit.clock.forward(minutes=90)
    kit.write(make.look_at_queue)
    offer = Offer(kit.services.policy, kit.services.proofs)
    kit.clock.forward(hours=hours_until(kit, 12))
    assert not kit.run(make.look_at_everybody(kit.services.db, offer)), "not in the hours of work"
    kit.clock.forward(hours=hours_until(kit, 2))
    assert [kit.run(make.look_at_everybody(kit.services.db, offer)) for _ in range(3)] == [True, False, False]
    kit.clock.forward(hours=24)
    assert kit.run(make.look_at_everybody(kit.services.db, offer))
    r = report(kit)
    assert max(r.days["oldest_case/minutes"].values()) == 90
    assert len(r.days["ways_back/none"]) == 2


def test_a_census_that_broke_off_is_done_again(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    kit.clock.forward(hours=hours_until(kit, 2))
    day = make.day_of(kit.clock(), UTC)
    assert kit.write(lambda tx: tx.reports.lease(f"census/{day}", tx.now + 3_600_000))
    offer = Offer(kit.services.policy, kit.services.proofs)
    assert not kit.run(make.look_at_everybody(kit.services.db, offer))
    kit.clock.forward(hours=1.1)
    assert kit.run(make.look_at_everybody(kit.services.db, offer))


@pytest.mark.both
def test_few_are_not_told_apart_and_nobody_is_named(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"))
    few = [Note("tries_told", {"account": "x"})] * 4 + [Note("locked_down", {})] * 5
    kit.write(lambda tx: tx.audit.record(person_id_of(tx), few))
    r = report(kit)
    assert r.sums["causes"] == {"wrong_passwords": -1, "locked_by_owner": 5}
    text = "\n".join(",".join(x) for x in lines(r))
    assert "causes,wrong_passwords,,<5" in text
    assert "maya" not in text.lower()
    assert person_id(kit, "maya") not in text


def person_id_of(tx: Any) -> str:
    return str(tx.people.match(["maya"])["maya"][0].person.id)


def test_periods_are_checked() -> None:
    today = date(2026, 11, 28)
    assert str(Period.of("", "", today, 7).first) == "2026-11-22"
    for first, last, code in (("x", "", "day"), ("2026-12-01", "", "order"), ("2020-01-01", "", "too_long")):
        with pytest.raises(BadInput, match=code):
            Period.of(first, last, today)
