"""A phone number that was not confirmed does nothing; one that was, only after it cooled in. On both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyback.application.account import readiness
from keyback.application.enrolment import contacts
from keyback.application.notifications import account_changes
from keyback.application.ports.proofs import Enrolments
from keyback.application.ports.storage import Tx
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.secret import Secret
from tests.support.enrolled import SMS, answer_way, ask_way, person_id
from tests.support.kit import Kit, person
from tests.support.steps import HERE, Tray, ask, drain, fit

Make = Callable[..., Kit]
NUMBER = "+8613800000034"


def asked_by_phone(kit: Kit) -> str:
    """A recovery of hers that asks for a code by text message; its handle."""
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "sms_code")
    return handle


def counts(kit: Kit) -> bool:
    """Whether a lost mailbox could be got over by the phone, now or later."""
    pid = person_id(kit)

    def look(tx: Tx) -> bool:
        who = tx.people.person(pid)
        held = Enrolments(who, tuple(tx.contacts.of_person(pid)), ())
        s = kit.services
        found = readiness.outlook(held, s.proofs, s.policy, "standard", tx.now)
        return any("sms_code" in o.ways for o in found)

    return kit.read(look)


def codes_to(tray: Tray) -> list[str]:
    out = [x.content.code for x in tray.to(NUMBER, "sms_code")]
    return [c.reveal() for c in out if isinstance(c, Secret)]


@pytest.mark.covers("A-6.6.1", "N-R7", "F1", "F2")
def test_a_number_is_used_once_it_was_confirmed_and_cooled_in(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url, sms=SMS)
    tray, s = fit(kit, person("maya")), kit.services
    pid = person_id(kit)
    maya = kit.read(lambda tx: tx.people.person(pid))
    new = kit.write(lambda tx: contacts.start(tx, maya, "sms", NUMBER, "", HERE))
    drain(kit)
    (code,) = codes_to(tray)

    asked_by_phone(kit)
    kit.write(lambda tx: account_changes.notify_account_change(tx, pid, "totp_removed", HERE))
    drain(kit)
    assert [x.kind for x in tray.messages if x.to == NUMBER] == ["sms_code"], "only the code that confirms it"
    assert not counts(kit)

    confirmed = kit.run(contacts.confirm(kit.services.db, s.proofs, maya, new, code, HERE))
    assert confirmed == "confirmed"
    assert counts(kit)
    kit.write(lambda tx: account_changes.notify_account_change(tx, pid, "totp_removed", HERE))
    drain(kit)
    assert tray.to(NUMBER, "account_changed"), "it is told about everything at once"
    asked_by_phone(kit)
    assert len(codes_to(tray)) == 1, "and recovers nothing yet"

    kit.clock.now += COOLING_OFF
    handle = asked_by_phone(kit)
    assert len(codes_to(tray)) == 2
    assert answer_way(kit, handle, "sms_code", codes_to(tray)[1]) == "accepted"
