"""People hear of sign-ins that may not be theirs, and nobody else learns anything from it (A-6.3.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from keyback.application import known_devices
from keyback.application.account import lockdown
from keyback.application.origin import Origin
from keyback.application.retention import KEEP_SEEN, purge
from keyback.application.signin import alerts, second_step
from keyback.application.signin.sessions import SignedIn
from keyback.application.signin.sign_in import NotSignedIn, SecondStep
from keyback.domain.secret import Secret
from keyback.domain.throttling.password_attempts import BUDGET, FREE_ATTEMPTS
from keyback.worker import Worker
from tests.support.enrolled import add_contact, add_totp, person_id, totp_now
from tests.support.kit import Kit, person
from tests.support.steps import HERE, NEW, OLD, Tray, choose, drain, fit, proven, set_password, sign_in, statements

Make = Callable[..., Kit]
THERE = replace(HERE, source="198.51.100.20", agent="curl/8")
AWAY = replace(HERE, source="203.0.113.9")


def kit_of(make_kit: Make, url: str | None = None) -> tuple[Kit, Tray]:
    kit = make_kit(url=url)
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    return kit, tray


def known(kit: Kit, origin: Origin = HERE) -> Origin:
    """As the browser is after a sign-in: with its cookie."""
    pid = person_id(kit)
    return replace(origin, device=kit.write(lambda tx: known_devices.remember(tx, pid, origin)))


def told(kit: Kit, tray: Tray, kind: str = "signed_in") -> list[str]:
    drain(kit)
    return sorted(x.to for x in tray.messages if x.kind == kind)


def upkeep(kit: Kit) -> int:
    return kit.run(Worker(kit.services).upkeep.watch())


def token_of(tray: Tray, kind: str = "signed_in") -> str:
    link = [x for x in tray.messages if x.kind == kind][-1].content.stop_link
    assert isinstance(link, Secret)
    return link.reveal().rsplit("/", 1)[1]


# ── the right password, somewhere new ───────────────────────────────────────


@pytest.mark.covers("A-6.3.5")
def test_a_sign_in_from_somewhere_new_is_told_to_every_mailbox(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_contact(kit, "mail", "maya@home.example.net")
    add_contact(kit, "sms", "+8613800000034")
    mine = known(kit)
    assert isinstance(sign_in(kit, "maya", OLD, THERE), SignedIn)
    assert told(kit, tray) == ["maya@example.com", "maya@home.example.net"]
    letter = tray.messages[-1]
    assert (letter.content.what, letter.content.source, letter.content.username) == (
        "new_sign_in", "198.51.100.20", "maya",
    )  # fmt: skip
    assert not isinstance(sign_in(kit, "maya", OLD, mine), NotSignedIn)
    token = token_of(tray)
    assert kit.write(lambda tx: lockdown.lock_by_link(tx, token, True, AWAY))
    assert sign_in(kit, "maya", OLD, mine) == NotSignedIn("wrong")
    pid = person_id(kit)
    assert kit.read(lambda tx: tx.sessions.of_person(pid)) == []


@pytest.mark.slow
@pytest.mark.covers("A-6.3.5")
@pytest.mark.parametrize("where", ["browser", "network", "company", "recovered"])
def test_what_is_known_is_not_told(make_kit: Make, database_url: str, where: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    mine, password = known(kit), OLD
    origin = {
        "browser": replace(AWAY, device=mine.device),
        "network": replace(HERE, agent="another browser"),
        "company": replace(AWAY, near=True),
        "recovered": replace(HERE, agent="another browser"),
    }[where]
    if where == "recovered":
        pid = person_id(kit)
        kit.write(lambda tx: tx.devices.forget(pid))
        choose(kit, proven(kit, tray), NEW)
        drain(kit)
        password = NEW
    assert isinstance(sign_in(kit, "maya", password, origin), SignedIn)
    assert told(kit, tray) == []
    assert isinstance(sign_in(kit, "maya", password, THERE), SignedIn)
    assert told(kit, tray) == ["maya@example.com"], "only that place was known"


@pytest.mark.covers("A-6.3.5")
def test_a_new_place_is_told_once_a_month_and_again_after_a_lock(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    for _ in range(3):
        sign_in(kit, "maya", OLD, THERE)
        assert len(told(kit, tray)) == 1
        kit.clock.forward(hours=24 * 9)
        kit.write(purge)
    kit.clock.now += KEEP_SEEN
    kit.write(purge)
    sign_in(kit, "maya", OLD, THERE)
    assert len(told(kit, tray)) == 2
    token = token_of(tray)
    assert kit.write(lambda tx: lockdown.lock_by_link(tx, token, False, AWAY))
    choose(kit, proven(kit, tray), NEW)
    drain(kit)
    assert isinstance(sign_in(kit, "maya", NEW, THERE), SignedIn)
    assert len(told(kit, tray)) == 3, "the thief's network is no known one"


@pytest.mark.covers("A-6.3.5")
def test_who_has_many_networks_fills_no_mailbox(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    for n in range(alerts.MAX_A_DAY + 4):
        sign_in(kit, "maya", OLD, replace(THERE, source=f"198.51.100.{n + 30}"))
    assert len(told(kit, tray)) == alerts.MAX_A_DAY


@pytest.mark.covers("A-6.3.5")
def test_many_new_places_do_not_hide_a_right_password_without_the_second_step(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    for n in range(alerts.MAX_A_DAY + 4):
        sign_in(kit, "maya", OLD, replace(THERE, source=f"198.51.100.{n + 30}"))
    add_totp(kit)
    sign_in(kit, "maya", OLD, replace(THERE, source="203.0.113.200"))
    kit.clock.forward(hours=1)
    drain(kit)
    assert [x.content.what for x in tray.messages].count("half_way") == 1


@pytest.mark.covers("A-6.3.5")
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_right_password_without_the_second_step_is_told(make_kit: Make, database_url: str, goes_on: bool) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_totp(kit)
    step = sign_in(kit, "maya", OLD, THERE)
    assert isinstance(step, SecondStep)
    if goes_on:
        s = kit.services
        done = kit.run(second_step.take(s.db, s.proofs["totp"], step.token, totp_now(kit), THERE))
        assert isinstance(done, SignedIn)
    kit.clock.forward(minutes=9)
    assert told(kit, tray) == (["maya@example.com"] if goes_on else [])
    kit.clock.forward(minutes=2)
    assert told(kit, tray) == ["maya@example.com"]
    assert [x.content.what for x in tray.messages] == ["new_sign_in" if goes_on else "half_way"]


# ── wrong passwords ─────────────────────────────────────────────────────────


def guess(kit: Kit, who: str, times: int, origin: Origin = THERE) -> None:
    """Different wrong passwords, an hour apart; the clock stands at the last one."""
    for n in range(times):
        kit.clock.forward(hours=1 if n else 0)
        sign_in(kit, who, Secret(f"guess {n} at {kit.clock.now}"), origin)


@pytest.mark.covers("A-6.3.5")
def test_wrong_passwords_that_pile_up_are_told_once_a_day(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    guess(kit, "maya", FREE_ATTEMPTS - 1)
    assert upkeep(kit) == 0
    kit.clock.forward(minutes=5)
    guess(kit, "maya", 1)
    assert upkeep(kit) == 1
    assert told(kit, tray, "tries") == ["maya@example.com"]
    letter = tray.messages[-1]
    assert (letter.content.source, letter.content.off) == ("198.51.100.20", False)
    assert str(letter.content.path).endswith("/account")
    kit.clock.forward(hours=1)
    guess(kit, "maya", 3)
    assert upkeep(kit) == 0, "not twice in a day"
    kit.clock.forward(hours=21)
    guess(kit, "maya", FREE_ATTEMPTS, AWAY)
    assert upkeep(kit) == 1
    assert isinstance(sign_in(kit, "maya", OLD, HERE), SignedIn), "guesses keep nobody out"


@pytest.mark.covers("A-6.3.5")
def test_two_workers_tell_it_once(make_kit: Make, database_url: str) -> None:
    kit, _ = kit_of(make_kit, database_url)
    guess(kit, "maya", FREE_ATTEMPTS)
    assert [upkeep(kit), upkeep(kit)] == [1, 0]


@pytest.mark.slow
@pytest.mark.covers("A-6.3.5", "N-T4")
def test_guesses_from_everywhere_are_told_when_they_switch_the_password_off(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    for n in range(BUDGET["stranger"]):
        sign_in(kit, "maya", Secret(f"wrong guess {n}"), replace(THERE, source=f"198.51.100.{n + 1}"))
        kit.clock.forward(hours=12)  # never many in a day
        if n == BUDGET["stranger"] - 2:
            assert upkeep(kit) == 0
    kit.clock.forward(hours=-12)
    assert upkeep(kit) == 1
    drain(kit)
    assert tray.messages[-1].content.off is True


@pytest.mark.covers("A-6.3.5", "A1")
def test_a_name_that_nobody_has_is_told_to_nobody_and_guessed_alike(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    seen: list[list[str]] = []
    for who in ("maya", "nobody"):
        with statements(kit) as run:
            answers = [sign_in(kit, who, Secret(f"wrong guess {n}"), THERE) for n in range(FREE_ATTEMPTS)]
        assert answers == [NotSignedIn("wrong")] * FREE_ATTEMPTS
        seen.append(list(run))
    assert seen[0] == seen[1], "what a guess costs does not tell who is written to"
    assert upkeep(kit) == 1
    drain(kit)
    assert [x.to for x in tray.messages] == ["maya@example.com"]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["own browser", "same one", "disabled"])
def test_what_is_no_guessing_is_not_told(make_kit: Make, who: str) -> None:
    kit, tray = kit_of(make_kit)
    origin = known(kit) if who == "own browser" else THERE
    if who == "same one":
        for _ in range(FREE_ATTEMPTS * 3):
            sign_in(kit, "maya", Secret("the one of last year"), origin)
    else:
        guess(kit, "maya", FREE_ATTEMPTS, origin)
    if who == "disabled":
        kit.write(lambda tx: tx.people.save_imported([person("maya", state="disabled")]))
    assert upkeep(kit) == 0
    assert told(kit, tray, "tries") == []


def test_a_worker_looks_at_many_in_portions_and_at_new_ones_only(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit, *(person(f"p{n}") for n in range(5)))
    for n in range(5):
        set_password(kit, f"p{n}")
        guess(kit, f"p{n}", FREE_ATTEMPTS, replace(THERE, source=f"198.51.100.{n + 1}"))
        kit.clock.forward(hours=1 - FREE_ATTEMPTS)
    since, name, letters = kit.clock.now - 24 * 3_600_000, "", []
    while True:
        found, name = kit.write(lambda tx, after=name: alerts.look(tx, since, after, limit=2))
        letters.append(found)
        if not name:
            break
    assert letters == [2, 2, 1]
    with statements(kit) as run:
        kit.write(lambda tx: alerts.look(tx, kit.clock.now))
    assert len([s for s in run if "failures" in s]) == 1
