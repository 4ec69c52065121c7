"""Guessing passwords, keeping owners out by guessing, and learning from how guesses are answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text

from keyback.application import known_devices
from keyback.application.origin import Origin
from keyback.application.ports.hashing import Busy
from keyback.application.ports.storage import Tx
from keyback.application.signin import sign_in as signin_sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.application.throttling import password_attempts
from keyback.domain.passwords.rules import DAY
from keyback.domain.secret import Secret
from keyback.domain.throttling.limits import HARD_CAP
from keyback.domain.throttling.password_attempts import BUDGET, FREE_ATTEMPTS, MAX_PER_SOURCE
from keyback.domain.units import HOUR
from tests.support.enrolled import SMS, person_id
from tests.support.guessing import WRONG, Make, guess, owned, somewhere, tray_and
from tests.support.kit import Kit, person
from tests.support.steps import HERE, NEW, OLD, choose, drain, proven, sign_in

pytestmark = pytest.mark.both

MINUTE = 60_000


def own_browser(kit: Kit, origin: Origin = HERE) -> Origin:
    """A browser that Maya signed in with."""
    return replace(origin, device=kit.write(lambda tx: known_devices.remember(tx, person_id_in(tx), origin)))


def attack(kit: Kit, tries: int = HARD_CAP, who: str = "maya", start: int = 0) -> list[Any]:
    """Different guesses, each from a network of its own."""
    return [sign_in(kit, who, guess(n), somewhere(n)) for n in range(start, start + tries)]


# ── waiting ─────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("N-T5", "B7", "N-P12", "A-6.3.1")
def test_each_further_guess_from_a_network_waits_twice_as_long(database_url: str, make_kit: Make) -> None:
    kit = owned(make_kit, url=database_url)
    assert [sign_in(kit, "maya", guess(n)) for n in range(FREE_ATTEMPTS)] == [WRONG] * FREE_ATTEMPTS
    waits = []
    for n in range(FREE_ATTEMPTS, FREE_ATTEMPTS + 9):
        answer = sign_in(kit, "maya", guess(n))
        assert isinstance(answer, signin_sign_in.NotSignedIn)
        waits.append(answer.wait_s)
        kit.clock.now += answer.wait_s * 1000 - 1
        assert sign_in(kit, "maya", OLD) == signin_sign_in.NotSignedIn("slow_down", 1), "the right one waits as well"
        kit.clock.now += 1
        assert sign_in(kit, "maya", guess(n)) == WRONG
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    kit.clock.forward(hours=1)
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)


@pytest.mark.covers("J1", "N-T5")
def test_asking_while_one_has_to_wait_does_not_prolong_it(make_kit: Make) -> None:
    kit = owned(make_kit)
    for n in range(FREE_ATTEMPTS):
        sign_in(kit, "maya", guess(n))
    for n in range(29):
        kit.clock.now += 1000
        assert sign_in(kit, "maya", guess(100 + n)) == signin_sign_in.NotSignedIn("slow_down", 29 - n)
    kit.clock.now += 1000
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)


@pytest.mark.slow
@pytest.mark.covers("D1", "N-T4")
def test_guesses_at_once_count_before_they_are_compared(database_url: str, make_kit: Make) -> None:
    kit = owned(make_kit, url=database_url)
    s = kit.services

    async def burst() -> list[Any]:
        words = [*(guess(n) for n in range(40)), OLD]
        return await asyncio.gather(*(signin_sign_in.sign_in(s.db, s.gate, "maya", w, HERE) for w in words))

    answers = kit.run(burst())
    assert answers.count(WRONG) == FREE_ATTEMPTS
    assert {a.reason for a in answers} == {"wrong", "slow_down"}, "the right one came too late"


@pytest.mark.slow
@pytest.mark.covers("J1", "A-6.3.1")
def test_one_network_guessing_at_many_names_waits_and_tells_how_long(make_kit: Make) -> None:
    kit = owned(make_kit)
    kit.clock.forward(minutes=1)
    assert [sign_in(kit, f"name{n}", guess(n)) for n in range(MAX_PER_SOURCE)] == [WRONG] * MAX_PER_SOURCE
    kit.clock.forward(minutes=20)
    assert sign_in(kit, "maya", OLD) == signin_sign_in.NotSignedIn("slow_down", 40 * 60)
    kit.clock.forward(minutes=40)
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)


@pytest.mark.slow
def test_a_full_gate_costs_no_try(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = owned(make_kit)

    async def full(*_: Any) -> Any:
        raise Busy

    with monkeypatch.context() as m:
        m.setattr(kit.services.gate, "verify", full)
        for n in range(MAX_PER_SOURCE + 1):
            with pytest.raises(Busy):
                sign_in(kit, "maya", guess(n))
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)


# ── a hundred in a row ──────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("N-T4", "D4", "J5", "SD-D8", "O-W2")
def test_patient_strangers_are_compared_no_more_and_are_not_told(database_url: str, make_kit: Make) -> None:
    kit = owned(make_kit, url=database_url)
    verified: list[str | None] = []
    gate, real = kit.services.gate, kit.services.gate.verify

    async def watched(phc: str | None, secret: Secret) -> Any:
        verified.append(phc)
        return await real(phc, secret)

    gate.verify = watched  # type: ignore[method-assign]
    answers = []
    for n in range(BUDGET["stranger"] + 10):
        kit.clock.forward(hours=12)  # a month in all
        answers += attack(kit, 1, start=n)
    assert set(answers) == {WRONG}
    assert sum(phc is not None for phc in verified) == BUDGET["stranger"]
    assert len(verified) == len(answers), "with nothing it takes as long"
    assert sign_in(kit, "maya", OLD, somewhere(200)) == WRONG, "the right one looks like any other"


@pytest.mark.slow
@pytest.mark.covers("J1", "INV-I9", "N-T5", "SD-D8")
def test_a_stranger_cannot_keep_the_owner_out_of_a_known_browser_or_network(make_kit: Make) -> None:
    kit = owned(make_kit)
    browser = own_browser(kit)
    for hour in range(24):  # a day of it
        kit.clock.forward(hours=1)
        attack(kit, 20, start=hour * 20)
        away = replace(browser, source="203.0.113.5")
        assert isinstance(sign_in(kit, "maya", OLD, away), SignedIn)
    attack(kit, 100, start=600)
    assert isinstance(sign_in(kit, "maya", OLD, replace(HERE, agent="another browser")), SignedIn)


@pytest.mark.slow
@pytest.mark.covers("J1")
def test_a_colleague_on_the_same_network_cannot_either(make_kit: Make) -> None:
    kit = owned(make_kit)
    browser = own_browser(kit)
    colleague = replace(HERE, agent="curl/8.5.0")
    attack(kit, 100)
    for n in range(60):
        kit.clock.forward(hours=1)
        assert sign_in(kit, "maya", guess(1000 + n), colleague) == WRONG
    assert sign_in(kit, "maya", OLD, colleague) == signin_sign_in.NotSignedIn("slow_down", 3600)
    kit.clock.forward(hours=1)
    assert sign_in(kit, "maya", OLD, colleague) == WRONG, "their part of the hundred is used up"
    assert isinstance(sign_in(kit, "maya", OLD, browser), SignedIn)


@pytest.mark.covers("N-T4", "J5")
def test_the_owners_own_browser_is_told_that_the_password_is_off(make_kit: Make) -> None:
    kit = owned(make_kit)
    browser = own_browser(kit)
    for n in range(BUDGET["browser"]):
        kit.clock.forward(hours=1)
        assert sign_in(kit, "maya", guess(n), browser) == WRONG
    kit.clock.forward(hours=1)
    assert sign_in(kit, "maya", OLD, browser) == signin_sign_in.NotSignedIn("off")
    assert sign_in(kit, "noor", OLD, browser) == WRONG, "whoever else is named from there"


@pytest.mark.slow
@pytest.mark.covers("INV-I9", "N-T4", "SD-D8")
def test_a_recovery_lets_the_owner_in_while_the_guessing_goes_on(make_kit: Make) -> None:
    kit, tray = tray_and(make_kit)
    for n in range(FREE_ATTEMPTS):
        sign_in(kit, "maya", guess(n))
    attack(kit, 100)
    choose(kit, proven(kit, tray))
    drain(kit)
    attack(kit, 100, start=200)
    for n in range(MAX_PER_SOURCE):
        sign_in(kit, f"name{n}", guess(n))
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn), "from where it was done"


@pytest.mark.covers("C-2", "N-T4")
def test_unlocking_opens_every_kind_of_lock(make_kit: Make) -> None:
    kit = owned(make_kit, password={"preset": "mlps2"})
    rules = kit.services.rules

    def enter(word: Secret, origin: Origin = HERE) -> Any:
        return kit.run(signin_sign_in.sign_in(kit.services.db, kit.services.gate, "maya", word, origin, rules))

    kit.clock.forward(minutes=10)
    for n in range(6):
        enter(guess(n))
    pid = person_id(kit)
    assert enter(OLD) == signin_sign_in.NotSignedIn("slow_down", 30 * 60)
    kit.write(lambda tx: password_attempts.unlock(tx, pid, HERE.source))
    assert isinstance(enter(OLD), SignedIn)
    kit.write(lambda tx: tx.counters.add([f"pw/{account_id(tx)}"] * 100))
    assert enter(OLD, somewhere(1)) == WRONG
    kit.write(lambda tx: password_attempts.unlock(tx, pid))
    assert isinstance(enter(OLD, somewhere(1)), SignedIn)


def account_id(tx: Tx) -> str:
    found = tx.people.account_by_username("builtin", "maya")
    assert found is not None
    return found[0].id


# ── the same old password ───────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.covers("J1")
def test_a_phone_with_the_old_password_locks_nobody_out(make_kit: Make) -> None:
    kit = owned(make_kit)
    stale = Secret("the password of last year")
    phone = replace(HERE, agent="ExampleMail/3 (iPhone)")
    for _ in range(2 * MAX_PER_SOURCE):
        kit.clock.now += MINUTE
        assert sign_in(kit, "maya", stale, phone) == WRONG
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)
    assert isinstance(sign_in(kit, "maya", OLD, somewhere(1)), SignedIn)


@pytest.mark.covers("N-T4")
def test_the_same_at_once_is_one_guess(make_kit: Make) -> None:
    kit = owned(make_kit)
    s = kit.services

    async def burst() -> list[Any]:
        return await asyncio.gather(
            *(signin_sign_in.sign_in(s.db, s.gate, "maya", guess(1), HERE) for _ in range(FREE_ATTEMPTS))
        )

    assert kit.run(burst()) == [WRONG] * FREE_ATTEMPTS
    left = kit.read(lambda tx: tx.counters.get(f"pw/{account_id(tx)}"))
    assert left.total == 1
    assert [f.count for f in kit.read(lambda tx: tx.failures.of_names([f"pw/{account_id(tx)}"]))] == [FREE_ATTEMPTS]


@pytest.mark.covers("INV-I4")
def test_what_is_kept_of_a_wrong_password_compares_with_no_other_name(make_kit: Make) -> None:
    kit = owned(make_kit)
    kit.write(lambda tx: tx.people.save_imported([person("noor")]))
    for who in ("maya", "noor", "nobody"):
        sign_in(kit, who, guess(1))
    with kit.services.db.engine.connect() as conn:  # type: ignore[attr-defined]
        rows = conn.execute(text("SELECT * FROM failures")).mappings().all()
    assert len({bytes(r["tried"]) for r in rows}) == 3
    assert {len(r["tried"]) for r in rows} == {password_attempts.TRIED_BYTES}, "too little to find out what it was"
    assert guess(1).reveal() not in str(rows)


@pytest.mark.covers("INV-I4")
def test_nothing_is_kept_of_a_right_one(make_kit: Make) -> None:
    kit = owned(make_kit)
    sign_in(kit, "maya", NEW, somewhere(1))  # the one that is chosen later
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)
    set_password_again(kit)
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn)
    with kit.services.db.engine.connect() as conn:  # type: ignore[attr-defined]
        assert conn.execute(text("SELECT count(*) FROM failures")).scalar() == 0


def set_password_again(kit: Kit, word: Secret = NEW) -> None:
    phc = kit.run(kit.services.gate.hash(word))
    kit.write(lambda tx: tx.people.set_credential(account_id(tx), phc, "later"))


@pytest.mark.slow
@pytest.mark.covers("N-T6")
def test_a_right_password_clears_what_was_wrong_with_it_and_nothing_else(make_kit: Make) -> None:
    kit = owned(make_kit)
    attack(kit, 50)
    kit.write(lambda tx: tx.counters.add(["totp/someone", f"totp/{person_id_in(tx)}"]))
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)
    assert kit.read(lambda tx: tx.counters.get(f"totp/{person_id_in(tx)}")).total == 1
    attack(kit, 50, start=100)
    assert isinstance(sign_in(kit, "maya", OLD, somewhere(400)), SignedIn), "not more than sixty in a row"


def person_id_in(tx: Tx) -> str:
    return str(tx.people.match(["maya@example.com"])["maya@example.com"][0].person.id)


# ── known and unknown alike ─────────────────────────────────────────────────


@pytest.mark.covers("A3", "B16", "L10")
def test_known_and_unknown_numbers_cost_the_same_statements(database_url: str, make_kit: Make) -> None:
    """However a number is written, it is one name to the limits."""
    kit = owned(make_kit, url=database_url, sms=SMS, people={"phone_country": "CN"})
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), phones=("+8613800138000",))]))
    kit.clock.forward(hours=80)
    spellings = ("{0}", "+86 {0}", "0086{0}", "+86-{0}")
    answers = []
    for n in range(8):
        kit.clock.now += 1000
        typed = spellings[n % len(spellings)]
        known, unknown = (work(kit, typed.format(x), guess(n), HERE) for x in ("13800138000", "13900139000"))
        assert known == unknown, f"the try number {n}"
        answers.append(known[1].reason)
    assert answers[-1] == "slow_down", "written in four ways, it is still one name"
    assert kit.read(lambda tx: tx.people.sign_in_rows("builtin", "tel:+8613800138000")) is not None


def work(kit: Kit, who: str, word: Secret, origin: Origin) -> tuple[list[str], Any]:
    db: Any = kit.services.db
    statements: list[str] = []

    def note(_c: Any, _cu: Any, sql: str, *_: Any) -> None:
        if "clock_timestamp" not in sql and not sql.startswith("BEGIN"):
            statements.append(sql)

    event.listen(db.engine, "before_cursor_execute", note)
    answer = kit.run(
        signin_sign_in.sign_in(
            db, kit.services.gate, who, word, origin, kit.services.rules, numbers=kit.services.numbers
        )
    )
    event.remove(db.engine, "before_cursor_execute", note)
    return [_plain(s, kit.clock()) for s in statements], answer


def _plain(sql: str, now: int) -> str:
    """Without the instants that one statement carries in its text."""
    for at in (now, now - HOUR, now - DAY):
        sql = sql.replace(str(at), "now")
    return sql


@pytest.mark.slow
@pytest.mark.covers("L10", "INV-I5", "A-6.3.8", "O-W2")
@pytest.mark.parametrize("preset", ["nist", "mlps2"])
def test_known_and_unknown_names_cost_the_same_statements_all_along(
    database_url: str, make_kit: Make, preset: str
) -> None:
    kit = owned(make_kit, url=database_url, password={"preset": preset})
    kit.clock.forward(hours=3)
    own_browser(kit, Origin("203.0.113.5"))
    words = [0, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 7]  # new ones, one repeated, and then waiting
    for n, word in enumerate(words):
        kit.clock.now += 1000
        known, unknown = (work(kit, who, guess(word), HERE) for who in ("maya", "nobody"))
        assert known == unknown, f"the try number {n}"
    for n in range(70):
        kit.clock.now += HOUR
        known, unknown = (work(kit, who, guess(100 + n), somewhere(n)) for who in ("maya", "nobody"))
        assert known == unknown, f"past the end, {n}"


@pytest.mark.slow
@pytest.mark.covers("INV-I5", "J5")
def test_what_the_owner_does_does_not_show_in_what_a_guesser_is_told(make_kit: Make) -> None:
    """Ninety guesses, a sign-in of the owner, eleven more: names that nobody has do not end sooner."""
    kit = owned(make_kit)
    browser = own_browser(kit, Origin("203.0.113.5", HERE.agent))

    def both(n: int, origin: Origin) -> None:
        known, unknown = (sign_in(kit, who, guess(n), origin) for who in ("maya", "nobody"))
        assert known == unknown

    for n in range(140):
        kit.clock.now += 20 * MINUTE
        both(n, somewhere(n % 7))
        if n % 30 == 29:
            assert isinstance(sign_in(kit, "maya", OLD, browser), SignedIn)
        if n == 70:
            kit.clock.forward(hours=80)
            drain(kit)


@pytest.mark.covers("C-2", "INV-I5")
def test_a_fixed_lock_does_not_tell_that_the_owner_signed_in(make_kit: Make) -> None:
    kit = owned(make_kit, password={"preset": "mlps2"})
    rules, s = kit.services.rules, kit.services

    def enter(who: str, word: Secret, origin: Origin) -> Any:
        return kit.run(signin_sign_in.sign_in(s.db, s.gate, who, word, origin, rules))

    kit.clock.forward(minutes=10)
    for n in range(4):
        assert enter("maya", guess(n), HERE) == enter("nobody", guess(n), HERE) == WRONG
    assert isinstance(enter("maya", OLD, somewhere(1)), SignedIn)
    assert enter("maya", guess(4), HERE) == enter("nobody", guess(4), HERE) == WRONG
    slow = signin_sign_in.NotSignedIn("slow_down", 30 * 60)
    assert enter("maya", guess(5), HERE) == enter("nobody", guess(5), HERE) == slow
