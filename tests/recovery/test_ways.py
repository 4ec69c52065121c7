"""Other ways to prove than the mailed link: which of them together open what, for whom, and what nobody learns."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.recovery import cancel, evidence, mailed_link, methods, recovery_contact
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Contact
from keyback.domain.recovery.case import State
from keyback.domain.secret import Secret
from tests.support.enrolled import SMS, add_codes, add_contact, add_totp, answer_way, ask_way, totp_now
from tests.support.kit import Kit, person
from tests.support.steps import Tray, accept, ask, begin, case_of, choose, code_in, drain, fit, here, statements

Make = Callable[..., Kit]


def kit_of(make_kit: Make, url: str | None = None, **over: Any) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, sms=SMS, **over)
    kit.write(lambda tx: tx.people.save_imported([person("maya"), person("omar")]))
    return kit, fit(kit)


def state(kit: Kit, handle: str) -> State | None:
    case = case_of(kit, handle)
    return case.state if case else None


def prove_mail(kit: Kit, tray: Tray, who: str = "maya") -> str:
    handle, token, _, _ = begin(kit, tray, who)
    assert accept(kit, token) is None
    return handle


@pytest.mark.covers("N-R11", "E2", "INV-I3", "D1")
def test_a_mailbox_alone_does_not_open_an_account_with_a_bound_factor(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_totp(kit)
    handle = prove_mail(kit, tray)
    assert state(kit, handle) == State.PROVING
    with pytest.raises(Refusal, match="not_enough_evidence"):
        choose(kit, case_of(kit, handle).id)  # type: ignore[union-attr]
    assert ask_way(kit, handle, "totp")
    assert answer_way(kit, handle, "totp", "000000") == "wrong"
    assert answer_way(kit, handle, "totp", totp_now(kit)) == "accepted"
    # Mail and a bound factor are enough, but this browser is not known.
    assert state(kit, handle) == State.ON_HOLD


@pytest.mark.covers("M1", "N-T1", "E16")
def test_a_totp_step_opens_one_case_once_even_fifty_times_at_once(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_totp(kit)
    handle = prove_mail(kit, tray)
    ask_way(kit, handle, "totp")
    code, proof = totp_now(kit), kit.services.proofs["totp"]

    async def go() -> list[str]:
        tries = [methods.answer(kit.services.db, proof, handle, code, here(kit)) for _ in range(50)]
        return [a for a, _, _ in await asyncio.gather(*tries)]

    found = kit.run(go())
    assert found.count("accepted") == 1
    other = prove_mail(kit, tray)
    ask_way(kit, other, "totp")
    assert answer_way(kit, other, "totp", code) in ("replayed", "wrong")


@pytest.mark.covers("N-R10", "N-O2", "N-O3", "O-M2", "D3")
def test_a_text_message_alone_opens_an_account_without_a_factor(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_contact(kit, "sms", "+8613800000034")
    handle = ask(kit, "maya").handle
    drain(kit)
    assert ask_way(kit, handle, "sms_code")
    first = code_in(tray)
    assert tray.messages[-1].to == "+8613800000034"
    for n in range(2):
        assert answer_way(kit, handle, "sms_code", f"{(int(first) + 1 + n) % 10**6:06}") == "wrong"
    assert not ask_way(kit, handle, "sms_code")  # two minutes are not over
    kit.clock.forward(minutes=3)
    assert ask_way(kit, handle, "sms_code")
    assert answer_way(kit, handle, "sms_code", first) == "replaced"  # a newer code overwrites the older one
    assert answer_way(kit, handle, "sms_code", code_in(tray)) == "accepted"
    assert state(kit, handle) == State.APPROVED
    wants = kit.read(lambda tx: tx.challenges.requested(handle))
    assert wants[0].tries == 3  # asking again gave none back; the older code was no guess


@pytest.mark.covers("N-R5", "N-O2")
def test_a_code_by_phone_is_over_after_ten_minutes(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_contact(kit, "sms", "+8613800000034")
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "sms_code")
    kit.clock.forward(minutes=10, seconds=1)
    assert answer_way(kit, handle, "sms_code", code_in(tray)) == "expired"


@pytest.mark.covers("N-R11", "F7")
def test_mail_and_text_message_are_one_class(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_totp(kit)
    add_contact(kit, "sms", "+8613800000034")
    handle = prove_mail(kit, tray)
    ask_way(kit, handle, "sms_code")
    assert answer_way(kit, handle, "sms_code", code_in(tray)) == "accepted"
    assert state(kit, handle) == State.PROVING


@pytest.mark.covers("N-R2", "N-R3", "N-L2")
def test_a_saved_code_is_used_once_and_replaced(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_totp(kit)
    codes = add_codes(kit)
    handle = prove_mail(kit, tray)
    ask_way(kit, handle, "recovery_code")
    proof = kit.services.proofs["recovery_code"]
    code, _, new = kit.run(methods.answer(kit.services.db, proof, handle, codes[0].lower(), here(kit)))
    assert code == "accepted"
    assert isinstance(new, Secret)
    assert state(kit, handle) == State.ON_HOLD
    other = prove_mail(kit, tray)
    ask_way(kit, other, "recovery_code")
    assert answer_way(kit, other, "recovery_code", codes[0]) == "replayed"
    assert answer_way(kit, other, "recovery_code", new.reveal()) == "accepted"


@pytest.mark.covers("E2")
def test_a_third_proof_ends_the_wait(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_totp(kit)
    codes = add_codes(kit)
    handle = prove_mail(kit, tray)
    ask_way(kit, handle, "totp")
    answer_way(kit, handle, "totp", totp_now(kit))
    assert state(kit, handle) == State.ON_HOLD
    ask_way(kit, handle, "recovery_code")
    assert answer_way(kit, handle, "recovery_code", codes[1]) == "accepted"
    assert state(kit, handle) == State.APPROVED
    choose(kit, case_of(kit, handle).id)  # type: ignore[union-attr]


@pytest.mark.covers("N-R12", "O-M1", "E2")
def test_a_hold_tells_everybody_and_each_of_them_can_stop_it(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url, policy={"known_networks": []}, public_url="https://recover.example.com")
    add_contact(kit, "mail", "maya@home.example.net")
    add_contact(kit, "sms", "+8613800000034")
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Omar")
    handle = prove_mail(kit, tray)
    case = case_of(kit, handle)
    assert case is not None
    assert case.state == State.ON_HOLD
    drain(kit)
    told = [x for x in tray.messages if x.kind == "hold"]
    assert sorted(x.to for x in told) == ["+8613800000034", "maya@example.com", "maya@home.example.net"]
    link = told[1].content.stop_link
    assert isinstance(link, Secret)
    token = link.reveal().rsplit("/", 1)[1]
    for _ in range(100):
        assert kit.read(lambda tx: mailed_link.look_at_stop(tx, token)).problem is None  # reading changes nothing
    assert kit.write(lambda tx: cancel.stop_by_owner(tx, token)).problem is None
    assert state(kit, handle) == State.CANCELLED
    kit.clock.forward(hours=1)
    assert kit.write(evidence.release) == 0


@pytest.mark.covers("E2")
def test_a_hold_that_nobody_stops_ends_by_itself(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url, policy={"known_networks": []}, public_url="https://recover.example.com")
    handle = prove_mail(kit, tray)
    drain(kit)
    assert kit.write(evidence.release) == 0
    kit.clock.forward(minutes=15)
    assert kit.write(evidence.release) == 1
    assert kit.write(evidence.release) == 0
    assert state(kit, handle) == State.APPROVED
    drain(kit)
    choose(kit, case_of(kit, handle).id)  # type: ignore[union-attr]
    assert [x.content.over for x in tray.messages if x.kind == "hold"] == [False, True]


@pytest.mark.covers("E2", "INV-I3")
def test_a_stranger_does_not_go_on_with_what_the_owner_proved(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_totp(kit)
    codes = add_codes(kit)
    mine = prove_mail(kit, tray)
    for name, typed in (("totp", totp_now(kit)), ("recovery_code", codes[0])):
        ask_way(kit, mine, name)
        assert answer_way(kit, mine, name, typed) == "accepted"
    assert state(kit, mine) == State.APPROVED
    theirs = prove_mail(kit, tray)  # a reader of the mailbox
    case = case_of(kit, theirs)
    assert case is not None
    assert case.open_to(mine)
    assert not case.open_to(theirs)


@pytest.mark.covers("F2", "N-R7")
def test_what_was_added_last_cannot_recover_yet(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    later = kit.clock() + 72 * 3_600_000
    add_contact(kit, "sms", "+8613900000099", usable_from=later)
    handle = ask(kit, "maya").handle
    drain(kit)
    before = len(tray.messages)
    ask_way(kit, handle, "sms_code")
    assert len(tray.messages) == before
    kit.clock.forward(hours=72)
    again = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, again, "sms_code")
    assert tray.messages[-1].to == "+8613900000099"


@pytest.mark.covers("N-R8")
def test_a_colleague_vouches_only_with_the_digits_of_the_page(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_totp(kit)
    add_contact(kit, "mail", "omar.friend@example.org", "recovery", name="Omar")
    handle = prove_mail(kit, tray)
    ask_way(kit, handle, "recovery_contact")
    letter = tray.messages[-1]
    assert (letter.kind, letter.to, letter.name) == ("vouch", "omar.friend@example.org", "Omar")
    link = letter.content.link
    assert isinstance(link, Secret)
    token = link.reveal().rsplit("/", 1)[1]
    proof = kit.services.proofs["recovery_contact"]
    want = kit.read(lambda tx: tx.challenges.requested(handle))[0]
    digits = str(proof.form([methods.stand_in(kit.services.seals, want)], "en")["digits"])
    assert digits not in re.sub(r"_at=\d+", "", str(letter)), "but for instants, which have any digits"
    wrong = f"{(int(digits) + 1) % 10000:04}"
    db = kit.services.db
    assert kit.run(recovery_contact.confirm(db, proof, token, wrong, here(kit))) == ("wrong", 4)
    assert kit.run(recovery_contact.confirm(db, proof, "x" * 22, digits, here(kit)))[0] == "wrong"
    assert kit.run(recovery_contact.confirm(db, proof, token, digits, here(kit)))[0] == "accepted"
    assert kit.read(lambda tx: recovery_contact.look(tx, token)).problem == "given"
    case = case_of(kit, handle)
    assert case is not None
    assert [e.proof for e in case.shown_by(handle)] == ["email_link", "recovery_contact"]
    assert case.state == State.ON_HOLD  # two kinds, a browser that is not known


@pytest.mark.covers("N-R8")
def test_a_colleague_can_refuse(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_contact(kit, "mail", "omar.friend@example.org", "recovery", name="Omar")
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "recovery_contact")
    link = tray.messages[-1].content.link
    assert isinstance(link, Secret)
    token = link.reveal().rsplit("/", 1)[1]
    assert kit.write(lambda tx: recovery_contact.refuse(tx, token))
    assert not kit.write(lambda tx: recovery_contact.refuse(tx, token))
    assert kit.read(lambda tx: recovery_contact.look(tx, token)).problem == "refused"


@pytest.mark.slow
@pytest.mark.covers("A1", "A3", "W-6")
@pytest.mark.parametrize("name", ["sms_code", "totp", "recovery_code", "recovery_contact"])
def test_a_ghost_is_asked_and_answered_like_a_person(make_kit: Make, database_url: str, name: str) -> None:
    kit, _tray = kit_of(make_kit, database_url)
    add_totp(kit)
    add_codes(kit)
    add_contact(kit, "sms", "+8613800000034")
    add_contact(kit, "mail", "omar.friend@example.org", "recovery", name="Omar")
    seen = []
    for who in ("maya", "nobody"):
        handle = ask(kit, who).handle
        drain(kit)
        with statements(kit) as asking:
            queued = kit.write(lambda tx, h=handle: methods.ask(tx, h, kit.services.proofs[name]))
        drain(kit)
        with statements(kit) as answering:
            answers = [answer_way(kit, handle, name, "123456") for _ in range(6)]
        shape = kit.read(lambda tx, h=handle: sorted(_form(kit, tx, h, name)))
        seen.append((queued, len(asking), answers, shape, answering))
    assert seen[0] == seen[1]


def _form(kit: Kit, tx: Any, handle: str, name: str) -> Any:
    proof, want = kit.services.proofs[name], tx.challenges.requested(handle)[0]
    asked = methods.asked_now(tx, handle, proof) or [methods.stand_in(kit.services.seals, want)]
    return proof.form(asked, "en")


@pytest.mark.slow
@pytest.mark.covers("N-T4", "D2", "N-L4")
def test_a_hundred_wrong_codes_switch_a_proof_off(make_kit: Make, database_url: str) -> None:
    kit, _tray = kit_of(make_kit, database_url)
    add_totp(kit)
    for n in range(25):
        handle = ask(kit, "maya").handle
        drain(kit)
        ask_way(kit, handle, "totp")
        for _ in range(4):
            assert answer_way(kit, handle, "totp", "000000") == "wrong", n
        kit.clock.forward(hours=1, minutes=1)
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "totp")
    assert answer_way(kit, handle, "totp", totp_now(kit)) == "wrong"
    kit.clock.forward(hours=400)
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "totp")
    assert answer_way(kit, handle, "totp", totp_now(kit)) == "wrong"  # off until it is renewed


@pytest.mark.covers("N-R1")
def test_a_lost_mailbox_is_never_written_to(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_contact(kit, "sms", "+8613800000034")
    handle = ask(kit, "maya", journey="mailbox").handle
    drain(kit)
    assert tray.messages == []
    ask_way(kit, handle, "sms_code")
    assert answer_way(kit, handle, "sms_code", code_in(tray)) == "accepted"
    assert state(kit, handle) == State.ON_HOLD
    drain(kit)
    assert {x.kind for x in tray.messages if x.to == "maya@example.com"} == {"hold"}  # told, but not asked


@pytest.mark.covers("N-R8")
def test_two_people_behind_one_address_each_have_their_own_colleague(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    shared = "team@example.com"
    kit.write(lambda tx: tx.people.save_imported([person("ada", shared), person("bo", shared)]))
    pids = [m.person.id for m in kit.read(lambda tx: tx.people.match([shared]))[shared]]

    def add(tx: Any) -> None:
        for n, pid in enumerate(pids):
            c = Contact(tx.new_id(), pid, "mail", f"friend{n}@example.org", "recovery", origin="person", name=f"F{n}")
            assert tx.contacts.add(c)

    kit.write(add)
    handle = ask(kit, shared).handle
    drain(kit)
    ask_way(kit, handle, "recovery_contact")
    vouches = [x for x in tray.messages if x.kind == "vouch"]
    assert sorted(x.to for x in vouches) == ["friend0@example.org", "friend1@example.org"]
    assert len({x.content.link.reveal() for x in vouches}) == 2  # type: ignore[attr-defined]
