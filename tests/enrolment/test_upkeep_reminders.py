"""Once a year people look at who may vouch for them; who was taken away vouches for nobody (N-R8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.enrolment import contacts, invitations, reminders
from keyback.application.recovery import methods, recovery_contact
from keyback.domain.secret import Secret
from keyback.storage.health import backlog
from keyback.storage.maintenance.restore import make_safe
from keyback.worker import Worker
from tests.support.enrolled import SMS, add_contact, answer_way, ask_way, person_id
from tests.support.kit import Kit, person
from tests.support.steps import HERE, Tray, ask, begin, case_of, drain, fit, here, try_code

Make = Callable[..., Kit]


def kit_of(make_kit: Make, url: str | None = None) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, sms=SMS)
    return kit, fit(kit, person("maya"), person("omar"))


def add_helper(kit: Kit, tray: Tray, address: str = "wei@example.org", who: str = "maya") -> str:
    """A colleague who was asked and has agreed; the contact's id."""
    pid = person_id(kit, who)

    def start(tx: Any) -> str:
        return contacts.start(tx, tx.people.person(pid), "helper", address, "Wei Chen", HERE)

    contact = kit.write(start)
    drain(kit)
    token = secret(tray, "link")
    assert kit.write(lambda tx: invitations.accept(tx, token, HERE))
    drain(kit)
    return contact


def secret(tray: Tray, fact: str) -> str:
    found = getattr(tray.messages[-1].content, fact)
    assert isinstance(found, Secret)
    return found.reveal().rsplit("/", 1)[1]


def reminded(kit: Kit, tray: Tray, *, days: float) -> list[str]:
    """To whom the reminders of the next so many days go, a round of upkeep a day."""
    for _ in range(int(days)):
        kit.clock.forward(hours=24)
        kit.write(reminders.remind)
        drain(kit)
    return [x.to for x in tray.messages if x.kind == "reminder" and x.content.what == "helpers"]


@pytest.mark.slow
@pytest.mark.covers("N-R8")
def test_once_a_year_people_look_at_who_may_vouch_for_them(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_helper(kit, tray)
    kit.clock.forward(hours=24 * 30)
    add_helper(kit, tray, "omar@example.com")
    assert reminded(kit, tray, days=334) == [], "a month after the first one was added, so a day is left of the year"
    assert reminded(kit, tray, days=2) == ["maya@example.com"]
    letter = tray.messages[-1]
    assert str(letter.content.path).endswith("/account/contacts")
    assert reminded(kit, tray, days=300) == ["maya@example.com"], "the second one is no reason for a second letter"
    assert reminded(kit, tray, days=66) == ["maya@example.com"] * 2, "and a year later again"


@pytest.mark.covers("N-R8")
def test_workers_that_look_at_once_and_one_that_broke_off_remind_once(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_helper(kit, tray)
    kit.clock.forward(hours=24 * 366)

    def broke_off(tx: Any) -> None:
        assert reminders.remind(tx) == 1
        raise KeyError("the node went down before the commit")

    with pytest.raises(KeyError):
        kit.write(broke_off)
    workers = [Worker(kit.services), Worker(kit.services)]

    async def both() -> list[int]:
        return await asyncio.gather(*(w.upkeep.remind() for w in workers))

    assert sorted(kit.run(both())) == [0, 1]
    drain(kit)
    assert [x.to for x in tray.messages if x.kind == "reminder"] == ["maya@example.com"]


@pytest.mark.slow
def test_who_has_nobody_to_vouch_or_was_disabled_is_left_alone(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    gone, pid = add_helper(kit, tray), person_id(kit)
    add_helper(kit, tray, who="omar")
    kit.write(lambda tx: contacts.remove(tx, pid, gone, HERE))
    kit.write(lambda tx: tx.people.save_imported([person("omar", state="disabled")]))
    assert reminded(kit, tray, days=370) == []


@pytest.mark.slow
def test_the_letter_goes_to_the_mailbox_that_counts_by_then(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_helper(kit, tray)
    kit.write(lambda tx: tx.people.save_imported([person("maya", "maya.new@example.com")]))
    assert reminded(kit, tray, days=366) == ["maya.new@example.com"]


@pytest.mark.slow
def test_a_planned_reminder_is_no_backlog_and_outlives_a_restored_backup(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_helper(kit, tray)
    kit.clock.forward(hours=24 * 10)
    assert kit.read(backlog).oldest_ms == 0
    assert kit.read(backlog).jobs == {}
    kit.write(lambda tx: make_safe(tx, None))
    assert kit.write(reminders.remind) == 0, "it is due at once now, but a year is not over"
    assert reminded(kit, tray, days=356) == ["maya@example.com"]


# ── taken away: what is pending is void ─────────────────────────────────────


@pytest.mark.covers("N-R8")
def test_a_colleague_who_was_taken_away_vouches_for_nobody(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    helper = add_helper(kit, tray)
    kit.clock.forward(hours=73)
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "recovery_contact")
    assert tray.messages[-1].kind == "vouch"
    token, proof = secret(tray, "link"), kit.services.proofs["recovery_contact"]
    want = kit.read(lambda tx: tx.challenges.requested(handle))[0]
    digits = str(proof.form([methods.stand_in(kit.services.seals, want)], "en")["digits"])
    pid = person_id(kit)
    kit.write(lambda tx: contacts.remove(tx, pid, helper, HERE))
    assert kit.read(lambda tx: recovery_contact.look(tx, token)).problem == "gone"
    assert kit.run(recovery_contact.confirm(kit.services.db, proof, token, digits, here(kit)))[0] != "accepted"
    assert case_of(kit, handle) is None


@pytest.mark.covers("N-R8", "N-R7")
def test_the_code_to_a_phone_that_was_taken_away_is_void(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    phone = add_contact(kit, "sms", "+8613800000034")
    handle, _, mailed, _ = begin(kit, tray)
    assert try_code(kit, handle, mailed) == "accepted"
    ask_way(kit, handle, "sms_code", phone)
    found = tray.messages[-1].content.code
    assert isinstance(found, Secret)
    pid = person_id(kit)
    kit.write(lambda tx: contacts.remove(tx, pid, phone, HERE))
    assert answer_way(kit, handle, "sms_code", found.reveal()) != "accepted"
