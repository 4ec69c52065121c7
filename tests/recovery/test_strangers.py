"""What a stranger who knows a user name can do to its owner's recovery: neither end it nor gain by it (ADR 18)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.ports.storage import Imported, ImportedAccount, Tx
from keyback.application.recovery import cancel, extra_mail, mailed_link
from keyback.application.recovery.evidence import Here
from keyback.domain import tokens
from keyback.domain.recovery import case as dc
from keyback.domain.throttling.limits import FETCHED_PER_HOUR, MAILS_PER_HOUR, PLAIN_PER_HOUR
from tests.support.browser import Browser, mailed
from tests.support.kit import Kit, person
from tests.support.steps import (
    HERE,
    Tray,
    accept,
    ask,
    begin,
    case_of,
    choose,
    drain,
    fit,
    secrets_of,
    try_code,
    types,
)

Make = Callable[..., Kit]


def use_up(kit: Kit, tray: Tray, who: str = "maya") -> list[str]:
    """A stranger asks until no mail goes out any more; the tokens of what they sent into the mailbox."""
    before = len(tray.messages)
    for _ in range(5):
        ask(kit, who)
    drain(kit)
    return [secrets_of(x)[0] for x in tray.messages[before:]]


# ── ending what is the owner's ──────────────────────────────────────────────


@pytest.mark.covers("INV-I9", "C16", "A11")
def test_a_stranger_who_asks_ends_nothing_of_the_owner(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    handle, link, code, _ = begin(kit, tray)
    use_up(kit, tray)
    kit.clock.forward(minutes=3)
    use_up(kit, tray)
    assert kit.read(lambda tx: mailed_link.look_at_link(tx, link)).problem is None
    assert try_code(kit, handle, code) == "accepted"


@pytest.mark.covers("INV-I9", "C16")
def test_not_even_a_request_of_the_same_batch(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handles = [ask(kit, "maya").handle for _ in range(3)]
    drain(kit)
    tokens = [secrets_of(x)[0] for x in tray.messages]
    seen = {kit.read(lambda tx, t=t: mailed_link.look_at_link(tx, t)).handle for t in tokens}
    assert seen == set(handles)
    assert [kit.read(lambda tx, t=t: mailed_link.look_at_link(tx, t)).problem for t in tokens] == [None] * 3


@pytest.mark.covers("INV-I1", "INV-I3", "C15", "C16")
def test_of_fifty_at_once_one_goes_on_and_all_others_end(database_url: str, make_kit: Make) -> None:
    """Three requests of one person, each link posted from everywhere at once."""
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    tokens = use_up(kit, tray)
    assert len(tokens) == 3
    here = Here(HERE, kit.services.policy)

    def take(token: str) -> Callable[[Tx], Any]:
        return lambda tx: mailed_link.accept_link(tx, token, held=True, number=None, here=here).problem

    async def go() -> list[Any]:
        return await asyncio.gather(*(kit.services.db.write(take(tokens[n % 3])) for n in range(50)))

    answers = kit.run(go())
    assert answers.count(None) == 1
    assert set(answers) == {None, "used", "overtaken"}
    assert types(kit).count("proof_accepted") == 1


@pytest.mark.covers("C17", "INV-I6")
def test_after_the_new_password_no_link_of_any_request_lives(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handle, link, _, _ = begin(kit, tray)
    assert accept(kit, link) is None
    late = use_up(kit, tray)  # asked for while the owner thinks about a password
    case = case_of(kit, handle)
    assert case is not None
    choose(kit, case.id)
    drain(kit)
    assert late
    assert {accept(kit, t) for t in late} <= {"overtaken", "changed"}


# ── the browser that waits for another mail ─────────────────────────────────


@pytest.mark.covers("C20", "C22", "INV-I2")
def test_no_number_is_taken_where_another_request_is_waited_for(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    mine = ask(kit, "maya")
    drain(kit)
    theirs, link, _, _ = begin(kit, tray)
    right = mailed_link.number_for(kit.services.seals, theirs)
    owner = Browser(kit, mine)
    page = owner.open(link)
    assert page.status_code == 200
    assert 'name="number"' not in page.text
    assert f"/r/{mine.handle}" in page.text
    for number in (right, 109 - right):
        got = owner("POST", "/link/accept", f"number={number}")
        assert 'name="number"' not in got.text
    assert kit.read(lambda tx: mailed_link.look_at_link(tx, link)).problem is None, (
        "nothing was accepted, nothing ended"
    )
    assert case_of(kit, theirs) is None


@pytest.mark.slow
@pytest.mark.covers("C20", "INV-I9")
@pytest.mark.parametrize("stale", ["stopped", "over", "forged", "gone", "done", "names"])
def test_a_cookie_of_a_request_that_is_over_does_not_stand_in_the_way(make_kit: Make, stale: str) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"), person("noor"))
    old = ask(kit, "noor", journey="username" if stale == "names" else "password")
    drain(kit)
    if stale == "stopped":
        kit.write(lambda tx: cancel.stop_by_requester(tx, old.handle))
    elif stale == "over":
        kit.clock.forward(hours=25)
    elif stale == "forged":
        old = replace(old, secret="A" * len(old.secret))
    elif stale == "gone":
        old = replace(old, handle="B" * 22)
    elif stale == "done":
        assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
        case = case_of(kit, old.handle)
        assert case is not None
        choose(kit, case.id)
        drain(kit)
    theirs, link, _, _ = begin(kit, tray)
    browser = Browser(kit, old)
    assert 'name="number"' in browser.open(link).text
    number = mailed_link.number_for(kit.services.seals, theirs)
    assert browser("POST", "/link/accept", f"number={number}").status_code == 200
    assert case_of(kit, theirs) is not None


@pytest.mark.covers("C22", "D1")
def test_what_is_no_number_is_no_guess(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handle, link, _, _ = begin(kit, tray)
    browser = Browser(kit)
    browser.open(link)
    for typed in ("", "7", "x7", "047", "4.7"):
        got = browser("POST", "/link/accept", f"number={typed}")
        assert (got.status_code, 'name="number"' in got.text) == (422, True)
    number = mailed_link.number_for(kit.services.seals, handle)
    assert browser("POST", "/link/accept", f"number={number}").status_code == 200


@pytest.mark.covers("D1", "C20", "INV-I1")
def test_ninety_numbers_at_once_are_one_guess(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    handle, link, _, _ = begin(kit, tray)
    right = mailed_link.number_for(kit.services.seals, handle)
    here = Here(HERE, kit.services.policy)
    guesses = [*[n for n in range(10, 100) if n != right][:49], right]

    async def go() -> list[Any]:
        def guess(n: int) -> Callable[[Tx], Any]:
            return lambda tx: mailed_link.accept_link(tx, link, held=False, number=n, here=here).problem

        return await asyncio.gather(*(kit.services.db.write(guess(n)) for n in guesses))

    answers = kit.run(go())
    assert answers == ["wrong_number"] * 50
    assert case_of(kit, handle) is None
    assert types(kit).count("proof_refused") == 1


@pytest.mark.covers("C20", "D9")
def test_two_people_with_one_mailbox_are_one_guess(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"), person("noor", "maya@example.com"))
    handle = ask(kit, "maya@example.com").handle
    drain(kit)
    first, second = (secrets_of(x)[0] for x in tray.messages)
    right = mailed_link.number_for(kit.services.seals, handle)
    assert accept(kit, first, held=False, number=109 - right) == "wrong_number"
    assert accept(kit, second, held=False, number=right) == "wrong_number"
    kit.clock.forward(minutes=3)
    kit.write(lambda tx: mailed_link.ask_again(tx, handle))
    drain(kit)
    assert len(tray.messages) == 2, "nor a further mail with the same number"


@pytest.mark.covers("C20", "INV-I9")
def test_after_a_wrong_number_a_new_request_has_a_new_number(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handle, link, _, _ = begin(kit, tray)
    assert (
        accept(kit, link, held=False, number=109 - mailed_link.number_for(kit.services.seals, handle)) == "wrong_number"
    )
    other, again, _, _ = begin(kit, tray)
    assert other != handle
    assert accept(kit, again, held=False, number=mailed_link.number_for(kit.services.seals, other)) is None


# ── stopping ────────────────────────────────────────────────────────────────


@pytest.mark.covers("INV-I9", "C20")
def test_stopping_a_strangers_request_leaves_the_owners_alone(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    mine, link, _, _ = begin(kit, tray)
    theirs, other, code, stop = begin(kit, tray)
    for token in (stop, other):  # by the stop link, and once more by the other one
        assert kit.write(lambda tx, t=token: cancel.stop_by_owner(tx, t)).problem in (None, "stopped")
    assert len(tray.to("maya@example.com", "stopped")) == 0
    drain(kit)
    assert len(tray.to("maya@example.com", "stopped")) == 1, "told once"
    assert (accept(kit, other), try_code(kit, theirs, code)) == ("stopped", "stopped")
    kit.clock.forward(minutes=3)
    kit.write(lambda tx: mailed_link.ask_again(tx, theirs))
    drain(kit)
    assert len(tray.to("maya@example.com")) == 2, "it mails no more"
    assert kit.read(lambda tx: tx.intakes.get(theirs)).state == "done", "and its page looks as ever"
    assert accept(kit, link) is None
    assert case_of(kit, mine) is not None


@pytest.mark.covers("INV-I2", "INV-I9")
@pytest.mark.parametrize("which", ["their own mail", "the thief's mail", "a third mail"])
def test_once_something_was_proven_elsewhere_any_mail_stops_it_all(make_kit: Make, which: str) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    mine, _, _, my_stop = begin(kit, tray)
    theirs, link, _, stop = begin(kit, tray)
    third, _, _, third_stop = begin(kit, tray)
    kit.write(lambda tx: cancel.stop_by_requester(tx, third))
    assert accept(kit, link) is None  # by a relay, or by mistake
    token = {"their own mail": my_stop, "the thief's mail": stop, "a third mail": third_stop}[which]
    assert kit.write(lambda tx: cancel.stop_by_owner(tx, token, [mine])).problem is None
    case = case_of(kit, theirs)
    assert case is not None
    assert case.state == dc.State.CANCELLED


@pytest.mark.covers("INV-I9")
def test_who_has_proven_can_stop_a_strangers_request_and_go_on(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    mine, link, _, _ = begin(kit, tray)
    assert accept(kit, link) is None
    _, other, _, stop = begin(kit, tray)
    assert kit.write(lambda tx: cancel.stop_by_owner(tx, stop, [mine])).problem is None
    assert accept(kit, other) == "stopped"
    case = case_of(kit, mine)
    assert case is not None
    assert case.open_to(mine)


# ── mails that are used up ──────────────────────────────────────────────────


@pytest.mark.covers("INV-I9", "A7")
def test_an_owner_whose_mails_were_used_up_fetches_one(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    theirs = use_up(kit, tray)
    mine = ask(kit, "maya")
    drain(kit)
    assert len(tray.messages) == len(theirs) == 3, "withheld"
    owner = Browser(kit, mine)
    assert "/link/fetch" in owner.open(theirs[0]).text
    assert owner("POST", "/link/fetch").status_code == 200
    link = mailed(kit, tray, mine.handle)
    assert "/link/fetch" not in owner.open(theirs[0]).text
    owner("POST", "/link/fetch")
    drain(kit)
    assert len(tray.messages) == 4, "each link once"
    owner.open(link)
    assert owner("POST", "/link/accept").headers["location"] == f"/r/{mine.handle}"
    assert case_of(kit, mine.handle) is not None


@pytest.mark.covers("INV-I9", "A7", "INV-I10")
def test_fifty_presses_at_once_fetch_one_mail(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    theirs = use_up(kit, tray)
    mine = [ask(kit, "maya").handle for _ in range(2)]
    drain(kit)

    async def go() -> list[bool]:
        def press(n: int) -> Callable[[Tx], bool]:
            return lambda tx: extra_mail.fetch(tx, theirs[0], mine[n % 2])

        return await asyncio.gather(*(kit.services.db.write(press(n)) for n in range(50)))

    assert kit.run(go()).count(True) == 1
    drain(kit)
    assert len(tray.messages) == 4


@pytest.mark.covers("A7", "INV-I10")
def test_fetched_mails_have_a_limit_too(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    mine = ask(kit, "maya").handle
    drain(kit)
    token = secrets_of(tray.messages[-1])[0]
    use_up(kit, tray)
    sent = len(tray.messages)
    for _ in range(8):  # each fetched mail fetches the next
        assert kit.write(lambda tx, t=token: extra_mail.fetch(tx, t, mine))
        drain(kit)
        if len(tray.messages) == sent:
            break
        sent, token = len(tray.messages), secrets_of(tray.messages[-1])[0]
    assert sent == MAILS_PER_HOUR + FETCHED_PER_HOUR


@pytest.mark.covers("A7", "INV-I10")
def test_a_fetched_mail_goes_to_the_reader_of_the_mailbox_alone(make_kit: Make) -> None:
    """Somebody's own link must not open the budget of somebody else."""
    kit = make_kit()
    tray = fit(kit, person("maya"), person("eve"))
    use_up(kit, tray)
    own = begin(kit, tray, "eve")[1]
    for_maya, for_nobody = ask(kit, "maya"), ask(kit, "nobody-at-all")
    drain(kit)
    sent = len(tray.messages)
    assert kit.write(lambda tx: extra_mail.fetch(tx, own, for_maya.handle))  # it looks alike for whoever is meant
    drain(kit)
    assert len(tray.messages) == sent
    again = begin(kit, tray, "eve")[1]
    assert kit.write(lambda tx: extra_mail.fetch(tx, again, for_nobody.handle))
    drain(kit)
    assert len(tray.messages) == sent + 1
    # And the exemption is for that one mail, not for the request.
    third = begin(kit, tray, "eve")[1]
    mine = ask(kit, "eve")
    assert kit.write(lambda tx: extra_mail.fetch(tx, third, mine.handle))
    drain(kit)
    before = len(tray.messages)
    kit.clock.forward(minutes=3)
    assert kit.write(lambda tx: mailed_link.ask_again(tx, mine.handle))
    drain(kit)
    assert len(tray.messages) == before


