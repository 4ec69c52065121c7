"""The second step under parallel use, what readiness says, and what the feed of a person holds, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.account import readiness
from keyback.application.enrolment.tier import tier_of
from keyback.application.notifications.notify import contacts_of, username_of
from keyback.application.ports.proofs import Enrolments
from keyback.application.recovery import aftercare
from keyback.application.signin import second_step, sign_in, step_up
from keyback.application.signin.sessions import SignedIn
from keyback.application.signin.step_up import StepResult
from keyback.domain import tokens
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.throttling.limits import HARD_CAP, WINDOW_TRIES
from tests.support.enrolled import add_codes, add_contact, add_totp, person_id, totp_now
from tests.support.kit import Kit, person
from tests.support.steps import HERE, OLD, drain, fit, set_password

Make = Callable[..., Kit]


def kit_of(make_kit: Make, url: str | None = None) -> Kit:
    kit = make_kit(url=url)
    kit.write(lambda tx: tx.people.save_imported([person("maya"), person("omar")]))
    set_password(kit, "maya")
    return kit


def password(kit: Kit) -> Any:
    return kit.run(sign_in.sign_in(kit.services.db, kit.services.gate, "maya", OLD, HERE))


def second(kit: Kit, token: str, code: str, name: str = "totp") -> Any:
    return kit.run(second_step.take(kit.services.db, kit.services.proofs[name], token, code, HERE))


@pytest.mark.slow
@pytest.mark.covers("M1", "N-T1", "M13", "N-L2")
@pytest.mark.parametrize("name", ["totp", "recovery_code"])
def test_one_answer_opens_one_session_even_fifty_times_at_once(make_kit: Make, database_url: str, name: str) -> None:
    kit = kit_of(make_kit, database_url)
    add_totp(kit)
    code = add_codes(kit)[0] if name == "recovery_code" else totp_now(kit)
    asked = [password(kit) for _ in range(5)]
    assert all(isinstance(a, sign_in.SecondStep) for a in asked)
    proof, db = kit.services.proofs[name], kit.services.db

    async def go() -> list[Any]:
        return await asyncio.gather(*(second_step.take(db, proof, a.token, code, HERE) for a in asked * 10))

    found = kit.run(go())
    assert sum(isinstance(x, SignedIn) for x in found) == 1


@pytest.mark.covers("N-R3", "N-L2")
@pytest.mark.parametrize("where", ["sign_in", "step_up"])
def test_a_saved_code_that_is_used_is_replaced(make_kit: Make, database_url: str, where: Any) -> None:
    kit = kit_of(make_kit, database_url)
    add_totp(kit)
    code, pid = add_codes(kit)[0], person_id(kit)
    proof = kit.services.proofs["recovery_code"]
    for _ in range(3):
        kit.write(lambda tx: step_up.issue(tx, tx.people.person(pid), where, "page"))
        before = kit.run(step_up.answer(kit.services.db, proof, "page", "AAAAAA-AAAAAA-AAAAAA", HERE))
        assert before == StepResult("wrong"), "and nothing to show for it"
        done = kit.run(step_up.answer(kit.services.db, proof, "page", code, HERE))
        assert done.code == "accepted"
        assert done.new_code is not None
        assert done.new_code.reveal() not in repr(done)
        code = done.new_code.reveal()
    held = kit.read(lambda tx: tx.factors.codes([f.id for f in tx.factors.of_person(pid)]))
    assert sum(c.used_at is None for c in held) == 3
    assert code.replace("-", "")[2:] not in str([c.phc for c in held])


@pytest.mark.covers("N-T4", "N-L4")
def test_a_hundred_wrong_answers_switch_the_app_off(make_kit: Make) -> None:
    kit = kit_of(make_kit)
    add_totp(kit)
    pid = person_id(kit)
    kit.write(lambda tx: tx.counters.add([f"totp/s/{pid}"] * (HARD_CAP // 2)))
    answer = second(kit, password(kit).token, totp_now(kit))
    assert answer == StepResult("no_tries")


@pytest.mark.slow
def test_wrong_answers_of_one_hour_make_it_wait_and_right_ones_do_not(make_kit: Make) -> None:
    kit = kit_of(make_kit)
    add_totp(kit)
    for _ in range(WINDOW_TRIES + 3):  # somebody who signs in all morning
        assert isinstance(second(kit, password(kit).token, totp_now(kit)), SignedIn)
        kit.clock.forward(seconds=31)
    token = password(kit).token
    for _ in range(WINDOW_TRIES):
        assert second(kit, token, "000000") == StepResult("wrong")
    assert second(kit, token, totp_now(kit)) == StepResult("no_tries")
    kit.clock.forward(minutes=61)
    assert isinstance(second(kit, password(kit).token, totp_now(kit)), SignedIn)


def test_a_waiting_sign_in_ends(make_kit: Make) -> None:
    kit = kit_of(make_kit)
    add_totp(kit)
    asked = password(kit)
    kit.clock.forward(minutes=10, seconds=1)
    assert second(kit, asked.token, totp_now(kit)) == StepResult("over")
    assert second(kit, "x" * 43, totp_now(kit)) == StepResult("over")
    asked, pid = password(kit), person_id(kit)
    kit.write(lambda tx: tx.people.bump_security(pid))
    assert second(kit, asked.token, totp_now(kit)) == StepResult("over")


@pytest.mark.covers("N-T1")
def test_a_session_is_fresh_for_ten_minutes(make_kit: Make) -> None:
    kit = kit_of(make_kit)
    token = password(kit).token
    session = kit.read(lambda tx: tx.sessions.get(tokens.token_digest(token)))
    now = kit.clock()
    assert step_up.is_fresh(session, False, now)
    assert not step_up.is_fresh(session, True, now), "the password alone is not enough where there is a second step"
    assert not step_up.is_fresh(session, False, now + step_up.FRESH)
    proven = replace(session, proven="totp", proven_at=now)
    assert step_up.is_fresh(proven, True, now + step_up.FRESH - 1)
    assert not step_up.is_fresh(proven, True, now + step_up.FRESH)


def outlook(kit: Kit) -> dict[str, readiness.Outlook]:
    def load(tx: Any) -> Any:
        who = tx.people.person(pid)
        factors = tuple(tx.factors.of_person(pid))
        codes = tuple(tx.factors.codes([f.id for f in factors]))
        tier = tier_of(tx, who, tx.people.accounts([pid]).get(pid, ()), kit.services.policy)
        held = Enrolments(who, tuple(tx.contacts.of_person(pid)), factors, codes)
        return readiness.outlook(held, kit.services.proofs, kit.services.policy, tier, tx.now)

    pid = person_id(kit)
    return {o.mishap: o for o in kit.read(load)}


@pytest.mark.covers("N-R11", "F7")
def test_readiness_says_what_a_recovery_would(make_kit: Make) -> None:
    kit = kit_of(make_kit)
    found = outlook(kit)
    assert found["password"].ways == ("email_link",)
    assert found["mailbox"] == readiness.Outlook("mailbox", advice="recovery_codes")
    add_contact(kit, "mail", "maya.second@example.com")
    assert not outlook(kit)["mailbox"].ways, "the same domain goes with the primary one"
    add_contact(kit, "mail", "maya@example.net")
    assert outlook(kit)["mailbox"].ways == ("backup_email",)
    add_totp(kit)
    assert set(outlook(kit)["password"].ways) == {"email_link", "totp"}
    assert not outlook(kit)["phone"].ways, "two mails are one class"
    add_codes(kit)
    assert set(outlook(kit)["phone"].ways) == {"email_link", "recovery_code"}


def test_readiness_tells_from_when_new_things_count(make_kit: Make) -> None:
    kit = kit_of(make_kit)
    ready = kit.clock() + COOLING_OFF
    add_contact(kit, "mail", "maya@example.net", usable_from=ready)
    assert outlook(kit)["mailbox"] == readiness.Outlook("mailbox", ("backup_email",), ready)


def test_the_feed_holds_what_is_the_persons_and_nothing_else(make_kit: Make, database_url: str) -> None:
    kit = kit_of(make_kit, database_url)
    password(kit)
    pid, other = person_id(kit), person_id(kit, "omar")
    mine = kit.read(lambda tx: tx.audit.of_person(pid, 2**62, 10))
    assert [h.type for h in mine] == ["signed_in"]
    assert not kit.read(lambda tx: tx.audit.of_person(other, 2**62, 10))
    assert not kit.read(lambda tx: tx.audit.of_person(pid, mine[0].seq, 10))


def test_skipped_steps_come_back_once_and_done_ones_do_not(make_kit: Make) -> None:
    kit = kit_of(make_kit)
    tray, pid = fit(kit), person_id(kit)
    kit.write(lambda tx: aftercare.remind_later(tx, username_of(tx, pid), contacts_of(tx, pid)))
    drain(kit)
    assert not tray.messages
    kit.clock.forward(hours=73)
    drain(kit)
    assert [x.kind for x in tray.messages] == ["reminder"]
    add_totp(kit)
    for step in aftercare.STEPS:
        kit.write(lambda tx, s=step: aftercare.tick(tx, pid, s))
    kit.write(lambda tx: aftercare.remind_later(tx, username_of(tx, pid), contacts_of(tx, pid)))
    kit.clock.forward(hours=73)
    drain(kit)
    assert len(tray.messages) == 1
