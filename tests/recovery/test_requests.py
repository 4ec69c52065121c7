"""Asking for a recovery changes nothing, floods nobody, tells nothing, and mails stored addresses only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.ports.storage import ImportedAccount
from keyback.application.recovery import cancel, mailed_link, new_password, resolve, start
from keyback.application.recovery.start import Started
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.recovery.case import State
from keyback.domain.secret import Secret
from keyback.testing.mailbox import Mailbox
from tests.support.kit import Clock, Kit, person
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
    page_of,
    secrets_of,
    set_password,
    sign_in,
    statements,
    try_code,
    types,
)

Make = Callable[..., Kit]


def ask_many(kit: Kit, identifier: str, n: int) -> list[str]:
    s = kit.services
    values: Any = {"journey": "password", "system": "", "locale": "en", "origin": HERE, "now": kit.clock()}

    async def go() -> list[Started]:
        return await asyncio.gather(*(start.write_down(s.db, s.seals, identifier, **values) for _ in range(n)))

    return [started.handle for started in kit.run(go())]


# ── flooding ────────────────────────────────────────────────────────────────


@pytest.mark.covers("A7", "INV-I10", "O-F3", "A-2.4.1")
def test_five_hundred_requests_bring_three_mails(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    handles = ask_many(kit, "maya", 500)
    worker = drain(kit)
    assert len(set(handles)) == 500
    assert len(tray.messages) <= 3
    assert worker.tally.intakes == 500
    assert types(kit).count("mail_withheld") == worker.tally.withheld == 497
    # The mail that came last works, whatever was withheld after it.
    last = tray.messages[-1]
    assert accept(kit, secrets_of(last)[0]) is None


@pytest.mark.slow
@pytest.mark.covers("A7", "O-F3")
def test_a_flood_that_goes_on_brings_three_mails_an_hour_and_ten_a_day(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"), person("noor"))
    a_day: list[int] = []
    for _ in range(24):
        before = len(tray.messages)
        for _ in range(3):
            ask_many(kit, "maya", 5)
            drain(kit)
            kit.clock.forward(minutes=20)
        a_day.append(len(tray.messages) - before)
    assert max(a_day) <= 3
    assert sum(a_day) == 10
    assert a_day[:4] == [3, 3, 3, 1]
    ask(kit, "noor")
    drain(kit)
    assert len(tray.to("noor@example.com")) == 1  # nobody else pays for it


@pytest.mark.covers("A7", "INV-I9")
def test_the_budget_is_there_again_later(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    ask_many(kit, "maya", 3)
    drain(kit)
    sent = len(tray.messages)
    kit.clock.forward(hours=25)
    ask(kit, "maya")
    drain(kit)
    assert len(tray.messages) == sent + 1


@pytest.mark.covers("A11", "J1", "INV-I9", "O-F2", "O-F11")
def test_requests_change_nothing_for_who_signs_in(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    set_password(kit, "maya")
    before = sign_in(kit, "maya", OLD)
    for _ in range(20):
        ask(kit, "maya")
        drain(kit)
    after = sign_in(kit, "maya", OLD)
    assert type(before).__name__ == type(after).__name__ == "SignedIn"
    from keyback.application.signin.sessions import session_of

    assert kit.read(lambda tx: session_of(tx, before.token)) is not None  # type: ignore[union-attr]


# ── whose mail ──────────────────────────────────────────────────────────────


@pytest.mark.covers("B4", "B5")
def test_mail_goes_to_the_stored_address_byte_for_byte(make_kit: Make) -> None:
    stored = "Miκe.O'Neil+CRM@Example.com".replace("κ", "k")
    with Mailbox() as mailbox:
        kit = make_kit(mail={"port": mailbox.port})
        kit.write(lambda tx: tx.people.save_imported([person("mike", stored)]))
        alike = ["miKe.o'neil+crm@example.com", "ＭＩＫＥ.O'NEIL+crm@EXAMPLE.com", " Mike.o'neil+CRM@example.COM\t"]
        for typed in alike:
            ask(kit, typed)
            drain(kit)
        found = mailbox.wait_for(stored, 3)
        assert [m["to"] for m in mailbox.messages()] == [stored] * 3
        assert len(found) == 3


LOOK_ALIKES = [
    "mıke@example.com",
    "mİke@example.com",
    "mike@exämple.com",
    "mike@example.com,eve@example.net",
    "mike@example.com;eve@example.net",
    "mike@example.com|eve@example.net",
    "mike@example.com eve@example.net",
    "mike%",
    "mike@example.com%",
    "' OR 1=1 --",
    "m_ke@example.com",
]


@pytest.mark.covers("B1", "B4", "B5", "B6")
def test_a_look_alike_reaches_nobody(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("mike"))
    for typed in LOOK_ALIKES:
        ask(kit, typed)
    worker = drain(kit)
    assert (tray.messages, worker.tally.ghosts) == ([], len(LOOK_ALIKES))


@pytest.mark.covers("B6", "B15")
def test_what_cannot_be_an_identifier_is_never_stored(make_kit: Make) -> None:
    kit = make_kit()
    for typed in ("mi\u200bke", "mike\x00", "\u202emike", "x" * 300, "", "\ud800"):
        with pytest.raises(BadInput):
            ask(kit, typed)
    assert kit.read(lambda tx: tx.intakes.waiting()) == 0


@pytest.mark.covers("C20", "D9")
def test_two_people_with_one_mailbox_each_get_their_own(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("ann", "team@example.com"), person("bob", "team@example.com"))
    set_password(kit, "ann")
    set_password(kit, "bob")
    started = ask(kit, "team@example.com")
    drain(kit)
    mails = {str(x.content.username): secrets_of(x) for x in tray.to("team@example.com")}
    assert set(mails) == {"ann", "bob"}
    assert accept(kit, mails["ann"][0]) is None
    case = case_of(kit, started.handle)
    assert case is not None
    options = kit.read(lambda tx: new_password.choice(tx, case.id, page_of(tx, case.id), kit.services.policy))
    assert [a.username for a in options.accounts] == ["ann"]
    theirs = kit.read(lambda tx: tx.people.account_by_username("builtin", "bob"))[0].id
    with pytest.raises(Refusal, match="no_accounts"):
        choose(kit, case.id, accounts=[theirs])
    choose(kit, case.id)
    drain(kit)
    assert type(sign_in(kit, "ann", NEW)).__name__ == "SignedIn"
    assert type(sign_in(kit, "bob", OLD)).__name__ == "SignedIn"


@pytest.mark.covers("B1", "INV-I10")
def test_an_address_of_a_crowd_tells_nobody(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, *(person(f"p{n}", "all@example.com") for n in range(resolve.MAX_PEOPLE + 1)))
    ask(kit, "all@example.com")
    drain(kit)
    assert tray.messages == []


# ── who may come back ───────────────────────────────────────────────────────

STATES: dict[str, tuple[Any, set[str]]] = {
    "active": (person("maya"), {"recovery"}),
    "locked": (
        replace(person("maya"), accounts=(ImportedAccount("builtin", "maya", "maya", state="locked"),)),
        {"recovery"},
    ),
    "person disabled": (person("maya", state="disabled"), set()),
    "account disabled": (
        replace(person("maya"), accounts=(ImportedAccount("builtin", "maya", "maya", state="disabled"),)),
        set(),
    ),
    "single sign-on": (person("maya", provider="Entra"), {"elsewhere"}),
    "no account": (replace(person("maya"), accounts=()), set()),
    "no mail": (replace(person("maya"), mails=()), set()),
    "one of two disabled": (
        replace(
            person("maya"),
            accounts=(
                ImportedAccount("builtin", "maya", "maya"),
                ImportedAccount("crm", "7", "maya.crm", state="disabled"),
            ),
        ),
        {"recovery"},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.covers("E16", "INV-I5")
@pytest.mark.parametrize("journey", ["password", "username"])
def test_which_mail_each_state_gets(make_kit: Make, journey: str) -> None:
    kit = make_kit()
    tray = fit(kit)
    for n, (state, (who, expected)) in enumerate(STATES.items()):
        key = f"maya{n}"
        accounts = tuple(
            replace(a, external_id=f"{key}/{a.system}", username=f"{key}.{a.system}") for a in who.accounts
        )
        mails = (f"{key}@example.com",) if who.mails else ()
        one = replace(who, key=key, mails=mails, accounts=accounts)
        kit.write(lambda tx, one=one: tx.people.save_imported([one]))
        tray.messages.clear()
        started = ask(kit, mails[0] if mails else accounts[0].username, journey=journey)
        drain(kit)
        if journey == "username":
            expected = {"logins"} if expected else set()
        assert ({str(x.kind) for x in tray.messages}, state) == (expected, state)
        assert {x.to for x in tray.messages} <= {f"{key}@example.com"}
        shown = kit.read(lambda tx, h=started.handle: tx.intakes.get(h))
        assert (shown.state, shown.case_id, shown.tries) == ("done", None, 0)  # the same for every state


@pytest.mark.covers("E16", "N-R14")
def test_who_was_disabled_on_the_way_does_not_come_back(make_kit: Make) -> None:
    kit = make_kit()
    for stage in ("mailed", "proven", "chosen"):
        name = f"p{stage}"
        tray = fit(kit, person(name))
        set_password(kit, name)
        handle, token, _, _ = begin(kit, tray, name)
        if stage != "mailed":
            assert accept(kit, token) is None
        case = case_of(kit, handle)
        if stage == "chosen":
            assert case is not None
            choose(kit, case.id)
        gone = replace(person(name), accounts=(ImportedAccount("builtin", name, name, state="disabled"),))
        kit.write(lambda tx, gone=gone: tx.people.save_imported([gone]))
        if stage == "mailed":
            assert accept(kit, token) == "changed"
        elif stage == "proven":
            assert case is not None
            with pytest.raises(Refusal):
                choose(kit, case.id)
        drain(kit)
        account = kit.read(lambda tx, name=name: tx.people.account_by_username("builtin", name))[0]
        assert account.state == "disabled"
        assert type(sign_in(kit, name, NEW)).__name__ == "NotSignedIn"
        if stage == "chosen":
            assert [r.result for r in case_of(kit, handle).results] == ["refused"]  # type: ignore[union-attr]


# ── ghosts ──────────────────────────────────────────────────────────────────


@pytest.mark.covers("INV-I5", "A3", "D5")
def test_a_ghost_answers_like_a_person_in_the_same_statements(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"))
    real, ghost = ask(kit, "maya").handle, ask(kit, "nobody").handle
    drain(kit)
    db, mailed = kit.services.db, kit.services.proofs["email_link"]

    def at_once(handle: str) -> tuple[list[Any], list[str]]:
        out: list[Any] = []
        with statements(kit) as seen:
            out.append(kit.run(mailed_link.try_code(db, mailed, handle, "1234", here(kit))))
            for _ in range(6):
                out.append(kit.run(mailed_link.try_code(db, mailed, handle, "00000000", here(kit))))
                seen.append("-- next")
            out.append(kit.write(lambda tx: mailed_link.ask_again(tx, handle)))
            found = kit.read(lambda tx: tx.intakes.get(handle))
            out.append((found.state, found.tries, found.sends, found.case_id, found.expires_at - found.asked_at))
            out.append(mailed_link.seconds_to_resend(found, kit.clock()))
        return out, [s for s in seen if "clock_timestamp" not in s]

    def later(handle: str) -> tuple[list[Any], list[str]]:
        out: list[Any] = []
        with statements(kit) as seen:
            out.append(kit.write(lambda tx: mailed_link.ask_again(tx, handle)))
            out.append(kit.run(mailed_link.try_code(db, mailed, handle, "00000000", here(kit))))
        return out, [s for s in seen if "clock_timestamp" not in s]

    found = [at_once(real), at_once(ghost)]  # side by side: time goes forward only
    assert found[0] == found[1]
    assert [a[0] for a in found[0][0][:7]] == ["not_a_code"] + ["wrong_code"] * 5 + ["no_tries"]
    assert found[0][0][7] is False, "two minutes are not over"
    kit.clock.forward(minutes=3)
    found = [later(real), later(ghost)]
    assert found[0] == found[1]
    assert found[0][0][0] is True


@pytest.mark.covers("INV-I5", "A1")
def test_stopping_and_coming_back_is_the_same_for_ghosts(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    real, ghost = ask(kit, "maya").handle, ask(kit, "nobody").handle
    drain(kit)
    seen = []
    for handle in (real, ghost):
        kit.write(lambda tx, handle=handle: cancel.stop_by_requester(tx, handle))
        found = kit.read(lambda tx, handle=handle: tx.intakes.get(handle))
        again = kit.write(lambda tx, handle=handle: mailed_link.ask_again(tx, handle))
        seen.append((found.state, found.case_id, again, try_code(kit, handle, "00000000")))
    assert seen[0] == seen[1] == ("stopped", None, False, "no_tries")


@pytest.mark.covers("INV-I5", "C9")
def test_the_answer_to_a_request_hangs_on_nothing_but_chance(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"), person("gone", state="disabled"))
    with statements(kit) as seen:
        shapes = set()
        for who in ("maya", "gone", "nobody", "maya@example.com", "李雷"):
            before = len(seen)
            started = ask(kit, who)
            shapes.add((len(started.handle), len(started.secret), started.expires_at, tuple(seen[before:])))
    assert len(shapes) == 1


# ── what lies in the database ───────────────────────────────────────────────


@pytest.mark.covers("C9", "C12", "INV-I4", "O-F4")
def test_no_secret_of_a_recovery_lies_in_the_database(database_url: str, make_kit: Make) -> None:
    from tests.support.rows import dump

    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    ask(kit, "canary typed into the wrong field")
    handle, token, code, stop = begin(kit, tray)
    started = ask(kit, "maya")
    canaries = [
        token,
        code,
        stop,
        started.secret,
        "canary typed",
        kit.services.seals.derive("challenge").decode("latin-1"),
    ]
    assert not [c for c in canaries if c in dump(kit.services.db)]  # type: ignore[arg-type]
    assert accept(kit, token) is None
    case = case_of(kit, handle)
    assert case is not None
    choose(kit, case.id, Secret("canary password of nine words"))
    canaries.append("canary password")
    while_waiting = dump(kit.services.db)  # type: ignore[arg-type]
    drain(kit)
    afterwards = dump(kit.services.db)  # type: ignore[arg-type]
    assert not [c for c in canaries if c in while_waiting or c in afterwards]
    assert case_of(kit, handle).state == State.CLOSED  # type: ignore[union-attr]


@pytest.mark.covers("INV-I7", "N-R12", "O-F9", "A-6.3.7")
def test_every_contact_is_told_of_what_was_done(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya", "maya@example.com", "maya@example.org"))
    handle, token, _, _ = begin(kit, tray)
    assert [x.to for x in tray.messages] == ["maya@example.com"]  # proof goes to one, news to all
    assert accept(kit, token) is None
    choose(kit, case_of(kit, handle).id)  # type: ignore[union-attr]
    drain(kit)
    assert sorted(x.to for x in tray.messages if x.kind == "changed") == ["maya@example.com", "maya@example.org"]
    assert types(kit).count("recovered") == 1
    for x in tray.messages:
        if x.kind == "changed":
            assert [k for k, v in vars(x.content).items() if isinstance(v, Secret)] == ["stop_link"], "to lock it by"


def test_a_kit_of_its_own_clock_is_used(make_kit: Make) -> None:
    clock = Clock(1_800_000_000_000)
    kit = make_kit(clock=clock)
    assert kit.read(lambda tx: tx.now) == clock.now
