"""What a second step asks of a recovery: nobody is shut out by a new one, and no change makes a recovery easier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Thread
from typing import Any

import pyotp
import pytest

from keyback.application.account import lockdown, readiness
from keyback.application.enrolment import factors
from keyback.application.enrolment.tier import tier_of
from keyback.application.policy.coverage import Offer, census
from keyback.application.ports.proofs import Enrolments
from keyback.application.recovery import evidence, replace_factor
from keyback.application.signin import sessions
from keyback.application.signin import sign_in as signin_sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.domain import tokens
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import PRESETS
from keyback.domain.people.factor import COOLING_OFF, REMOVAL_GRACE, Factor
from keyback.domain.people.person import Tier, channel_of
from tests.support.browser import Browser
from tests.support.enrolled import (
    add_codes,
    add_contact,
    add_totp,
    answer_way,
    ask_way,
    person_id,
)
from tests.support.kit import Kit, person
from tests.support.steps import (
    HERE,
    NEW,
    OLD,
    accept,
    ask,
    begin,
    case_of,
    choose,
    drain,
    fit,
    here,
    secrets_of,
    set_password,
    sign_in,
)

Make = Callable[..., Kit]
HOUR = 3_600_000


@pytest.fixture
def kit(make_kit: Make, database_url: str) -> Kit:
    kit = make_kit(url=database_url)
    kit.write(lambda tx: tx.people.save_imported([person("maya"), person("omar")]))
    set_password(kit, "maya", OLD)
    return kit


def new(kit: Kit) -> int:
    """When something that is added now may recover."""
    return kit.clock() + COOLING_OFF


def tier(kit: Kit) -> Tier:
    pid = person_id(kit)
    return kit.read(lambda tx: tier_of(tx, tx.people.person(pid), (), kit.services.policy))


def remove(kit: Kit, factor_id: str) -> None:
    pid = person_id(kit)
    kit.write(lambda tx: factors.remove(tx, pid, factor_id, kit.services.policy, HERE))


def active(kit: Kit) -> list[str]:
    pid = person_id(kit)
    return [f.id for f in kit.read(lambda tx: tx.factors.of_person(pid))]


def by_mail(kit: Kit, tray: Any) -> tuple[str, Any]:
    """A recovery with the mailbox alone, after whatever wait: its page and its case."""
    handle, token, _, _ = begin(kit, tray)
    assert accept(kit, token) is None
    kit.clock.forward(minutes=6)
    kit.write(evidence.release)
    return handle, case_of(kit, handle)


@pytest.mark.covers("F1", "N-R10", "INV-I9")
def test_a_planted_app_keeps_nobody_from_recovering_by_mail(kit: Kit) -> None:
    tray = fit(kit)
    planted = add_totp(kit, usable_from=new(kit))
    assert tier(kit) == "standard"
    kit.clock.forward(minutes=1)
    handle, case = by_mail(kit, tray)
    assert case.open_to(handle)
    choose(kit, case.id)
    drain(kit)
    assert isinstance(sign_in(kit, "maya", NEW), signin_sign_in.SecondStep), "signing in asks for it at once"
    browser = Browser(kit, ask(kit, "omar"))
    assert browser("POST", f"/r/{handle}/factors/remove", f"remove={planted}").status_code == 403
    assert kit.write(lambda tx: replace_factor.take_away(tx, handle, [planted], here(kit))) == 1
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn)
    drain(kit)
    assert "totp_removed" in [getattr(x.content, "what", "") for x in tray.messages]


@pytest.mark.covers("E7", "F1")
def test_the_page_after_the_new_password_shows_the_planted_app_and_removes_it(kit: Kit) -> None:
    tray = fit(kit)
    planted = add_totp(kit, usable_from=new(kit), label="Thief's phone")
    kit.clock.forward(minutes=5)
    started = ask(kit, "maya")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    kit.clock.forward(minutes=6)
    kit.write(evidence.release)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    assert "factors/remove" not in browser("GET", at).text
    assert browser("POST", f"{at}/factors/remove", f"remove={planted}").status_code == 303
    assert kit.read(lambda tx: tx.factors.get(planted)).state == "active", "not before there is a new password"
    case = case_of(kit, started.handle)
    assert case is not None
    choose(kit, case.id)
    drain(kit)
    shown = browser("GET", at).text
    assert "Thief&#39;s phone" in shown
    later = add_totp(kit, usable_from=new(kit), label="The owner's own")
    assert "The owner" not in browser("GET", at).text
    for wrong in (later, "x", "remove"):
        browser("POST", f"{at}/factors/remove", f"remove={wrong}")
    assert active(kit) == [planted, later]
    assert browser("POST", f"{at}/factors/remove", f"remove={planted}&remove={later}").headers["location"] == at
    assert active(kit) == [later]
    assert "factors/remove" not in browser("GET", at).text


@pytest.mark.covers("F1", "C17")
def test_who_came_in_by_a_planted_passkey_is_out_when_it_goes(kit: Kit) -> None:
    tray = fit(kit)
    pid, until = person_id(kit), new(kit)
    f = Factor("thief", pid, "passkey", "", "active", {}, added_at=kit.clock(), usable_from=until, lookup=b"x" * 32)
    kit.write(lambda tx: tx.factors.add(f))
    kit.clock.forward(minutes=1)
    handle, case = by_mail(kit, tray)
    choose(kit, case.id)
    drain(kit)

    def comes_in(tx: Any) -> str:
        who, account = tx.people.person(pid), tx.people.accounts([pid])[pid][0]
        return sessions.open_session(tx, account, who, HERE, kit.services.rules, proven="passkey").token

    token = kit.write(comes_in)
    assert kit.write(lambda tx: replace_factor.take_away(tx, handle, ["thief"], here(kit))) == 1
    assert kit.read(lambda tx: tx.sessions.get(tokens.token_digest(token))) is None


@pytest.mark.covers("E13", "E7")
def test_the_link_in_the_notice_takes_a_planted_app_back_as_well(kit: Kit) -> None:
    tray = fit(kit)
    session = sign_in(kit, "maya", OLD)
    assert isinstance(session, SignedIn)
    app: Any = kit.services.proofs["totp"]
    pid = person_id(kit)
    fid = kit.write(lambda tx: factors.start_totp(tx, app, tx.people.person(pid)))
    seed = kit.read(lambda tx: tx.factors.get(fid)).data["seed"]
    held = kit.read(lambda tx: tx.sessions.get(tokens.token_digest(session.token)))
    code = pyotp.TOTP(str(seed)).at(kit.clock() // 1000)
    assert kit.write(lambda tx: factors.finish_totp(tx, app, held, fid, code, HERE))
    drain(kit)
    link = tray.messages[-1].content.stop_link.reveal().rsplit("/", 1)[1]
    assert kit.write(lambda tx: lockdown.lock_by_link(tx, link, True, HERE))
    assert tier(kit) == "standard", "what never counted goes on to count for nothing"
    handle, case = by_mail(kit, tray)
    assert case.open_to(handle)
    choose(kit, case.id)
    drain(kit)
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn)


@pytest.mark.covers("N-R11", "INV-I9")
def test_mail_alone_does_not_get_past_an_app_that_has_been_there(kit: Kit) -> None:
    tray = fit(kit)
    add_totp(kit, usable_from=new(kit))
    kit.clock.forward(hours=71)
    assert tier(kit) == "standard"
    kit.clock.forward(hours=1)
    assert tier(kit) == "mfa"
    handle, case = by_mail(kit, tray)
    assert not case.open_to(handle)
    with pytest.raises(Refusal):
        choose(kit, case.id)


@pytest.mark.covers("N-R11", "O-M1")
def test_a_new_app_in_place_of_an_old_one_counts_at_once(kit: Kit) -> None:
    tray = fit(kit)
    add_totp(kit, used_at=1)
    codes = add_codes(kit)
    kit.clock.forward(hours=100)
    started = ask(kit, "maya", journey="second_factor")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    ask_way(kit, started.handle, "recovery_code")
    assert answer_way(kit, started.handle, "recovery_code", codes[0]) == "accepted"
    kit.clock.forward(minutes=16)
    kit.write(evidence.release)
    app: Any = kit.services.proofs["totp"]
    fid = kit.write(lambda tx: replace_factor.start_app(tx, app, started.handle, here(kit)))
    seed = str(kit.read(lambda tx: tx.factors.get(fid)).data["seed"])
    code = pyotp.TOTP(seed).at(kit.clock() // 1000)
    assert kit.write(lambda tx: replace_factor.replace_factor(tx, app, started.handle, code, here(kit)))
    handle, case = by_mail(kit, tray)
    assert not case.open_to(handle)
    for hours in (24, 47, 1, 1, 24, 100):
        kit.clock.forward(hours=hours)
        assert tier(kit) == "mfa"


@pytest.mark.covers("N-R11", "E13")
def test_the_thief_of_a_mailbox_gains_nothing_by_taking_a_replaced_app_back(kit: Kit) -> None:
    fit(kit)
    old = add_totp(kit, used_at=1)
    kit.clock.forward(hours=100)
    add_totp(kit, usable_from=new(kit), used_at=1)
    remove(kit, old)
    kit.clock.forward(hours=10)
    pid = person_id(kit)
    kit.write(lambda tx: lockdown.lock(tx, pid, True, HERE))
    assert not active(kit)
    for hours in (1, 70):
        kit.clock.forward(hours=hours)
        assert tier(kit) == "mfa"
    kit.clock.forward(hours=3)
    assert tier(kit) == "standard"


@pytest.mark.covers("F1")
def test_a_seed_that_never_worked_counts_for_nothing(kit: Kit) -> None:
    app: Any = kit.services.proofs["totp"]
    pid = person_id(kit)
    kit.write(lambda tx: factors.start_totp(tx, app, tx.people.person(pid)))
    kit.clock.forward(hours=80)
    add_totp(kit, usable_from=new(kit))
    kit.clock.forward(hours=1)
    kit.write(
        lambda tx: factors.start_totp(tx, app, tx.people.person(pid))
    )  # voids the first, which had time to "cool in"
    assert tier(kit) == "standard"


@pytest.mark.covers("N-R11")
def test_a_lost_second_step_is_never_replaced_by_mail_alone_however_new_it_is(kit: Kit) -> None:
    tray = fit(kit)
    add_totp(kit, usable_from=new(kit))
    started = ask(kit, "maya", journey="second_factor")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    kit.clock.forward(hours=2)
    kit.write(evidence.release)
    app: Any = kit.services.proofs["totp"]
    with pytest.raises(Refusal, match="not_enough_evidence"):
        kit.write(lambda tx: replace_factor.start_app(tx, app, started.handle, here(kit)))
    assert "stranger’s second step" in Browser(kit, started)("GET", f"/r/{started.handle}").text


@pytest.mark.covers("N-R1", "INV-I9")
def test_the_count_of_people_without_a_way_back_weighs_as_a_recovery_does(kit: Kit) -> None:
    offer = Offer(kit.services.policy, kit.services.proofs)
    strict = replace(kit.services.policy, off=frozenset({"totp"}))
    add_totp(kit, usable_from=new(kit))
    assert kit.run(census(kit.services.db, Offer(strict, kit.services.proofs))).ways["none"] == 0
    kit.clock.forward(hours=73)
    assert kit.run(census(kit.services.db, Offer(strict, kit.services.proofs))).ways["none"] == 1
    assert kit.run(census(kit.services.db, offer)).ways["none"] == 0
    old = active(kit)[0]
    kit.write(lambda tx: tx.factors.touch(old))
    remove(kit, old)
    assert kit.run(census(kit.services.db, offer)).ways["none"] == 1, "mail alone is not enough yet"
    kit.clock.forward(hours=REMOVAL_GRACE // HOUR + 1)
    assert kit.run(census(kit.services.db, offer)).ways["none"] == 0


@pytest.mark.slow
@pytest.mark.covers("F7")
@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("maya.second@example.com", True),
        ("maya@mail.example.com", True),
        ("MAYA@Mail.EXAMPLE.com.", True),
        ("maya@com", True),
        ("maya@notexample.com", False),
        ("maya@example.com.evil.net", False),
        ("maya@example.net", False),
    ],
)
def test_a_mailbox_below_the_primary_ones_domain_is_the_same_channel_everywhere(
    make_kit: Make, address: str, same: bool
) -> None:
    kit = make_kit()
    kit.write(lambda tx: tx.people.save_imported([person("maya")]))
    cid, pid = add_contact(kit, "mail", address), person_id(kit)

    def load(tx: Any) -> Any:
        own, who = tx.contacts.of_person(pid), tx.people.person(pid)
        return (
            own,
            Enrolments(who, tuple(own)),
            readiness.outlook(Enrolments(who, tuple(own)), proofs, policy, "standard", 1),
        )

    proofs, policy = kit.services.proofs, kit.services.policy
    own, holder, outlook = kit.read(load)
    primary = next(c for c in own if c.role == "primary")
    backup = next(c for c in own if c.id == cid)
    expected = f"mail:{primary.id if same else cid}"
    assert channel_of(backup, own) == channel_of(backup, own[::-1]) == expected
    assert [t.channel for t in proofs["backup_email"].targets(holder)] == [expected]
    mailbox = next(o for o in outlook if o.mishap == "mailbox")
    assert bool(mailbox.ways) is not same, "who loses one loses both"


@pytest.mark.slow
@pytest.mark.covers("F1", "INV-I9")
@pytest.mark.parametrize("then", ["lock", "recover"])
def test_a_page_whose_account_was_locked_or_recovered_since_takes_nothing_away(kit: Kit, then: str) -> None:
    tray = fit(kit)
    own = add_totp(kit, usable_from=new(kit))
    kit.clock.forward(minutes=1)
    thief, case = by_mail(kit, tray)
    choose(kit, case.id)
    drain(kit)
    assert [f.id for f in kit.read(lambda tx: replace_factor.lately_added(tx, thief))] == [own]
    kit.clock.forward(minutes=1)
    pid = person_id(kit)
    if then == "lock":
        kit.write(lambda tx: lockdown.lock(tx, pid, False, HERE))
    else:
        _, mine = by_mail(kit, tray)
        choose(kit, mine.id, submission="the owner's own")
        drain(kit)
    assert kit.write(lambda tx: replace_factor.take_away(tx, thief, [own], here(kit))) == 0
    assert own in active(kit)


@pytest.fixture
def nodes(make_kit: Callable[..., Kit], make_database: Callable[[str], str]) -> tuple[Kit, Kit]:
    """Two nodes on one database, with somebody who can sign in."""
    url = make_database("postgres")
    a, b = make_kit(url=url), make_kit(url=url)
    fit(a, person("maya"))
    set_password(a, "maya", OLD)
    return a, b


@pytest.mark.covers("A-7.4.2")
def test_who_is_locked_while_their_password_is_compared_gets_no_session(
    nodes: tuple[Kit, Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = nodes
    pid, real = person_id(a), signin_sign_in._open

    def behind(*args: Any) -> Any:
        b.write(lambda tx: lockdown.lock(tx, pid, False, HERE))
        return real(*args)

    monkeypatch.setattr(signin_sign_in, "_open", behind)
    assert sign_in(a, "maya", OLD) == signin_sign_in.NotSignedIn("wrong")
    assert a.read(lambda tx: tx.sessions.of_person(pid)) == []


@pytest.mark.covers("A-7.4.2")
def test_a_lockdown_waits_for_the_session_that_is_being_opened_and_ends_it(
    nodes: tuple[Kit, Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = nodes
    pid, real = person_id(a), signin_sign_in.step_up.has_second_step
    locking = Thread(target=lambda: b.write(lambda tx: lockdown.lock(tx, pid, False, HERE)))

    def meanwhile(factors: Any) -> bool:
        locking.start()
        with a.services.db.engine.connect() as conn:  # type: ignore[attr-defined]
            while not conn.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar():
                assert locking.is_alive(), "it waits for whoever opens the session"
        return real(factors)

    monkeypatch.setattr(signin_sign_in.step_up, "has_second_step", meanwhile)
    got = sign_in(a, "maya", OLD)
    locking.join()
    assert isinstance(got, SignedIn)
    assert a.read(lambda tx: tx.sessions.of_person(pid)) == []
    assert a.read(lambda tx: sessions.session_of(tx, got.token)) is None


@pytest.mark.covers("A-7.4.2")
def test_a_session_that_a_lockdown_missed_is_no_session(kit: Kit) -> None:
    """However it came to be: a locked account has none that counts."""
    fit(kit)
    done = []
    for locked in (False, True):
        if locked:
            pid = person_id(kit)
            kit.write(lambda tx, pid=pid: lockdown.lock(tx, pid, False, HERE))
        account, owner = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))
        opened = kit.write(lambda tx, w=(account, owner): sessions.open_session(tx, *w, HERE, PRESETS["nist"]))
        done.append(kit.read(lambda tx, t=opened.token: sessions.session_of(tx, t)) is not None)
    assert done == [True, False]
