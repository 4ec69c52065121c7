"""Proving and choosing: once, newest only, bound to the person, counted before it is compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.ports.storage import StorageDown
from keyback.application.recovery import apply, cancel, mailed_link, new_password
from keyback.application.signin.sessions import SignedIn, session_of
from keyback.application.signin.sign_in import NotSignedIn
from keyback.domain.challenges import challenge as ch
from keyback.domain.errors import Refusal
from keyback.domain.recovery.case import State
from keyback.domain.secret import Secret
from keyback.domain.throttling.password_attempts import FREE_ATTEMPTS
from tests.support.databases import with_database
from tests.support.kit import Kit, person
from tests.support.steps import (
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
    proven,
    secrets_of,
    set_password,
    sign_in,
    try_code,
)

Make = Callable[..., Kit]


def wrong(code: str, n: int = 1) -> str:
    return f"{(int(code) + n) % 10**8:08}"


# ── links ───────────────────────────────────────────────────────────────────


@pytest.mark.covers("C14", "C16", "D10", "INV-I1")
def test_link_and_code_work_once_and_end_those_of_others(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    mails = []
    for _ in range(3):
        mails.append(begin(kit, tray))
        kit.clock.forward(minutes=1)
    (h1, l1, c1, _), (h2, l2, c2, _), (h3, l3, c3, _) = mails
    assert try_code(kit, h3, c3) == "accepted"
    assert [accept(kit, link) for link in (l1, l2)] == ["overtaken", "overtaken"]
    assert [try_code(kit, h, c) for h, c in ((h1, c1), (h2, c2))] == ["overtaken", "overtaken"]
    assert try_code(kit, h3, c3) == "done"
    assert accept(kit, l3) == "used"
    assert case_of(kit, h1) is None
    assert case_of(kit, h2) is None


@pytest.mark.covers("C16", "D3")
def test_a_mail_asked_for_again_voids_the_one_before(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handle, link, code, _ = begin(kit, tray)
    kit.clock.forward(minutes=2)
    assert kit.write(lambda tx: mailed_link.ask_again(tx, handle))
    drain(kit)
    _, newer, _ = secrets_of(tray.messages[-1])
    assert (accept(kit, link), try_code(kit, handle, code)) == ("replaced", "replaced")
    assert try_code(kit, handle, newer) == "accepted"


@pytest.mark.covers("C15", "INV-I1", "A-15.4.2", "O-F4")
def test_fifty_uses_of_one_link_at_once(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    handle, link, _, _ = begin(kit, tray)

    async def go() -> list[mailed_link.LinkView]:
        db = kit.services.db
        uses = [
            db.write(lambda tx: mailed_link.accept_link(tx, link, held=True, number=None, here=here(kit)))
            for _ in range(50)
        ]
        return list(await asyncio.gather(*uses))

    problems = [v.problem for v in kit.run(go())]
    assert problems.count(None) == 1
    assert problems.count("used") == 49
    case = case_of(kit, handle)
    assert case is not None
    assert len(case.evidence) == 1


@pytest.mark.slow
@pytest.mark.covers("C17", "INV-I6")
@pytest.mark.parametrize("change", ["password", "mail", "person disabled", "account disabled", "sign-in"])
def test_a_link_dies_with_what_it_was_sent_for(make_kit: Make, change: str) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    handle, link, code, _ = begin(kit, tray)
    if change == "password":
        kit.clock.forward(minutes=1)
        second, newer, _, _ = begin(kit, tray)
        assert accept(kit, newer) is None
        choose(kit, case_of(kit, second).id)  # type: ignore[union-attr]
        drain(kit)
    elif change == "sign-in":
        assert isinstance(sign_in(kit, "maya", OLD), SignedIn)
    else:
        one = person("maya")
        other = {
            "mail": replace(one, mails=("maya@example.org",)),
            "person disabled": replace(one, state="disabled"),
            "account disabled": replace(one, accounts=(replace(one.accounts[0], state="disabled"),)),
        }[change]
        kit.write(lambda tx: tx.people.save_imported([other]))
    why = {"password": "overtaken", "person disabled": "off"}.get(change, "changed")
    assert (accept(kit, link), try_code(kit, handle, code)) == (why, why)
    assert case_of(kit, handle) is None


@pytest.mark.covers("C17", "E2")
def test_a_mailbox_that_is_taken_away_after_the_proof_is_no_evidence_any_more(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), mails=("maya@example.org",))]))
    with pytest.raises(Refusal, match="not_enough_evidence"):
        choose(kit, case_id)
    kit.clock.forward(minutes=1)
    ask(kit, "maya")  # the new mailbox may prove the same case
    drain(kit)
    assert accept(kit, secrets_of(tray.to("maya@example.org")[-1])[0]) is None
    choose(kit, case_id)


@pytest.mark.covers("C17", "N-R11", "A-8.3.2")
def test_a_tier_that_rises_after_the_proof_counts(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    kit.write(lambda tx: tx.people.save_imported([person("maya", tier="mfa")]))
    with pytest.raises(Refusal, match="not_enough_evidence"):
        choose(kit, case_id)


@pytest.mark.covers("N-R11", "E1")
def test_mail_alone_is_not_enough_for_who_has_a_factor(make_kit: Make) -> None:
    kit = make_kit()
    for tier in ("mfa", "privileged"):
        tray = fit(kit, person(tier, tier=tier))
        handle, link, _, _ = begin(kit, tray, tier)
        assert accept(kit, link) is None
        case = case_of(kit, handle)
        assert case is not None
        assert case.state == State.PROVING
        with pytest.raises(Refusal, match="not_enough_evidence"):
            choose(kit, case.id)


@pytest.mark.covers("C17", "N-R5", "O-F4")
def test_links_and_codes_end_with_their_time(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    handle, link, code, _ = begin(kit, tray)
    kit.clock.now += ch.CODE_LIFE - 1
    assert try_code(kit, handle, wrong(code)) == "wrong_code"
    kit.clock.now += 1
    assert try_code(kit, handle, code) == "expired"
    kit.clock.now += ch.LINK_LIFE - ch.CODE_LIFE
    assert accept(kit, link) == "expired"


@pytest.mark.covers("C20", "C22")
def test_a_wrong_number_ends_the_link_and_none_takes_nothing(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"), person("noor"))
    handle, link, _, stop = begin(kit, tray)
    right = mailed_link.number_for(kit.services.seals, handle)
    with pytest.raises(Refusal, match="number_needed"):
        accept(kit, link, held=False, number=None)
    assert case_of(kit, handle) is None  # looking is not accepting
    assert accept(kit, stop, held=True) == "unknown"  # the stop link can do nothing else
    assert accept(kit, link, held=False, number=109 - right) == "wrong_number"
    assert accept(kit, link, held=False, number=right) == "wrong_number"
    assert accept(kit, link, held=True) == "wrong_number"
    assert case_of(kit, handle) is None


@pytest.mark.covers("C22", "INV-I2")
def test_no_step_can_be_skipped(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    begin(kit, tray)
    pid = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[1].id
    case = kit.read(lambda tx: tx.cases.open_of([pid]))[pid]
    with pytest.raises(Refusal, match="not_enough_evidence"):
        choose(kit, case.id)
    with pytest.raises(Refusal, match="not_found"):
        choose(kit, "x" * 22)
    kit.write(lambda tx: cancel.cancel(tx, case.id, "owner"))
    with pytest.raises(Refusal, match="wrong_state"):
        choose(kit, case.id)
    with pytest.raises(Refusal, match="wrong_state"):
        kit.write(lambda tx: cancel.cancel(tx, case.id, "owner"))
    drain(kit)
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)


@pytest.mark.covers("C22")
def test_the_time_for_a_password_ends(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    kit.clock.forward(minutes=20)
    with pytest.raises(Refusal, match="expired"):
        choose(kit, case_id)
    assert kit.write(apply.give_up) == 1
    with pytest.raises(Refusal, match="wrong_state"):
        choose(kit, case_id)


# ── codes ───────────────────────────────────────────────────────────────────


@pytest.mark.covers("D5", "D9", "C20")
def test_a_code_means_nothing_in_another_recovery(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, *(person(f"p{n}") for n in range(12)))
    mails = [begin(kit, tray, f"p{n}") for n in range(12)]
    mine = mails[0]
    ghost = ask(kit, "nobody").handle
    drain(kit)
    for _, _, code, _ in mails[1:5]:
        assert try_code(kit, mine[0], code) == "wrong_code"
    for _, _, code, _ in mails[1:6]:
        assert try_code(kit, ghost, code) == "wrong_code"
    with pytest.raises(Refusal, match="not_found"):
        try_code(kit, "x" * 22, mails[6][2])
    assert try_code(kit, mine[0], mine[2]) == "accepted"
    assert [h for h, *_ in mails[1:] if case_of(kit, h)] == []


@pytest.mark.covers("D2", "D3", "D1", "A-6.6.3")
def test_tries_count_for_the_person_over_all_recoveries_and_resends(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    for _ in range(2):
        handle, _, code, _ = begin(kit, tray)
        assert [try_code(kit, handle, wrong(code, n)) for n in range(1, 6)] == ["wrong_code"] * 5
        assert try_code(kit, handle, code) == "no_tries"
        kit.clock.forward(minutes=2)
        assert kit.write(lambda tx, h=handle: mailed_link.ask_again(tx, h))
        assert try_code(kit, handle, code) == "no_tries"  # asking again gives no tries back
        kit.write(lambda tx, h=handle: cancel.stop_by_requester(tx, h))
        drain(kit)
    handle, link, code, _ = begin(kit, tray)
    assert try_code(kit, handle, code) == "wrong_code"  # the eleventh in an hour is not looked at
    assert accept(kit, link) is None  # and the owner of the mailbox still gets in (I9)


@pytest.mark.slow
@pytest.mark.covers("D4", "N-T4")
def test_after_a_hundred_failures_in_a_row_codes_are_off_until_a_link_was_used(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    pid = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[1].id
    failures = 0
    while failures < 100:
        kit.clock.forward(hours=9)
        handle, _, code, _ = begin(kit, tray)
        for n in range(1, 6):
            assert try_code(kit, handle, wrong(code, n)) == "wrong_code"
            failures += 1
    assert kit.read(lambda tx: tx.counters.get(f"code/{pid}")).total == 100
    kit.clock.forward(hours=25)
    handle, link, code, _ = begin(kit, tray)
    assert try_code(kit, handle, code) == "wrong_code"
    assert accept(kit, link) is None
    kit.write(lambda tx: cancel.cancel(tx, case_of_tx(tx, handle), "owner"))
    handle, _, code, _ = begin(kit, tray)
    assert try_code(kit, handle, code) == "accepted"


def case_of_tx(tx: Any, handle: str) -> str:
    return str(tx.intakes.get(handle).case_id)


@pytest.mark.covers("N-T4", "D4", "INV-I9", "N-P12")
def test_a_hundred_wrong_passwords_switch_it_off_and_recovery_stays_open(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    pid = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0].id
    kit.write(lambda tx: tx.counters.add([f"pw/{pid}"] * 100))  # as patient guessing from many networks leaves it
    assert sign_in(kit, "maya", OLD) == NotSignedIn("wrong"), "a stranger does not learn that it is the right one"
    choose(kit, proven(kit, tray))
    drain(kit)
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn)


@pytest.mark.slow
@pytest.mark.covers("D13", "A-16.5.3")
def test_without_the_database_nothing_is_accepted(make_kit: Make, make_database: Callable[[str], str]) -> None:
    url = make_database("postgres")
    kit = make_kit(url=url)
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    handle, link, code, _ = begin(kit, tray)
    db: Any = kit.services.db
    base = url.replace(url.split("/")[3].split("?")[0], "postgres")
    name = url.split("/")[3].split("?")[0]
    assert with_database(base, name) == url
    from tests.support.databases import run_as_admin

    run_as_admin(base, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    run_as_admin(base, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    for attempt in (
        lambda: try_code(kit, handle, code),
        lambda: accept(kit, link),
        lambda: sign_in(kit, "maya", OLD),
        lambda: ask(kit, "maya"),
        lambda: kit.write(lambda tx: mailed_link.ask_again(tx, handle)),
    ):
        with pytest.raises(StorageDown):
            attempt()
    run_as_admin(base, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert try_code(kit, handle, code) == "accepted"
    assert db.sqlite is False


# ── choosing ────────────────────────────────────────────────────────────────


@pytest.mark.covers("C15", "E15", "INV-I1", "INV-I6", "A-15.4.2")
def test_fifty_different_passwords_at_once_and_one_wins(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    words = [Secret(f"supper ladder teapot {n}") for n in range(50)]

    async def go() -> list[Any]:
        def fn(n: int) -> Callable[[Any], Any]:
            return lambda tx: new_password.choose(tx, case_id, page_of(tx, case_id), words[n], [], f"s{n}", here(kit))

        return list(await asyncio.gather(*(kit.services.db.write(fn(n)) for n in range(50)), return_exceptions=True))

    answers = kit.run(go())
    winners = [n for n, a in enumerate(answers) if not isinstance(a, Exception)]
    assert len(winners) == 1
    others = [a for a in answers if isinstance(a, Exception)]
    assert {(type(a), a.code, a.values["same"]) for a in others} == {(Refusal, "already_chosen", False)}
    drain(kit)
    assert isinstance(sign_in(kit, "maya", words[winners[0]]), SignedIn)
    assert sign_in(kit, "maya", words[(winners[0] + 1) % 50]) == NotSignedIn("wrong")
    assert [x.kind for x in tray.messages].count("changed") == 1


@pytest.mark.covers("E15")
def test_the_same_form_twice_is_one_act(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    choose(kit, case_id, submission="form-1")
    for later in (False, True):
        with pytest.raises(Refusal) as again:
            choose(kit, case_id, submission="form-1")
        assert (again.value.code, again.value.values["same"]) == ("already_chosen", True)
        if not later:
            drain(kit)
    assert kit.read(lambda tx: tx.outbox.depth()) == {}
    assert [x.kind for x in tray.messages].count("changed") == 1


@pytest.mark.covers("E4", "E1", "INV-I6", "O-F10")
def test_every_session_is_dead_and_none_is_opened(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"), person("noor"))
    for name in ("maya", "noor"):
        set_password(kit, name)
    mine = [sign_in(kit, "maya", OLD) for _ in range(3)]
    theirs = sign_in(kit, "noor", OLD)
    case_id = proven(kit, tray)
    live = lambda s: kit.read(lambda tx: session_of(tx, s.token)) is not None  # noqa: E731
    assert all(live(s) for s in mine)
    choose(kit, case_id)
    assert not any(live(s) for s in mine)
    late = sign_in(kit, "maya", OLD)  # between the choice and its being carried out the old one still works
    drain(kit)
    assert isinstance(late, SignedIn)
    assert not live(late)
    pid = mine[0].person.id  # type: ignore[union-attr]
    assert kit.read(lambda tx: tx.sessions.of_person(pid)) == []
    assert live(theirs)
    assert sign_in(kit, "maya", OLD) == NotSignedIn("wrong")


@pytest.mark.covers("B7", "L10")
def test_one_counter_whatever_form_of_the_name(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    set_password(kit, "maya")
    forms = ["maya", "MAYA", " maya ", "ｍａｙａ", "maya@example.com", "MAYA@EXAMPLE.COM"]
    bad = [Secret(f"not the password {n}") for n in range(FREE_ATTEMPTS)]
    slow = NotSignedIn("slow_down", 30)
    answers = [sign_in(kit, form, b) for form, b in zip(forms, bad, strict=False)]
    assert set(answers) == {NotSignedIn("wrong")}
    for form in forms:
        assert sign_in(kit, form, OLD) == slow
    unknown = [sign_in(kit, f, b) for f, b in zip(["nobody", "NOBODY ", "ｎｏｂｏｄｙ"] * 2, [*bad, OLD], strict=True)]
    assert unknown == [NotSignedIn("wrong")] * FREE_ATTEMPTS + [slow]


@pytest.mark.covers("N18", "INV-I12")
def test_a_password_that_a_system_refuses_may_be_chosen_anew(make_kit: Make) -> None:
    from keyback.application.ports.connectors import Outcome, Step

    class Strict:
        name, title, url = "builtin", "Strict", None
        answers = [Outcome(Step.SET, "refused", "policy_rejected", "too like an old one"), Outcome(Step.SET, "done")]

        async def apply(self, plan: Any) -> list[Outcome]:
            return [self.answers.pop(0)]

        async def close(self) -> None:
            return None

    kit = make_kit()
    tray = fit(kit, person("maya"))
    kit.services = replace(kit.services, connectors={"builtin": Strict()})  # type: ignore[dict-item]
    case_id = proven(kit, tray)
    choose(kit, case_id, submission="one")
    drain(kit)
    assert kit.read(lambda tx: tx.cases.get(case_id)).state == State.APPROVED
    assert (
        len(kit.read(lambda tx: new_password.choice(tx, case_id, page_of(tx, case_id), kit.services.policy)).accounts)
        == 1
    )
    choose(kit, case_id, submission="two")
    drain(kit)
    assert kit.read(lambda tx: tx.cases.get(case_id)).state == State.CLOSED
