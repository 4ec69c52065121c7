"""Who may stop an account after a change to it, and for how long (F1, E7, N-R12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.account import lockdown
from keyback.application.enrolment import contacts
from keyback.application.notifications.account_changes import GONE_LINK_LIFE, LINK_LIFE, notify_account_change
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.secret import Secret
from keyback.domain.units import HOUR
from tests.support.enrolled import add_contact, person_id
from tests.support.kit import Kit, person
from tests.support.steps import HERE, NEW, OLD, Tray, choose, drain, fit, proven, set_password, sign_in

Make = Callable[..., Kit]
OLD_ONE = "maya.old@example.org"


def kit_of(make_kit: Make, url: str | None = None) -> tuple[Kit, Tray]:
    kit = make_kit(url=url)
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    return kit, tray


def token_of(tray: Tray, address: str) -> str:
    """The token of the newest notice's link to this address; empty where it has none."""
    found = getattr(tray.to(address, "account_changed")[-1].content, "stop_link", "")
    assert found is None or isinstance(found, Secret)
    return found.reveal().rsplit("/", 1)[1] if found else ""


def removed(kit: Kit, contact: str) -> None:
    pid = person_id(kit)
    kit.write(lambda tx: contacts.remove(tx, pid, contact, HERE))
    drain(kit)


def locks(kit: Kit, token: str) -> bool:
    return kit.write(lambda tx: lockdown.lock_by_link(tx, token, True, HERE))


def opens(kit: Kit) -> bool:
    return hasattr(sign_in(kit, "maya", OLD), "token")


@pytest.mark.covers("F1", "E7")
@pytest.mark.parametrize("late", [False, True])
def test_a_removed_contact_can_lock_the_account_for_three_days(make_kit: Make, database_url: str, late: bool) -> None:
    kit, tray = kit_of(make_kit, database_url)
    removed(kit, add_contact(kit, "mail", OLD_ONE))
    token, own = token_of(tray, OLD_ONE), token_of(tray, "maya@example.com")
    kit.clock.now += GONE_LINK_LIFE - (0 if late else 1)
    assert kit.read(lambda tx: lockdown.look(tx, token)).problem == ("expired" if late else None)
    assert locks(kit, token) is not late
    assert opens(kit) is late
    if late:
        kit.clock.now += LINK_LIFE - GONE_LINK_LIFE - 1
        assert locks(kit, own), "the address that stayed has its week"


@pytest.mark.covers("E13", "INV-I10")
def test_locking_what_is_locked_is_told_once(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    pid, tokens = person_id(kit), []
    for _ in range(3):
        kit.write(lambda tx: notify_account_change(tx, pid, "codes_made", HERE))
        drain(kit)
        tokens.append(token_of(tray, "maya@example.com"))
    before = len(tray.messages)
    assert [locks(kit, t) for t in tokens] == [True, True, True]
    drain(kit)
    assert [x.content.what for x in tray.messages[before:]] == ["locked_down"]
    noted = [h.type for h in kit.read(lambda tx: tx.audit.of_person(pid, 2**62, 50))]
    assert noted.count("locked_down") == 3
    assert not opens(kit)
    choose(kit, proven(kit, tray), NEW)  # after a recovery it is news again
    kit.write(lambda tx: notify_account_change(tx, pid, "codes_made", HERE))
    drain(kit)
    before = len(tray.messages)
    assert locks(kit, token_of(tray, "maya@example.com"))
    drain(kit)
    assert [x.content.what for x in tray.messages[before:]] == ["locked_down"]


@pytest.mark.covers("F1")
def test_what_a_contact_was_sent_earlier_ends_with_it(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    contact, pid = add_contact(kit, "mail", OLD_ONE), person_id(kit)
    kit.write(lambda tx: notify_account_change(tx, pid, "codes_made", HERE))
    drain(kit)
    earlier = token_of(tray, OLD_ONE)
    removed(kit, contact)
    assert not locks(kit, earlier)
    assert locks(kit, token_of(tray, OLD_ONE))


@pytest.mark.covers("F1")
def test_a_link_that_outlived_its_contact_locks_nothing(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    contact, pid = add_contact(kit, "mail", OLD_ONE), person_id(kit)
    kit.write(lambda tx: notify_account_change(tx, pid, "codes_made", HERE))
    drain(kit)
    kit.write(lambda tx: tx.contacts.remove(contact))  # nobody ended what it had been sent
    kit.clock.now += GONE_LINK_LIFE
    assert not locks(kit, token_of(tray, OLD_ONE))
    assert opens(kit)


@pytest.mark.covers("F1", "N-R7")
@pytest.mark.parametrize("state", ["pending", "confirmed"])
def test_who_was_never_confirmed_or_just_added_can_lock_nothing(make_kit: Make, state: Any) -> None:
    kit, tray = kit_of(make_kit)
    since = kit.clock.now + COOLING_OFF - HOUR if state == "confirmed" else 0
    contact, pid = add_contact(kit, "mail", OLD_ONE, state=state, usable_from=since), person_id(kit)
    one = kit.read(lambda tx: tx.contacts.many([contact])[contact])
    removed(kit, contact)
    heard = bool(tray.to(OLD_ONE, "account_changed"))
    assert heard is (state == "confirmed")
    assert not heard or not token_of(tray, OLD_ONE)
    kit.write(lambda tx: notify_account_change(tx, pid, "mail_removed", HERE, detail="x", also=[one]))
    drain(kit)
    assert token_of(tray, OLD_ONE) == "", "even if it were told"
    assert token_of(tray, "maya@example.com")


@pytest.mark.covers("E7", "F1")
def test_a_thief_who_removes_the_owners_address_is_undone_by_it(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    removed(kit, add_contact(kit, "mail", OLD_ONE))
    pid = person_id(kit)
    planted = add_contact(kit, "mail", "thief@evil.example", usable_from=kit.clock.now + COOLING_OFF)
    kit.clock.forward(hours=71)
    assert locks(kit, token_of(tray, OLD_ONE))
    left = [c.id for c in kit.read(lambda tx: tx.contacts.of_person(pid))]
    assert planted not in left
    assert not opens(kit)
