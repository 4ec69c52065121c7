"""Faults on the way: relays that fail, crashes between two steps, rows that cannot be read, systems that break."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from keyback.application.ports.channels import Receipt
from keyback.application.ports.connectors import Outcome, Plan, Step
from keyback.application.ports.storage import ImportedAccount, Job
from keyback.application.recovery import apply, resolve, start
from keyback.application.recovery.apply import LEASE
from keyback.application.signin.sessions import SignedIn
from keyback.bootstrap import build, close
from keyback.domain.challenges import challenge as ch
from keyback.domain.recovery.case import State
from keyback.domain.units import HOUR
from keyback.storage.database import SqlDatabase
from keyback.testing.mailbox import Mailbox
from keyback.worker import Worker
from tests.support.cheaper import cheap_hashing
from tests.support.kit import Clock, Kit, person
from tests.support.steps import (
    HERE,
    NEW,
    accept,
    ask,
    begin,
    case_of,
    choose,
    drain,
    fit,
    proven,
    secrets_of,
    set_password,
    sign_in,
    types,
)

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
CRASHER = Path(__file__).parent / "crash.py"


def kill(kit: Kit, keyring: Any, point: str) -> None:
    """Runs a real worker in a process of its own, which is gone at `point` without a chance to tidy up."""
    line = "\n".join(f"{k}:{base64.urlsafe_b64encode(keyring._keys[k]).decode()}" for k in keyring.ids)
    plan = {
        "point": point,
        "url": kit.settings.database_url,
        "port": kit.settings.mail.port,
        "data_dir": str(kit.settings.data_dir),
        "keyring": line,
        "now": kit.clock.now,
    }
    done = subprocess.run(
        [sys.executable, str(CRASHER)], input=json.dumps(plan), text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 9, done.stderr[-2000:]


# ── mail ────────────────────────────────────────────────────────────────────


@pytest.mark.covers("K7", "R-6")
def test_a_greylisted_mail_is_sent_later_and_the_same(make_kit: Make) -> None:
    with Mailbox() as mailbox:
        kit = make_kit(mail={"port": mailbox.port})
        kit.write(lambda tx: tx.people.save_imported([person("maya")]))
        mailbox.greylist(5)
        started = ask(kit, "maya")
        worker = Worker(kit.services)
        for _ in range(10):
            kit.run(worker.drain())
            kit.clock.forward(minutes=3)
        (mail,) = mailbox.messages()
        assert (worker.tally.messages["again"], worker.tally.messages["sent"]) == (5, 1)
        assert accept(kit, mail["links"][0].rsplit("/", 1)[1]) is None
        assert case_of(kit, started.handle) is not None
        assert kit.read(lambda tx: tx.outbox.depth()) == {}


@pytest.mark.slow
@pytest.mark.covers("K7", "R-6")
@pytest.mark.parametrize("asleep", [False, True])
def test_after_its_time_a_mail_is_dropped_and_noted(make_kit: Make, asleep: bool) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    tray.answer = Receipt("temporary", "greylisted")
    ask(kit, "maya")
    drain(kit)
    if asleep:  # nobody worked while its time ran out
        kit.clock.forward(hours=1)
        tray.messages.clear()
        drain(kit)
        assert tray.messages == []
    else:
        for _ in range(40):
            kit.clock.forward(minutes=2)
            drain(kit)
        assert 5 <= len(tray.messages) < 20
        assert len({x.id for x in tray.messages}) == 1
    assert types(kit).count("letter_dropped") == 1
    assert kit.read(lambda tx: tx.outbox.depth()) == {"mail/dead": 1}
    tray.answer = Receipt("sent")
    kit.clock.forward(minutes=3)
    ask(kit, "maya")  # and asking anew works
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None


@pytest.mark.covers("K9")
def test_a_reply_that_is_lost_brings_the_same_mail_again(make_kit: Make) -> None:
    with Mailbox() as mailbox:
        kit = make_kit(mail={"port": mailbox.port})
        kit.write(lambda tx: tx.people.save_imported([person("maya")]))
        mailbox.cut_after_data(1)
        ask(kit, "maya")
        drain(kit)
        kit.clock.forward(minutes=5)
        drain(kit)
        found = mailbox.messages()
        assert len(found) >= 2
        assert len({(m["message_id"], m["text"], m["html"], m["subject"]) for m in found}) == 1


@pytest.mark.slow
@pytest.mark.covers("Q1", "Q2", "K9")
@pytest.mark.parametrize("point", ["claimed", "sent"])
def test_a_worker_that_is_killed_loses_no_mail_and_changes_none(
    make_kit: Make, keyring: Any, database_url: str, point: str
) -> None:
    with Mailbox() as mailbox:
        kit = make_kit(url=database_url, mail={"port": mailbox.port})
        kit.write(lambda tx: tx.people.save_imported([person("maya"), person("noor")]))
        for who in ("maya", "noor"):
            ask(kit, who)
        kill(kit, keyring, point)
        before = mailbox.messages()
        assert len(before) == (2 if point == "sent" else 0)
        kit.clock.forward(minutes=3)  # the lease of the dead one runs out
        drain(kit)
        for who in ("maya", "noor"):
            found = mailbox.wait_for(f"{who}@example.com")
            assert len(found) == (2 if point == "sent" else 1)
            assert len({(m["message_id"], m["text"], m["html"]) for m in found}) == 1
        token = mailbox.messages("maya@example.com")[-1]["links"][0].rsplit("/", 1)[1]
        assert accept(kit, token) is None
        drain(kit)
        assert kit.read(lambda tx: tx.outbox.depth()) == {}


POISON: list[Any] = [
    {},
    {"letter": "recovery"},
    {"letter": "recovery", "person": "PERSON", "contact": "CONTACT"},
    {"letter": "greetings", "person": "PERSON", "contact": "CONTACT"},
    {"letter": "logins", "person": "PERSON", "contact": "CONTACT", "logins": 7},
    {"letter": ["recovery"], "person": "PERSON", "contact": "CONTACT"},
    {"letter": "changed", "person": "PERSON", "contact": "CONTACT", "systems": [["only one"]]},
]


@pytest.mark.covers("Q10")
def test_letters_that_cannot_be_written_hold_up_no_other(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    ask(kit, "maya")
    kit.write(resolve.resolve)

    def put(tx: Any) -> None:
        who = tx.people.match(["maya"])["maya"][0]
        real = {"PERSON": who.person.id, "CONTACT": who.contacts[0].id}
        for n, body in enumerate(POISON):
            filled = {k: real.get(v, v) if isinstance(v, str) else v for k, v in body.items()}
            tx.outbox.put([Job(f"poison-{n}", "mail", filled, tx.now - 99, tx.now + HOUR)])
        tx.outbox.put([Job("poison-x", "mail", {}, tx.now - 99, tx.now + HOUR)])
        tx.conn.execute(text("UPDATE outbox SET body = '{' WHERE id = 'poison-x'"))

    kit.write(put)
    worker = drain(kit)
    assert [x.kind for x in tray.messages] == ["recovery"]
    assert worker.tally.messages == {"sent": 1, "again": 0, "dropped": len(POISON) + 1}
    assert kit.read(lambda tx: tx.outbox.depth()) == {"mail/dead": len(POISON) + 1}
    assert types(kit).count("letter_dropped") == len(POISON) + 1


# ── applying ────────────────────────────────────────────────────────────────


class Fake:
    """A connector whose answers are given; counts how often a password was really set."""

    name, title, url = "builtin", "Fake", None

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.plans: list[Plan] = []

    async def apply(self, plan: Plan) -> list[Outcome]:
        self.plans.append(plan)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    async def close(self) -> None:
        return None


@pytest.mark.slow
@pytest.mark.covers("Q2", "Q12", "N12", "INV-I1")
def test_a_crash_after_setting_and_before_noting_changes_the_password_once(
    make_kit: Make, keyring: Any, database_url: str
) -> None:
    with Mailbox() as mailbox:
        kit = make_kit(url=database_url, mail={"port": mailbox.port})
        kit.write(lambda tx: tx.people.save_imported([person("maya")]))
        set_password(kit, "maya")
        started = ask(kit, "maya")
        drain(kit)
        token = mailbox.wait_for("maya@example.com")[0]["links"][0].rsplit("/", 1)[1]
        assert accept(kit, token) is None
        case_id = case_of(kit, started.handle).id  # type: ignore[union-attr]
        choose(kit, case_id)
        account = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0].id
        kill(kit, keyring, "applied")
        set_by_the_dead = kit.read(lambda tx: tx.people.credential(account))
        assert kit.read(lambda tx: tx.cases.get(case_id)).state == State.APPLYING
        kit.clock.forward(seconds=16)
        drain(kit)
        assert kit.read(lambda tx: tx.people.credential(account)) == set_by_the_dead
        assert kit.read(lambda tx: tx.cases.get(case_id)).state == State.CLOSED
        assert isinstance(sign_in(kit, "maya", NEW), SignedIn)
        assert types(kit).count("password_chosen") == 1
        assert types(kit).count("account_settled") == 1
        assert kit.read(lambda tx: tx.outbox.depth()) == {}


@pytest.mark.slow
@pytest.mark.covers("Q10", "INV-I9", "INV-I12")
@pytest.mark.parametrize("fault", ["raises", "unsealable", "hangs on", "asleep"])
def test_whatever_breaks_a_case_comes_to_an_end_and_its_person_can_begin_anew(make_kit: Make, fault: str) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"), person("noor"))
    set_password(kit, "noor")
    fake = Fake(RuntimeError("canary") if fault == "raises" else Outcome(Step.SET, "retry", "unavailable"))
    real = kit.services.connectors
    case_id = proven(kit, tray)
    choose(kit, case_id)
    if fault == "unsealable":
        kit.write(lambda tx: tx.conn.execute(text("UPDATE outbox SET sealed = :s"), {"s": b"\1\2k1 not what it was"}))
    else:
        kit.services = replace(kit.services, connectors={"builtin": fake})  # type: ignore[dict-item]
    if fault == "asleep":
        kit.clock.forward(minutes=11)
    for _ in range(12):
        drain(kit)
        kit.clock.forward(minutes=1)
    case = kit.read(lambda tx: tx.cases.get(case_id))
    assert case.settled
    assert {(r.result in ("refused", "unsure"), r.code) for r in case.results} == {(True, "choose_again")}
    assert kit.read(lambda tx: tx.outbox.depth()) == {}
    if fault == "asleep":
        assert fake.plans == []  # a password that nobody waits for any more is not set

    kit.services = replace(kit.services, connectors=real)
    choose(kit, proven(kit, tray), submission="s2")
    drain(kit)
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn)
    assert "canary" not in str(types(kit))


@pytest.mark.covers("Q10")
def test_a_malformed_apply_row_ends_dead(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit)
    kit.write(lambda tx: tx.outbox.put([Job("poison-1", "apply", {"x": 1}, tx.now, tx.now + HOUR, b"sealed canary")]))
    worker = drain(kit)
    assert worker.tally.failures == 0
    assert kit.read(lambda tx: tx.outbox.depth()) == {"apply/dead": 1}
    sealed = kit.read(lambda tx: tx.conn.execute(text("SELECT sealed FROM outbox")).scalar_one())
    assert sealed is None


@pytest.mark.covers("N11", "INV-I12")
def test_each_system_has_its_own_result(make_kit: Make) -> None:

    kit = make_kit()
    two = (ImportedAccount("builtin", "maya", "maya"), ImportedAccount("crm", "7", "maya.crm"))
    tray = fit(kit, replace(person("maya"), accounts=two))
    good, slow = (
        Fake(Outcome(Step.SET, "done")),
        Fake(Outcome(Step.SET, "retry", "unavailable"), Outcome(Step.SET, "done")),
    )
    kit.services = replace(kit.services, connectors={"builtin": good, "crm": slow})  # type: ignore[dict-item]
    case_id = proven(kit, tray)
    choose(kit, case_id)
    drain(kit)
    case = kit.read(lambda tx: tx.cases.get(case_id))
    assert sorted(r.result for r in case.results) == ["done", "working"]
    assert (case.state, [x.kind for x in tray.messages].count("changed")) == (State.APPLYING, 0)
    kit.clock.forward(minutes=1)
    drain(kit)
    case = kit.read(lambda tx: tx.cases.get(case_id))
    assert ({r.result for r in case.results}, case.state) == ({"done"}, State.CLOSED)
    assert (len(good.plans), len(slow.plans)) == (1, 2)
    assert len({p.job_id for p in slow.plans}) == 1
    assert [p.attempt for p in slow.plans] == [1, 2]


@pytest.mark.covers("Q12")
def test_an_old_worker_cannot_settle_what_a_newer_one_has(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    choose(kit, case_id)
    (old,) = kit.write(lambda tx: tx.outbox.claim("apply", 1, LEASE))
    kit.clock.forward(minutes=2)
    drain(kit)
    late = Fake(Outcome(Step.SET, "refused", "not_permitted"))
    assert kit.run(apply.apply_one(kit.services.db, {"builtin": late}, old)) == "lost"  # type: ignore[dict-item]
    case = kit.read(lambda tx: tx.cases.get(case_id))
    assert [r.result for r in case.results] == ["done"]
    assert kit.read(lambda tx: tx.people.credential(old.body["account"])) is not None


# ── two nodes, clocks ───────────────────────────────────────────────────────


@pytest.mark.covers("Q12", "Q14")
def test_two_nodes_share_the_work_and_one_of_them_a_day_ahead_changes_nothing(
    make_kit: Make, make_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:

    url = make_database("postgres")
    kit = make_kit(url=url)
    people = [person(f"p{n}") for n in range(40)]
    tray = fit(kit, *people)

    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 86_400 * 10**9)
    monkeypatch.setattr(time, "time", lambda: real() / 1e9 + 86_400)

    async def go() -> None:
        with cheap_hashing():
            one, other = build(kit.settings), build(kit.settings)  # both by the database's time
        for s in (one, other):
            await s.channel.close()
        nodes = [Worker(replace(s, channel=tray), batch=5) for s in (one, other)]
        for n in range(40):
            there = time.time_ns() // 1_000_000
            await start.write_down(
                one.db, one.seals, f"p{n}", journey="password", system="", locale="en", origin=HERE, now=there
            )
        await asyncio.gather(*(w.drain() for w in nodes))
        await asyncio.gather(*(w.drain() for w in nodes))
        for s in (one, other):
            await close(replace(s, channel=tray))

    kit.run(go())
    assert sorted(x.to for x in tray.messages) == sorted(f"p{n}@example.com" for n in range(40))
    now = real() // 1_000_000
    for x in tray.messages:
        assert abs(int(str(x.content.link_expires_at)) - now - ch.LINK_LIFE) < 60_000


@pytest.mark.covers("Q12")
def test_two_nodes_that_open_a_case_for_one_person_agree(make_kit: Make, make_database: Callable[[str], str]) -> None:

    url = make_database("postgres")
    kit = make_kit(url=url)
    tray = fit(kit, person("maya"))
    for _ in range(6):
        ask(kit, "maya")

    async def go() -> int:
        nodes: list[Any] = [kit.services.db, SqlDatabase(url, kit.services.seals, clock=kit.clock)]  # type: ignore[arg-type]
        undone = 0
        for _ in range(4):
            found = await asyncio.gather(
                *(db.write(lambda tx: resolve.resolve(tx, 1)) for db in nodes), return_exceptions=True
            )
            undone += sum(isinstance(f, Exception) for f in found)
        await nodes[1].close()
        return undone

    kit.run(go())
    drain(kit)
    assert kit.read(lambda tx: tx.intakes.waiting()) == 0
    assert len(kit.read(lambda tx: tx.cases.listed(state=None, limit=10))) == 1
    assert 1 <= len(tray.messages) <= 3
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None


@pytest.mark.covers("Q14")
def test_a_clock_that_jumps_back_kills_no_link(make_kit: Make) -> None:
    kit = make_kit(clock=Clock())
    tray = fit(kit, person("maya"))
    _, token, _, _ = begin(kit, tray)
    kit.clock.forward(hours=-24)
    assert accept(kit, token) is None