@pytest.mark.covers("C5", "A7")
def test_opening_links_fetches_nothing(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    token = use_up(kit, tray)[0]
    mine = ask(kit, "maya")
    drain(kit)
    browser = Browser(kit, mine)
    for _ in range(20):
        browser.open(token)
        assert browser("GET", "/link/fetch").status_code in (404, 405)
        assert browser("HEAD", "/link").status_code == 200
    drain(kit)
    assert len(tray.messages) == 3
    assert kit.read(lambda tx: tx.challenges.by_link(tokens.token_digest(token))).fetched_at is None


@pytest.mark.slow
@pytest.mark.covers("A7", "INV-I2")
@pytest.mark.parametrize("over", ["a day", "wrong number", "not held", "stop link", "moved", "proven"])
def test_what_fetches_nothing(make_kit: Make, over: str) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    theirs, token, _, stop = begin(kit, tray)
    kit.clock.forward(hours=23)
    mine = ask(kit, "maya")
    drain(kit)
    held = mine
    if over == "a day":
        kit.clock.forward(hours=1)
    elif over == "wrong number":
        wrong = 109 - mailed_link.number_for(kit.services.seals, mine.handle)
        token = mailed(kit, tray, mine.handle)
        assert accept(kit, token, held=False, number=wrong) == "wrong_number"
    elif over == "not held":
        held = replace(mine, secret="A" * len(mine.secret))
    elif over == "stop link":
        token = stop
    elif over == "moved":
        kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), mails=("new@example.com",))]))
    elif over == "proven":
        assert accept(kit, mailed(kit, tray, mine.handle)) is None
    sends = kit.read(lambda tx: tx.intakes.get(mine.handle)).sends
    browser = Browser(kit, held)
    browser.open(token)
    browser("POST", "/link/fetch")
    assert kit.read(lambda tx: tx.intakes.get(mine.handle)).sends == sends
    assert kit.read(lambda tx: tx.intakes.get(theirs)).sends == 1


