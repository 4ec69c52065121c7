"""What the owner hears about failing devices and locks, once they have proven who they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.origin import Origin
from keyback.application.signin import sign_in as signin_sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.application.throttling import lockouts, password_attempts
from keyback.application.throttling.lockouts import Lock, StalePasswordSource
from keyback.domain.secret import Secret
from keyback.domain.throttling.password_attempts import BUDGET
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.steps import HERE, NEW, OLD, choose, drain, fit, proven, set_password, sign_in

Make = Callable[..., Kit]
PHONE = Origin("203.0.113.8", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1")
WRONG = signin_sign_in.NotSignedIn("wrong")
MIN = 60_000


def failing(kit: Kit, who: str = "maya") -> tuple[StalePasswordSource, ...]:
    pid = person_id(kit, who)
    return kit.read(lambda tx: lockouts.stale_password_sources(tx, pid))


@pytest.mark.slow
@pytest.mark.covers("J1")
def test_a_phone_that_still_has_the_old_password_is_named(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"), person("noor"))
    set_password(kit, "maya")
    assert isinstance(sign_in(kit, "maya", OLD, PHONE), SignedIn)
    choose(kit, proven(kit, tray))
    drain(kit)
    begun = kit.clock()
    for n in range(5):
        assert failing(kit) == () or n > 2, "twice may be a slip of the finger"
        assert sign_in(kit, "maya", OLD, PHONE) == WRONG
        kit.clock.now += MIN
    sign_in(kit, "maya", Secret("no password of hers"))
    (found,) = failing(kit)
    assert found == StalePasswordSource("203.0.113.8", found.device, 5, begun, begun + 4 * MIN, previous=True)
    assert "iOS" in found.device
    assert failing(kit, "noor") == ()
    assert isinstance(sign_in(kit, "maya", NEW, PHONE), SignedIn), "once it has the new one it goes on"


def test_a_program_with_a_password_that_never_was_one_is_told_apart(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    never = Secret("a password of another system")
    for _ in range(3):
        assert sign_in(kit, "maya", never) == WRONG
    assert [f.previous for f in failing(kit)] == [False], "there was none before"
    choose(kit, proven(kit, tray))
    drain(kit)
    elsewhere = Origin("198.51.100.4", "")
    for _ in range(3):
        assert sign_in(kit, "maya", never, elsewhere) == WRONG
    assert [(f.source, f.previous) for f in failing(kit)] == [("198.51.100.4", False), (HERE.source, False)]


def test_what_fails_is_forgotten_after_a_week(make_kit: Make) -> None:
    kit = make_kit()
    fit(kit, person("maya"))
    set_password(kit, "maya")
    for _ in range(3):
        sign_in(kit, "maya", NEW, PHONE)
    assert len(failing(kit)) == 1
    kit.clock.forward(hours=8 * 24)
    kit.write(upkeep)
    assert failing(kit) == ()


def upkeep(tx: Any) -> int:
    from keyback.application.retention import purge

    return purge(tx)


@pytest.mark.covers("J5", "D4")
def test_the_reason_of_each_lock_is_there_for_who_has_proven_who_they_are(make_kit: Make) -> None:
    kit = make_kit(password={"preset": "mlps2"})
    fit(kit, person("maya"))
    set_password(kit, "maya")
    kit.clock.forward(minutes=10)
    rules, pid = kit.services.rules, person_id(kit)

    def told() -> tuple[Lock, ...]:
        return kit.read(lambda tx: lockouts.locks(tx, pid, rules))

    def enter(word: Secret) -> Any:
        return kit.run(signin_sign_in.sign_in(kit.services.db, kit.services.gate, "maya", word, HERE, rules))

    assert told() == ()
    for _ in range(5):
        enter(NEW)
    (lock,) = told()
    assert lock.reason == "fixed"
    assert lock.until is not None
    assert 30 * MIN < lock.until - kit.clock() <= 35 * MIN
    kit.clock.now = lock.until - 1
    assert enter(OLD).reason == "slow_down"
    kit.clock.now += 1
    assert told() == ()
    assert isinstance(enter(OLD), SignedIn)

    account = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0].id
    kit.write(lambda tx: tx.counters.add([f"pw/{account}"] * BUDGET["stranger"]))
    kit.write(lambda tx: tx.people.set_account_state(account, "locked"))
    assert told() == (Lock("system"), Lock("off", None, ("stranger",)))
    kit.write(lambda tx: password_attempts.unlock(tx, pid))
    assert told() == (Lock("system"),), "what the system says is opened by its connector"
