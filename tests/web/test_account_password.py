"""`/account/password`: nobody changes it by an open session alone, however often they guess."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from keyback.application.account import change_password
from keyback.application.ports.hashing import Busy
from keyback.application.signin import step_up
from keyback.application.signin.sessions import SignedIn
from keyback.application.throttling import password_attempts
from keyback.domain.secret import Secret
from keyback.domain.throttling.limits import WINDOW_TRIES
from keyback.domain.tokens import token_digest
from tests.support.centre import HERE, NEW, PASSWORD, Centre, later
from tests.support.kit import Kit, person
from tests.support.steps import fit, set_password, sign_in

AT = "/account/password"


def change(centre: Centre, current: str, new: str = NEW) -> int:
    return centre.post(AT, current_password=current, new_password=new).status_code


def key(centre: Centre) -> str:
    account = centre.at.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0]
    return password_attempts.known_key(account.id)


@pytest.mark.slow
@pytest.mark.covers("A-6.2.3", "A-6.3.1")
def test_changing_asks_for_the_current_password(centre: Centre) -> None:
    centre.sign_in()
    assert 'autocomplete="current-password"' in centre.get(AT).text
    assert 'href="/forgot"' in centre.get(AT).text
    for current in ("", "not it at all", NEW, PASSWORD + " "):
        assert change(centre, current) == 422
    assert centre.at.read(lambda tx: tx.counters.get(key(centre)).total) == 4
    assert centre.sign_in(password=NEW, client=centre.another()) == "401"
    assert change(centre, PASSWORD) == 200
    assert centre.at.read(lambda tx: tx.counters.get(key(centre)).total) == 0
    assert centre.sign_in(password=NEW, client=centre.another()) == "/account"


@pytest.mark.covers("A-6.2.3")
def test_an_old_session_of_somebody_without_a_second_step_types_it_once(centre: Centre) -> None:
    centre.sign_in()
    later(centre, 30)
    assert centre.get(AT).status_code == 200, "the form asks for it by itself"
    assert change(centre, PASSWORD) == 200
    later(centre, 30)
    assert centre.get("/account/codes").status_code == 303, "and opens nothing else"


@pytest.mark.covers("A-6.2.3", "A-7.5.1")
def test_a_second_step_is_asked_for_besides(centre: Centre) -> None:
    centre.sign_in()
    centre.add_app()
    later(centre, 11)
    assert change(centre, PASSWORD) == 303
    assert centre.get(AT).headers["location"] == f"/account/confirm?next={AT}"
    assert centre.sign_in(client=centre.another()) == "/sign-in/second", "the password is as it was"
    centre.get(f"/account/confirm?next={AT}")  # the other sign-in made the question void
    assert centre.post("/account/confirm", proof="totp", code=centre.digits(), next=AT).headers["location"] == AT
    assert change(centre, "not it at all") == 422
    assert change(centre, PASSWORD) == 200


@pytest.mark.slow
@pytest.mark.covers("A-6.3.1", "D1", "N-T4")
def test_guesses_come_to_an_end_and_a_recovery_opens_it_again(centre: Centre) -> None:
    centre.sign_in()
    for n in range(WINDOW_TRIES):
        assert "The current password isn’t right" in refused(centre, f"guess number {n}")
    assert "Too many wrong attempts" in refused(centre, PASSWORD), "not compared any more"
    assert centre.post("/account/confirm", password=PASSWORD, next="/account").status_code == 422, "one count for both"
    account = centre.at.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0].id
    centre.at.run(centre.at.services.db.write(lambda tx: password_attempts.renewed(tx, account)))
    assert change(centre, PASSWORD) == 200


def refused(centre: Centre, current: str) -> str:
    answer = centre.browser.post(
        AT,
        data={"current_password": current, "new_password": NEW},
        headers={"accept-language": "en"},
    )
    assert answer.status_code == 422
    return answer.text


@pytest.mark.covers("D2", "A-15.4.2")
def test_fifty_guesses_at_once_are_compared_ten_times(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    centre.sign_in()
    session = centre.at.read(lambda tx: tx.sessions.of_person(centre.who().id))[0]
    s, compared = centre.at.services, []
    verify = s.gate.verify

    async def count(phc: str | None, secret: object) -> object:
        compared.append(secret)
        return await verify(phc, secret)  # type: ignore[arg-type]

    monkeypatch.setattr(s.gate, "verify", count)

    async def all_at_once() -> list[step_up.Fault]:
        tries = (step_up.verify_current_password(s.db, s.gate, session, Secret(f"guess {n}"), HERE) for n in range(50))
        return [fault for fault, _ in await asyncio.gather(*tries)]

    faults = centre.at.run(all_at_once())
    assert (faults.count("wrong"), faults.count("no_tries")) == (WINDOW_TRIES, 50 - WINDOW_TRIES)
    assert len(compared) == WINDOW_TRIES


@pytest.mark.covers("L2")
def test_a_full_gate_counts_as_no_try(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    centre.sign_in()

    async def full(*_: object) -> object:
        raise Busy

    monkeypatch.setattr(centre.at.services.gate, "verify", full)
    assert change(centre, PASSWORD) == 503
    assert centre.at.read(lambda tx: tx.counters.get(key(centre)).total) == 0
    monkeypatch.undo()
    assert change(centre, PASSWORD) == 200


@pytest.mark.covers("A-6.2.3", "X-5")
def test_everything_that_is_wrong_is_said_at_once(centre: Centre) -> None:
    centre.sign_in()
    form = {"current_password": "x", "new_password": "short"}
    page = centre.browser.post(AT, data=form).text
    assert re.findall(r'<li><a href="#(\w+)">', page)[:2] == ["current_password", "new_password"]
    assert "short" not in re.findall(r'value="([^"]*)"', page)


def test_whether_it_was_used_before_is_for_those_who_know_the_current_one(make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(password={"preset": "classic"})
    fit(kit, person("maya"))
    old, now, wrong = Secret("Old-pass 4711 meadow"), Secret("New-pass 4712 meadow"), Secret("x")
    set_password(kit, "maya", old)
    done = sign_in(kit, "maya", old)
    assert isinstance(done, SignedIn)
    session = kit.read(lambda tx: tx.sessions.get(token_digest(done.token)))
    assert not kit.run(change_password.change(kit.services, session, old, now, HERE))
    for current, said in ((wrong, []), (now, ["used_before"])):
        faults = kit.run(change_password.change(kit.services, session, current, old, HERE))
        assert [v.code for v in faults.broken] == said


def test_a_password_is_suggested_and_can_be_shown_without_script(centre: Centre) -> None:
    centre.sign_in()
    page = centre.get(AT).text
    found = re.search(r'id="suggestion"[^>]*>([^<]+)<', page)
    assert found, "a password to take as it is"
    assert '<noscript><p class="hint"><a href="/account/password?show=1">' in page
    assert 'id="new_password" name="new_password" type="password"' in page
    shown = centre.get(f"{AT}?show=1").text
    assert 'id="new_password" name="new_password" type="text"' in shown
    assert found[1] not in shown, "another page, another suggestion"
    assert change(centre, PASSWORD, found[1]) == 200
