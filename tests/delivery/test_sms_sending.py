"""SMS from the outbox to the phone: the code arrives, goes where it was meant to go, and costs no more than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from keyback.application import delivery
from keyback.application.clock import wall_clock
from keyback.application.notifications import notify
from keyback.application.notifications.notify import as_job
from keyback.application.ports.messages import CONTENTS, ChangedMessage, HoldMessage, MessageKind, StoppedMessage
from keyback.application.ports.storage import Job
from keyback.domain.challenges.challenge import Challenge, short_code
from keyback.domain.people.person import Contact
from keyback.storage.sql.schema import accounts
from keyback.testing.phone import Phone
from keyback.worker import Worker
from tests.support.kit import Clock, Kit, person

NUMBER, OTHER = "+8613800138000", "+85251234567"


@pytest.fixture
def phone() -> Iterator[Phone]:
    phone = Phone()
    with phone.serving() as url:
        phone.url = url  # type: ignore[attr-defined]
        yield phone


@pytest.fixture
def kit(make_kit: Callable[..., Kit], database_url: str, phone: Phone) -> Kit:
    return with_phone(make_kit, database_url, phone)


def with_phone(make_kit: Callable[..., Kit], database_url: str, phone: Phone, **more: Any) -> Kit:
    """Whether an answer comes in time is up to the machine, and what did not is paid for: so there is no time to keep
    (`timeout_s`) but for who asks for one."""
    url = phone.url  # type: ignore[attr-defined]
    sms = {
        "kind": "http", "url": url, "secret": phone.secret, "timeout_s": 30,
        "prefixes": ["+86", "+852"], "daily_per_prefix": 6, "daily_per_person": 3, **more,
    }  # fmt: skip
    kit = make_kit(
        url=database_url,
        clock=Clock(wall_clock()),
        sms=sms,
        im={"kind": "http", "url": url, "secret": phone.secret},
    )
    kit.write(lambda tx: tx.people.save_imported([person(f"p{n}") for n in range(4)]))
    return kit


def contact(tx: Any, person_id: str, address: str = NUMBER, channel: Any = "sms", **more: Any) -> Contact:
    one = Contact(tx.new_id(), person_id, channel, address, "backup", **{"origin": "person", **more})
    assert tx.contacts.add(one)
    return one


def ask(tx: Any, to: Contact, *, purpose: Any = "recovery", **more: Any) -> tuple[Job, str]:
    """A prompt to a contact and the letter that carries it; job and code."""
    kind = f"{to.channel}_code"
    key_id = tx.seals.primary
    values = {"key_id": key_id, "target": to.id, **more}
    p = Challenge(tx.new_id(), purpose, kind, to.person_id, tx.random(32), 0, tx.now, tx.now + 600_000, **values)
    tx.challenges.issue([p])
    content = CONTENTS[MessageKind(kind)].read({"username": "p", "asked_at": tx.now, "source": "", "device": ""})
    job = as_job(tx, content, to, tx.now + 600_000, challenge=p.id)
    tx.outbox.put([job])
    return job, short_code(tx.seals.derive("prompt", p.key_id), p.nonce)


def drain(kit: Kit) -> Worker:
    worker = Worker(kit.services)
    kit.run(worker.drain())
    return worker


def people(kit: Kit) -> list[str]:
    """Ids of p0 to p3."""
    return [kit.read(lambda tx, k=f"p{n}": _id(tx, k)) for n in range(4)]


def _id(tx: Any, key: str) -> str:
    return tx.conn.execute(select(accounts.c.person_id).where(accounts.c.username == key)).scalar_one()


def test_the_code_arrives_by_sms_and_by_message(kit: Kit, phone: Phone) -> None:
    me = people(kit)[0]
    sms = kit.write(lambda tx: ask(tx, contact(tx, me)))[1]
    im = kit.write(lambda tx: ask(tx, contact(tx, me, "maya.okafor", "im")))[1]
    drain(kit)
    assert sorted((m["channel"], m["to"], tuple(m["codes"])) for m in phone.messages) == [
        ("im", "maya.okafor", (im,)),
        ("sms", NUMBER, (sms,)),
    ]
    drain(kit)
    assert len(phone.messages) == 2


@pytest.mark.covers("F2", "F3", "N-R7")
def test_a_code_goes_to_the_confirmed_contact_that_it_was_made_for(kit: Kit, phone: Phone) -> None:
    me, other = people(kit)[:2]

    def write(tx: Any) -> None:
        mine, theirs = contact(tx, me), contact(tx, other, OTHER)
        waiting = contact(tx, me, "+8613800138001", state="pending")
        ask(tx, mine, target=theirs.id)  # the letter names another contact than the question
        ask(tx, waiting)  # not confirmed yet
        job, _ = ask(tx, theirs)
        body = {**job.body, "person": me}  # somebody else's contact
        tx.outbox.put([Job(tx.new_id(), "mail", body, tx.now, tx.now + 600_000)])
        tx.contacts.remove(theirs.id)

    kit.write(write)
    drain(kit)
    assert phone.messages == []
    code = kit.write(lambda tx: ask(tx, tx.contacts.of_person(me, states=["pending"])[0], purpose="enrol"))[1]
    drain(kit)
    assert [(m["to"], m["codes"]) for m in phone.messages] == [("+8613800138001", [code])]


def test_a_code_that_is_over_is_not_sent(kit: Kit, phone: Phone) -> None:
    me = people(kit)[0]

    def write(tx: Any) -> None:
        job, _ = ask(tx, contact(tx, me))
        tx.challenges.end(job.body["prompt"], "replaced")

    kit.write(write)
    drain(kit)
    assert phone.messages == []


def test_everybody_hears_of_a_hold_on_the_phone_too(kit: Kit, phone: Phone) -> None:
    me = people(kit)[0]

    def write(tx: Any) -> None:
        contact(tx, me)
        seen: Any = {"username": "p0", "at": tx.now, "source": "192.0.2.1", "device": "Firefox"}
        until = tx.now + 60_000
        notify.notify_contacts(tx, me, HoldMessage(until=until, over=False, **seen), cancels="case", until=until)
        notify.notify_contacts(tx, me, ChangedMessage(systems=(("builtin", "done"),), case="", **seen))

    kit.write(write)
    drain(kit)
    hold, changed = sorted(phone.messages, key=lambda m: m["kind"] != "hold")
    assert hold["links"][0].startswith("http://127.0.0.1:8080/l/")
    assert changed["links"] == ["http://127.0.0.1:8080/help#stop"]
    assert not hold["codes"]


@pytest.mark.covers("INV-I10")
def test_a_person_costs_no_more_than_allowed(kit: Kit, phone: Phone) -> None:
    me, other = people(kit)[:2]
    to = kit.write(lambda tx: contact(tx, me))
    worker = Worker(kit.services)
    for _ in range(8):
        kit.write(lambda tx: ask(tx, to))
    kit.run(worker.drain())
    assert len(phone.messages) == 3
    assert worker.tally.texts_withheld == {"person_spent": 5}
    kit.write(lambda tx: ask(tx, contact(tx, other, "+8613800138005")))
    kit.run(worker.drain())
    assert len(phone.messages) == 4, "one person's budget must not use up the prefix's"
    kit.clock.forward(hours=25)
    kit.write(lambda tx: ask(tx, to))
    kit.run(worker.drain())
    assert worker.tally.texts_withheld == {"person_spent": 5}
    notes = kit.read(lambda tx: list(tx.audit.of_stream(me)))
    assert sum("person_spent" in str(e) for e in notes) == 5


@pytest.mark.covers("INV-I10")
def test_a_prefix_costs_no_more_than_allowed_whoever_asks(kit: Kit, phone: Phone) -> None:
    everybody = people(kit)

    def write(tx: Any) -> None:
        for n, me in enumerate(everybody):
            to = contact(tx, me, f"+861380013800{n}")
            for _ in range(2):
                ask(tx, to)
        ask(tx, contact(tx, everybody[0], OTHER))  # another country still has its own
        ask(tx, contact(tx, everybody[1], "+12025550123"))  # nobody allowed this one

    kit.write(write)
    worker = drain(kit)
    assert [m["to"][:3] for m in phone.messages].count("+86") == 6
    assert OTHER in {m["to"] for m in phone.messages}
    assert worker.tally.texts_withheld == {"prefix_spent": 2, "prefix_not_allowed": 1}


@pytest.mark.covers("INV-I10")
def test_workers_side_by_side_spend_one_budget(kit: Kit, phone: Phone) -> None:
    me = people(kit)[0]

    def write(tx: Any) -> None:
        to = contact(tx, me)
        for _ in range(40):
            ask(tx, to)

    kit.write(write)
    s = kit.services

    async def all_at_once() -> None:
        rounds = (delivery.send_batch(s.db, s.channel, {}, s.public_url, lambda: 0.5, 5, s.spend) for _ in range(10))
        await asyncio.gather(*rounds)

    kit.run(all_at_once())
    drain(kit)
    assert len(phone.messages) == 3


def test_what_was_not_sent_is_not_paid_for(kit: Kit, phone: Phone) -> None:
    me = people(kit)[0]
    to = kit.write(lambda tx: contact(tx, me))
    phone.trouble = "busy"
    kit.write(lambda tx: ask(tx, to))
    for _ in range(5):
        drain(kit)
        kit.clock.forward(seconds=60)
    assert phone.messages == []
    assert kit.read(lambda tx: tx.counters.get("sms/+86")).day == 0
    phone.trouble = "cut"
    kit.write(lambda tx: ask(tx, to))
    drain(kit)
    assert kit.read(lambda tx: tx.counters.get("sms/+86")).day >= 1, "a lost answer may have cost"


def test_mail_goes_out_while_the_gateway_is_down(make_kit: Callable[..., Kit], database_url: str, phone: Phone) -> None:
    """The relay of this test is down too; both letters are tried, neither takes the other along."""
    kit = with_phone(make_kit, database_url, phone, timeout_s=0.5)
    me = people(kit)[0]
    phone.trouble = "hang"
    kit.write(lambda tx: contact(tx, me))
    told = StoppedMessage(username="p0", at=kit.clock(), by="owner")
    kit.write(lambda tx: notify.notify_contacts(tx, me, told))
    worker = drain(kit)
    assert worker.tally.messages["again"] == 2
