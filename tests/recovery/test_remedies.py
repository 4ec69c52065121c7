"""What a proven recovery puts right besides a password, and who cannot make it do so."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from keyback.application.account import lockdown
from keyback.application.enrolment import factors
from keyback.application.origin import Origin
from keyback.application.recovery import cancel, remedy, replace_factor, replace_mailbox, replace_passkey
from keyback.application.signin.sessions import SignedIn
from keyback.application.signin.sign_in import NotSignedIn
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.secret import Secret
from tests.support.browser import Browser
from tests.support.enrolled import (
    add_codes,
    add_contact,
    add_totp,
    answer_way,
    ask_way,
    person_id,
    totp_now,
)
from tests.support.kit import Kit
from tests.support.remedies import Make, begun, by_phone, kit_of, waited
from tests.support.steps import (
    HERE,
    NEW,
    OLD,
    accept,
    ask,
    case_of,
    drain,
    here,
    secrets_of,
    set_password,
    sign_in,
)


def app_of(kit: Kit) -> Any:
    return kit.services.proofs["totp"]


# ── which page may do what ──────────────────────────────────────────────────


@pytest.mark.covers("INV-I2", "A-2.3.1")
@pytest.mark.parametrize("journey", ["password", "locked"])
def test_what_was_asked_for_is_all_that_can_be_done(make_kit: Make, journey: str) -> None:
    kit, tray = kit_of(make_kit)
    handle = begun(kit, tray, journey).handle
    at = here(kit)
    assert kit.read(lambda tx: remedy.open_recovery(tx, handle, at)).person.id == person_id(kit)
    acts: list[Callable[[Any], Any]] = [
        lambda tx: replace_factor.start_app(tx, app_of(kit), handle, at),
        lambda tx: replace_factor.replace_factor(tx, app_of(kit), handle, "000000", at),
        lambda tx: replace_passkey.start(tx, handle, at),
        lambda tx: replace_mailbox.start_mailbox(tx, handle, "thief@example.org", at),
        lambda tx: replace_mailbox.confirm_mailbox(tx, handle, "00000000", at),
        lambda tx: replace_mailbox.choose_mailbox(tx, handle, "none", at),
    ]
    for act in acts:
        with pytest.raises(Refusal, match="wrong_state"):
            kit.write(act)


# ── locked ──────────────────────────────────────────────────────────────────


@pytest.mark.covers("J1", "C-2")
def test_unlocking_leaves_the_password_as_it_is(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    set_password(kit, "maya", OLD)
    pid = person_id(kit)
    account = kit.read(lambda tx: tx.people.accounts([pid])[pid][0].id)
    kit.write(lambda tx: tx.people.set_account_state(account, "locked"))
    assert not isinstance(sign_in(kit, "maya", OLD), SignedIn)
    started = begun(kit, tray, "locked")
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    assert f'action="{at}/unlock"' in browser("GET", at).text
    assert browser("POST", f"{at}/unlock").headers["location"] == at
    assert "unlocked" in browser("GET", at).text
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)
    assert browser("POST", f"{at}/unlock").headers["location"] == at  # once is enough
    drain(kit)
    assert tray.messages[-1].content.what == "unlocked"


@pytest.mark.covers("J3", "J5")
def test_nobody_unlocks_without_proof_or_with_somebody_elses(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    set_password(kit, "maya", OLD)
    account = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0].id
    kit.write(lambda tx: tx.people.set_account_state(account, "locked"))
    owner, stranger = begun(kit, tray, "locked"), ask(kit, "maya", journey="locked")
    drain(kit)
    other = ask(kit, "omar", journey="locked")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    for started in (stranger, other):
        Browser(kit, started)("POST", f"/r/{started.handle}/unlock")
        assert not isinstance(sign_in(kit, "maya", OLD), SignedIn)
    Browser(kit, owner)("POST", f"/r/{owner.handle}/unlock")
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)


@pytest.mark.covers("J5", "J1")
def test_what_keeps_failing_is_shown_to_who_has_proven_who_they_are(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    set_password(kit, "maya", OLD)
    set_password(kit, "maya", NEW, "later")
    for _ in range(4):
        assert sign_in(kit, "maya", OLD, Origin("203.0.113.77", "ExampleSync/2.1")) == NotSignedIn("wrong")
    started = ask(kit, "maya", journey="locked")
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    assert "203.0.113.77" not in browser("GET", at).text
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    told = browser("GET", at).text
    assert "203.0.113.77" in told
    assert "previous password" in told
    assert browser("POST", f"{at}/unlock").headers["location"] == at
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn)


def test_who_is_not_sure_chooses_a_new_password_instead(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    started = begun(kit, tray, "locked")
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    assert 'name="new_password"' in browser("GET", f"{at}?new=1").text


# ── a lost second step ──────────────────────────────────────────────────────


@pytest.mark.covers("O-M1", "N-R11", "M5", "N-T3")
def test_a_lost_second_step_is_replaced_all_at_once(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    old = add_totp(kit)
    codes = add_codes(kit)
    started = begun(kit, tray, "second_factor")
    with pytest.raises(Refusal, match="not_enough_evidence"):  # never by mail alone
        kit.write(lambda tx: replace_factor.start_app(tx, app_of(kit), started.handle, here(kit)))
    ask_way(kit, started.handle, "recovery_code")
    assert answer_way(kit, started.handle, "recovery_code", codes[0]) == "accepted"
    with pytest.raises(Refusal, match="not_enough_evidence"):  # and not before the wait is over
        kit.write(lambda tx: replace_factor.start_app(tx, app_of(kit), started.handle, here(kit)))
    waited(kit, 1)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    assert browser("POST", f"{at}/factor/new").status_code == 303
    page = browser("GET", at).text
    assert "<svg" in page
    seed = re.search(r'<b class="mono secret-key"[^>]*>([A-Z2-7 ]+)</b>', page)
    assert seed
    new = pyotp.TOTP(seed.group(1).replace(" ", ""))
    assert browser("POST", f"{at}/factor", "code=000000").status_code == 422
    assert kit.read(lambda tx: tx.factors.get(old)).state == "active"  # nothing half done
    assert browser("POST", f"{at}/factor", f"code={new.at(kit.clock() // 1000)}").status_code == 303
    after = browser("GET", at).text
    assert "new second step works" in after
    assert seed.group(1) not in after
    assert kit.read(lambda tx: tx.factors.get(old)).state == "removed"
    pid = person_id(kit)
    active = kit.read(lambda tx: [f.kind for f in tx.factors.of_person(pid)])
    assert sorted(active) == ["recovery_codes", "totp"]


@pytest.mark.covers("O-M1", "N-R11")
def test_mail_and_text_message_do_not_replace_a_second_step(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_contact(kit, "sms", "+8613800000034")
    started = begun(kit, tray, "second_factor")  # somebody without a factor: mail alone would open the password
    case = case_of(kit, started.handle)
    assert case is not None
    assert not case.approved_for
    ask_way(kit, started.handle, "sms_code")
    code = tray.messages[-1].content.code
    assert isinstance(code, Secret)
    assert answer_way(kit, started.handle, "sms_code", code.reveal()) == "accepted"
    assert not case_of(kit, started.handle).approved_for  # type: ignore[union-attr]


# ── a lost mailbox ──────────────────────────────────────────────────────────


@pytest.mark.covers("N-R7", "N-R12", "F1")
def test_a_lost_mailbox_gives_way_to_one_that_answered(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    started = by_phone(kit, tray)
    waited(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    for bad in ("nonsense", "maya@example.com", "a b@example.org,c@example.org"):
        assert (
            browser("POST", f"{at}/mailbox/new", f"address={bad.replace('@', '%40').replace(' ', '+')}").status_code
            == 422
        )
    assert browser("POST", f"{at}/mailbox/new", "address=maya.new%40example.net").status_code == 303
    drain(kit)
    letter = tray.messages[-1]
    assert (letter.kind, letter.to) == ("mail_code", "maya.new@example.net")
    code = letter.content.code
    assert isinstance(code, Secret)
    wrong = f"{(int(code.reveal()) + 1) % 10**6:06}"
    assert browser("POST", f"{at}/mailbox/code", f"code={wrong}").status_code == 422
    pid = person_id(kit)
    own = kit.read(lambda tx: [c.address for c in tx.people.contacts([pid])[pid]])
    assert own == ["maya@example.com", "+8613800000034"]
    assert browser("POST", f"{at}/mailbox/code", f"code={code.reveal()}").status_code == 303
    found = kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0]
    assert [c.address for c in found.contacts] == ["maya.new@example.net"]
    assert kit.read(lambda tx: tx.people.match(["maya.new@example.net"]))
    drain(kit)
    told = {x.to for x in tray.messages if x.kind == "account_changed"}
    assert told == {"maya@example.com", "maya.new@example.net", "+8613800000034"}


def test_a_confirmed_address_takes_its_place_at_once(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    second = add_contact(kit, "mail", "maya@home.example.net")
    foreign = add_contact(kit, "mail", "omar@home.example.net", who="omar")
    started = by_phone(kit, tray)
    waited(kit)
    with pytest.raises(Refusal, match="not_found"):
        kit.write(lambda tx: replace_mailbox.choose_mailbox(tx, started.handle, foreign, here(kit)))
    kit.write(lambda tx: replace_mailbox.choose_mailbox(tx, started.handle, second, here(kit)))
    found = kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0]
    assert [(c.address, c.role) for c in found.contacts] == [("maya@home.example.net", "primary")]
    with pytest.raises(Refusal):
        kit.write(lambda tx: replace_mailbox.choose_mailbox(tx, started.handle, second, here(kit)))


def test_a_new_address_is_judged_before_anything_is_sent(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    started = by_phone(kit, tray)
    waited(kit)
    for bad in ("", "x", "@example.org", "x@", "x@nodot"):
        with pytest.raises(BadInput):
            kit.write(lambda tx, b=bad: replace_mailbox.start_mailbox(tx, started.handle, b, here(kit)))
    for n in range(3):
        kit.write(lambda tx, n=n: replace_mailbox.start_mailbox(tx, started.handle, f"m{n}@example.net", here(kit)))
    with pytest.raises(Refusal, match="too_many"):
        kit.write(lambda tx: replace_mailbox.start_mailbox(tx, started.handle, "m9@example.net", here(kit)))


@pytest.mark.covers("C17", "E2")
def test_another_page_cannot_apply_the_remedy(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    by_phone(kit, tray)
    theirs = ask(kit, "maya", journey="mailbox")
    drain(kit)
    waited(kit)
    for act in (replace_mailbox.choose_mailbox, replace_mailbox.start_mailbox, replace_mailbox.confirm_mailbox):
        with pytest.raises(Refusal):
            kit.write(lambda tx, a=act: a(tx, theirs.handle, "x@example.net", here(kit)))
    assert totp_now(kit)


@pytest.mark.covers("F1", "M5")
def test_a_seed_that_somebody_made_elsewhere_is_never_shown(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_totp(kit)
    codes = add_codes(kit)
    started = begun(kit, tray, "second_factor")
    ask_way(kit, started.handle, "recovery_code")
    answer_way(kit, started.handle, "recovery_code", codes[0])
    waited(kit, 1)
    pid = person_id(kit)
    foreign = kit.write(lambda tx: factors.start_totp(tx, app_of(kit), tx.people.person(pid)))
    page = Browser(kit, started)("GET", f"/r/{started.handle}").text
    assert "<svg" not in page.split("<main")[1].split("qr")[0] or "/factor/new" in page
    assert kit.read(lambda tx: tx.factors.get(foreign)).data["seed"][:4] not in page
    mine = kit.write(lambda tx: replace_factor.start_app(tx, app_of(kit), started.handle, here(kit)))
    assert kit.read(lambda tx: factors.pending_totp(tx, pid, mine)) is None
    assert kit.read(lambda tx: tx.factors.get(mine)).usable_from > kit.clock() + 71 * 3_600_000


@pytest.mark.covers("F1", "N-R12")
def test_a_planted_contact_cannot_stop_the_owner(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_totp(kit)
    planted = add_contact(kit, "mail", "thief@evil.example", usable_from=kit.clock() + 72 * 3_600_000)
    old = add_contact(kit, "mail", "maya@home.example.net")
    started = begun(kit, tray, "password")
    ask_way(kit, started.handle, "totp")
    assert answer_way(kit, started.handle, "totp", totp_now(kit)) == "accepted"
    drain(kit)
    told = {x.to: x for x in tray.messages if x.kind == "hold"}
    assert sorted(told) == ["maya@example.com", "maya@home.example.net"]
    link = told["maya@home.example.net"].content.stop_link
    assert isinstance(link, Secret)
    token = link.reveal().rsplit("/", 1)[1]
    kit.write(lambda tx: tx.contacts.remove(old))
    assert kit.write(lambda tx: cancel.stop_by_owner(tx, token)).problem == "gone"  # taken off the record since
    assert planted


@pytest.mark.slow
@pytest.mark.covers("J1", "N-T4")
def test_wrong_answers_to_recoveries_do_not_use_up_the_cap_in_an_afternoon(make_kit: Make) -> None:
    kit, _tray = kit_of(make_kit)
    add_totp(kit)
    for _ in range(21):
        handle = ask(kit, "maya").handle
        drain(kit)
        ask_way(kit, handle, "totp")
        for _ in range(5):
            answer_way(kit, handle, "totp", "000000")
    pid = person_id(kit)
    assert kit.read(lambda tx: tx.counters.get(f"totp/{pid}")).total <= 10
    kit.clock.forward(hours=2)
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "totp")
    assert answer_way(kit, handle, "totp", totp_now(kit)) == "accepted"


@pytest.mark.covers("E13")
def test_what_its_owner_locked_opens_with_a_new_password_only(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    set_password(kit, "maya", OLD)
    pid = person_id(kit)
    kit.write(lambda tx: lockdown.lock(tx, pid, False, HERE))
    started = begun(kit, tray, "locked")
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    assert browser("POST", f"{at}/unlock").headers["location"] == f"{at}?new=1"
    assert not isinstance(sign_in(kit, "maya", OLD), SignedIn)
