"""What the security centre changes, fifty times at once: it happens once, is told once, and guesses stay counted. On
both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pyotp
import pytest

from keyback.application.account import change_password, lockdown
from keyback.application.enrolment import contacts, factors
from keyback.application.ports.storage import Session, Tx
from keyback.application.signin.sessions import SignedIn
from keyback.domain.errors import Refusal
from keyback.domain.secret import Secret
from keyback.domain.throttling.limits import WINDOW_TRIES
from keyback.domain.tokens import token_digest
from tests.support.enrolled import add_totp, person_id
from tests.support.kit import Kit, person
from tests.support.steps import HERE, OLD, Tray, drain, fit, set_password, sign_in, types

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
MANY = 50


def kit_of(make_kit: Make, url: str) -> tuple[Kit, Tray, Session]:
    """Somebody who is signed in."""
    kit = make_kit(url=url)
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    done = sign_in(kit, "maya", OLD)
    assert isinstance(done, SignedIn)
    session = kit.read(lambda tx: tx.sessions.get(token_digest(done.token)))
    assert session is not None
    return kit, tray, session


def at_once(kit: Kit, call: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """What each came to; the code of a refusal."""

    async def one(n: int) -> Any:
        try:
            return await call(n)
        except Refusal as e:
            return e.code

    async def go() -> list[Any]:
        return await asyncio.gather(*(one(n) for n in range(MANY)))

    return list(kit.run(go()))


def maya(kit: Kit) -> Any:
    pid = person_id(kit)
    return kit.read(lambda tx: tx.people.person(pid))


@pytest.mark.covers("N-T1", "M13", "A-15.4.2")
def test_an_app_is_switched_on_once(make_kit: Make, database_url: str) -> None:
    kit, tray, session = kit_of(make_kit, database_url)
    app: Any = kit.services.proofs["totp"]
    who = maya(kit)
    new = kit.write(lambda tx: factors.start_totp(tx, app, who))
    seed = kit.read(lambda tx: str(tx.factors.get(new).data["seed"]))
    code = pyotp.TOTP(seed).at(kit.clock() // 1000)

    def finish(tx: Tx) -> bool:
        return factors.finish_totp(tx, app, session, new, code, HERE)

    found = at_once(kit, lambda _: kit.services.db.write(finish))
    assert (found.count(True), found.count("over")) == (1, MANY - 1)
    assert types(kit).count("totp_added") == 1
    drain(kit)
    assert len(tray.to("maya@example.com", "account_changed")) == 1


@pytest.mark.slow
@pytest.mark.covers("D1", "N-T4", "A-15.4.2")
@pytest.mark.parametrize("right", [True, False])
def test_the_code_to_a_new_address_is_taken_once_and_guessed_ten_times(
    make_kit: Make, database_url: str, right: bool
) -> None:
    kit, tray, _ = kit_of(make_kit, database_url)
    who, s = maya(kit), kit.services
    new = kit.write(lambda tx: contacts.start(tx, who, "mail", "maya@example.net", "", HERE))
    drain(kit)
    code = next(x.content.code for x in tray.messages if x.to == "maya@example.net")
    assert isinstance(code, Secret)
    wrong = (str((int(code.reveal()) + 1 + n) % 10**6).zfill(6) for n in range(MANY))
    typed = [code.reveal()] * MANY if right else list(wrong)
    found = at_once(kit, lambda n: contacts.confirm(s.db, s.proofs, who, new, typed[n], HERE))
    assert found.count("confirmed") == right
    assert found.count("wrong") == (0 if right else WINDOW_TRIES)
    assert types(kit).count("mail_added") == right


@pytest.mark.slow
@pytest.mark.covers("A-7.4.3", "A-6.2.3", "A-15.4.2")
def test_of_many_new_passwords_one_is_taken(make_kit: Make, database_url: str) -> None:
    kit, tray, session = kit_of(make_kit, database_url)
    s, new = kit.services, [Secret(f"supper ladder teapot {n}") for n in range(MANY)]
    found = at_once(kit, lambda n: change_password.change(s, session, OLD, new[n], HERE))
    done = [n for n, x in enumerate(found) if x == change_password.Faults()]
    assert len(done) == 1
    assert {x if isinstance(x, str) else x.current for n, x in enumerate(found) if n not in done} <= {
        "conflict", "wrong", "no_tries",
    }  # fmt: skip
    assert types(kit).count("password_changed") == 1
    assert isinstance(sign_in(kit, "maya", new[done[0]]), SignedIn)
    assert not isinstance(sign_in(kit, "maya", OLD), SignedIn)
    drain(kit)
    assert len(tray.to("maya@example.com", "account_changed")) == 1


@pytest.mark.covers("N-R12", "A-15.4.2")
@pytest.mark.parametrize("how", ["remove", "take_back"])
def test_what_is_removed_is_told_once(make_kit: Make, database_url: str, how: str) -> None:
    kit, _, session = kit_of(make_kit, database_url)
    factor, who, s = add_totp(kit), maya(kit), kit.services

    def act(tx: Tx) -> None:
        if how == "remove":
            factors.remove(tx, session.person_id, factor, s.policy, HERE)
        else:
            lockdown.drop(tx, who, [factor], s.policy, HERE)

    at_once(kit, lambda _: s.db.write(act))
    assert types(kit).count("totp_removed") == 1
    assert kit.read(lambda tx: tx.factors.of_person(who.id)) == ()