@pytest.mark.covers("INV-I9", "A7")
def test_an_expired_link_of_a_day_still_fetches(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    _, token, _, _ = begin(kit, tray)
    kit.clock.forward(hours=23)
    use_up(kit, tray)
    mine = ask(kit, "maya")
    drain(kit)
    owner = Browser(kit, mine)
    page = owner.open(token)
    assert page.status_code == 410
    assert "/link/again" not in page.text, "which would send one for the stranger"
    assert owner("POST", "/link/fetch").status_code == 200
    mailed(kit, tray, mine.handle)


@pytest.mark.covers("INV-I9", "A7")
@pytest.mark.parametrize("journey", ["username", "password"])
def test_mails_without_a_link_never_use_up_the_hour(make_kit: Make, journey: str) -> None:
    """Of names, or of one system whose password lies elsewhere: what a flood of them leaves brings a link."""
    kit = make_kit()
    mine = (ImportedAccount("builtin", "maya", "maya"), ImportedAccount("sso", "1", "maya", provider="Example ID"))
    tray = fit(kit, Imported("maya", "Maya", "en", "standard", "active", ("maya@example.com",), mine))
    for _ in range(6):
        ask(kit, "maya", journey=journey, system="sso")
    drain(kit)
    assert len(tray.messages) == PLAIN_PER_HOUR
    begin(kit, tray)
    assert len(tray.to("maya@example.com")) == 1


# ── keeping a case open ─────────────────────────────────────────────────────


@pytest.mark.covers("C20", "INV-I9")
def test_a_case_that_a_stranger_keeps_open_knows_what_the_person_has_now(make_kit: Make) -> None:
    kit = make_kit()
    one = ImportedAccount("builtin", "maya", "maya")
    maya = Imported("maya", "Maya", "en", "standard", "active", ("maya@example.com",), (one,))
    tray = fit(kit, maya)
    begin(kit, tray)  # a stranger's, and never answered
    kit.clock.forward(hours=20)
    now = replace(maya, accounts=(one, ImportedAccount("builtin", "admin", "maya-admin", privileged=True)))
    kit.write(lambda tx: tx.people.save_imported([now]))
    handle, link, _, _ = begin(kit, tray)
    assert accept(kit, link) is None
    case = case_of(kit, handle)
    assert case is not None
    assert (case.tier, len(case.accounts)) == ("privileged", 2)


@pytest.mark.covers("INV-I9", "INV-I10")
def test_nobody_keeps_a_case_open_for_ever(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    opened = set()
    for _ in range(6):  # one every twenty hours
        begin(kit, tray)
        opened |= {c.id for c in kit.read(lambda tx: tx.cases.listed(state=None, limit=9))}
        kit.clock.forward(hours=20)
    assert len(opened) == 2
    spans = [(c.expires_at - c.opened_at) for c in kit.read(lambda tx: tx.cases.listed(state=None, limit=9))]
    assert max(spans) == dc.MAX_LIFE
