"""A password that is being applied when the database or the worker goes away is settled once both are back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.leases import LOOK_AGAIN_S
from keyback.application.notifications import notify
from keyback.application.ports.channels import Receipt
from keyback.application.ports.connectors import Outcome, Plan, Step
from keyback.application.ports.messages import StoppedMessage
from keyback.application.ports.storage import StorageDown
from keyback.application.recovery import apply
from keyback.domain.recovery.case import State
from keyback.worker import MAX_REST_S, Worker
from tests.support.kit import Kit, person
from tests.support.steps import ask, choose, drain, fit, proven

Make = Callable[..., Kit]


class Away:
    """A database that can go away and come back; it counts who asked meanwhile."""

    def __init__(self, db: Any) -> None:
        self._db, self.away, self.asked = db, False, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def write(self, fn: Any) -> Any:
        self._look()
        return await self._db.write(fn)

    async def read(self, fn: Any) -> Any:
        self._look()
        return await self._db.read(fn)

    def _look(self) -> None:
        if self.away:
            self.asked += 1
            raise StorageDown("away")


class System:
    """A system that is at work while `meanwhile` happens."""

    name = title = "builtin"

    def __init__(self, meanwhile: Callable[[], Any], *answers: Outcome | Exception) -> None:
        self._meanwhile, self.answers, self.plans = meanwhile, list(answers), list[Plan]()

    async def apply(self, plan: Plan) -> list[Outcome]:
        self.plans.append(plan)
        self._meanwhile()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    async def close(self) -> None:
        return None


def waiting(kit: Kit) -> tuple[str, Any]:
    """A case whose password waits to be applied, and the job."""
    case_id = proven(kit, fit(kit, person("maya")))
    choose(kit, case_id)
    (job,) = kit.write(lambda tx: tx.outbox.claim("apply", 1, apply.LEASE))
    return case_id, job


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.01)


@pytest.mark.covers("Q4", "INV-I12")
@pytest.mark.parametrize("answer", [Outcome(Step.SET, "done"), Outcome(Step.SET, "refused", "policy_rejected")])
def test_what_a_system_said_is_kept_until_the_database_is_back(make_kit: Make, answer: Outcome) -> None:
    kit = make_kit()
    case_id, job = waiting(kit)
    db = Away(kit.services.db)

    def leave() -> None:
        db.away = True

    system = System(leave, answer)

    async def go() -> str:
        task = asyncio.create_task(apply.apply_one(db, {"builtin": system}, job))
        await until(lambda: db.asked >= 2)  # it goes on asking
        db.away = False
        return await task

    assert kit.run(go()) == answer.status
    case = kit.read(lambda tx: tx.cases.get(case_id))
    assert [r.result for r in case.results] == [answer.status]
    assert len(system.plans) == 1
    assert kit.read(lambda tx: tx.outbox.claim("apply", 1, 1)) == []


@pytest.mark.covers("Q4")
def test_a_job_that_could_not_be_read_is_handed_back_at_once(make_kit: Make) -> None:
    kit = make_kit()
    _, job = waiting(kit)
    db, system = Away(kit.services.db), System(lambda: None, Outcome(Step.SET, "done"))
    db.away = True

    async def go() -> str:
        task = asyncio.create_task(apply.apply_one(db, {"builtin": system}, job))
        await until(lambda: db.asked >= 3)
        db.away = False
        return await task

    assert kit.run(go()) == "working"
    assert system.plans == []
    (again,) = kit.write(lambda tx: tx.outbox.claim("apply", 1, apply.LEASE))  # no clock was moved
    assert (again.id, again.fence) == (job.id, job.fence + 1)


@pytest.mark.covers("Q4")
def test_a_database_that_is_away_for_the_system_too_is_asked_again(make_kit: Make) -> None:
    kit = make_kit()
    _, job = waiting(kit)
    system = System(lambda: None, StorageDown("away"), Outcome(Step.SET, "done"))
    assert kit.run(apply.apply_one(kit.services.db, {"builtin": system}, job)) == "working"
    kit.clock.forward(minutes=1)
    (again,) = kit.write(lambda tx: tx.outbox.claim("apply", 1, apply.LEASE))
    assert kit.run(apply.apply_one(kit.services.db, {"builtin": system}, again)) == "done"
    assert [p.attempt for p in system.plans] == [1, 2]


@pytest.mark.covers("Q18")
def test_a_process_that_ends_waits_for_no_database(make_kit: Make) -> None:
    kit = make_kit()
    _, job = waiting(kit)
    db = Away(kit.services.db)

    def leave() -> None:
        db.away = True

    with pytest.raises(StorageDown):
        kit.run(apply.apply_one(db, {"builtin": System(leave, Outcome(Step.SET, "done"))}, job, lambda: True))


@pytest.mark.covers("Q24", "Q12")
def test_what_came_too_late_settles_nothing_twice(make_kit: Make) -> None:
    kit = make_kit()
    case_id, job = waiting(kit)
    db = Away(kit.services.db)

    def leave() -> None:
        db.away = True

    async def go() -> str:
        task = asyncio.create_task(apply.apply_one(db, {"builtin": System(leave, Outcome(Step.SET, "done"))}, job))
        await until(lambda: db.asked >= 1)
        kit.clock.forward(minutes=1)
        drain_other = await kit.services.db.write(lambda tx: tx.outbox.claim("apply", 1, apply.LEASE))
        assert [j.id for j in drain_other] == [job.id]  # another worker took it up
        db.away = False
        return await task

    assert kit.run(go()) == "lost"
    assert kit.read(lambda tx: tx.cases.get(case_id)).state == State.APPLYING


def test_a_lease_is_short_and_renewed_while_a_system_is_at_work(make_kit: Make, monkeypatch: Any) -> None:
    kit = make_kit()
    _, job = waiting(kit)
    monkeypatch.setattr(apply, "LEASE", 80)
    before = kit.read(lambda tx: tx.outbox.claim("apply", 1, 1))
    assert before == []

    class Slow(System):
        async def apply(self, plan: Plan) -> list[Outcome]:
            kit.clock.forward(minutes=1)  # past the end of what it was given

            def due() -> bool:
                row = kit.services.db.engine  # type: ignore[attr-defined]
                with row.connect() as c:
                    return int(c.exec_driver_sql("SELECT due_at FROM outbox").scalar_one()) > kit.clock.now

            await until(due)
            return await super().apply(plan)

    done = apply.apply_one(kit.services.db, {"builtin": Slow(lambda: None, Outcome(Step.SET, "done"))}, job)
    assert kit.run(done) == "done"


def test_nobody_waits_longer_than_a_quarter_of_a_minute() -> None:
    assert apply.LEASE <= 15_000
    assert MAX_REST_S <= 2
    assert LOOK_AGAIN_S <= 1


@pytest.mark.covers("Q1", "K9")
def test_letters_that_were_sent_while_the_database_was_away_are_not_sent_again(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    ask(kit, "maya")
    db = Away(kit.services.db)
    send = tray.send

    async def sending(batch: Any) -> Any:
        db.away = True
        return await send(batch)

    tray.send = sending  # type: ignore[method-assign]
    worker = Worker(replace(kit.services, db=db))  # type: ignore[type-var]

    async def go() -> None:
        await worker._resolve()
        task = asyncio.create_task(worker._send())
        await until(lambda: db.asked >= 2)
        db.away = False
        await task

    kit.run(go())
    tray.send = send  # type: ignore[method-assign]
    kit.clock.forward(minutes=5)
    drain(kit)
    assert len(tray.messages) == 1
    assert worker.tally.messages["sent"] == 1


@pytest.mark.covers("C-9")
def test_letters_whose_time_is_over_after_a_restore_are_forgotten_and_not_dead(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"), person("noor"))
    kit.write(lambda tx: notify.notify_contacts(tx, _id(tx, "maya"), told(tx)))
    kit.clock.forward(hours=24 * 30)  # the backup is a month old
    worker = drain(kit)
    assert tray.messages == []
    assert kit.read(lambda tx: tx.outbox.depth()) == {}
    assert worker.tally.messages["dropped"] == 1
    rows = kit.read(lambda tx: tx.audit.rows(limit=1000))
    assert [r["type"] for r in rows].count("letter_dropped") == 1
    tray.answer = Receipt("temporary", "greylisted")
    kit.write(lambda tx: notify.notify_contacts(tx, _id(tx, "maya"), told(tx)))
    drain(kit)
    kit.clock.forward(hours=24 * 30)  # this one had been tried before the backup was made
    drain(kit)
    assert kit.read(lambda tx: tx.outbox.depth()) == {}
    tray.answer = Receipt("permanent", "no_such_mailbox")
    kit.write(lambda tx: notify.notify_contacts(tx, _id(tx, "noor"), told(tx)))
    drain(kit)
    assert kit.read(lambda tx: tx.outbox.depth()) == {"mail/dead": 1}, "what was refused still is"


def told(tx: Any) -> StoppedMessage:
    return StoppedMessage(username="maya", at=tx.now, by="owner")


def _id(tx: Any, who: str) -> str:
    return str(tx.people.match([f"{who}@example.com"])[f"{who}@example.com"][0].person.id)
