"""Wrong answers by strangers use up the part of strangers: who sits at their own browser goes on (J1, INV-I9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from keyback.application import known_devices, retention
from keyback.application.origin import Origin
from keyback.application.recovery import mailed_link
from keyback.application.recovery.evidence import Here
from keyback.application.signin import step_up
from keyback.application.throttling import proof_attempts
from keyback.domain.throttling.limits import HARD_CAP, TRIES_SHOWN, WINDOW_TRIES
from tests.support.enrolled import add_totp, answer_way, ask_way, person_id, totp_now
from tests.support.kit import Kit, person
from tests.support.steps import HERE, Tray, ask, begin, drain, fit, statements, try_code

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
STRANGER = replace(HERE, source="198.51.100.20", agent="curl/8")


def kit_of(make_kit: Make, url: str | None = None) -> tuple[Kit, Tray, Origin]:
    """With somebody who has an app, and the browser that they signed in with."""
    kit = make_kit(url=url)
    tray = fit(kit, person("maya"), person("noor"))
    add_totp(kit)
    pid = person_id(kit)
    return kit, tray, replace(HERE, device=kit.write(lambda tx: known_devices.remember(tx, pid, HERE)))


def page(kit: Kit) -> str:
    handle = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, handle, "totp")
    return handle


def wrong_digits(kit: Kit) -> str:
    return f"{(int(totp_now(kit)) + 500_000) % 10**6:06}"


def flood(kit: Kit, origin: Origin, times: int) -> None:
    """So many wrong digits, as many on each page as it takes."""
    for n in range(times):
        if n % (TRIES_SHOWN - 1) == 0:
            handle = page(kit)
        assert answer_way(kit, handle, "totp", wrong_digits(kit), origin) == "wrong"


def test_the_parts_are_within_the_hundred() -> None:
    assert proof_attempts.CODE + proof_attempts.OWN <= HARD_CAP
    assert proof_attempts.PROOF + proof_attempts.OWN + step_up.CAP <= HARD_CAP <= 100
    assert proof_attempts.OWN >= TRIES_SHOWN


@pytest.mark.slow
@pytest.mark.covers("J1", "INV-I9", "N-T4")
def test_a_strangers_wrong_digits_do_not_switch_off_the_owners(make_kit: Make, database_url: str) -> None:
    kit, _, mine = kit_of(make_kit, database_url)
    flood(kit, STRANGER, WINDOW_TRIES + 2)
    there = page(kit)
    assert answer_way(kit, there, "totp", totp_now(kit), STRANGER) == "wrong", "the strangers' hour is used up"
    assert answer_way(kit, there, "totp", totp_now(kit), replace(mine, device="of somebody else")) == "wrong"
    assert answer_way(kit, page(kit), "totp", totp_now(kit), mine) == "accepted"


@pytest.mark.slow
@pytest.mark.covers("J1", "INV-I9", "N-T4")
def test_a_strangers_wrong_mailed_codes_do_not_either(make_kit: Make, database_url: str) -> None:
    kit, tray, mine = kit_of(make_kit, database_url)
    handle, _, code, _ = begin(kit, tray)
    wrong = f"{(int(code) + 1) % 10**8:08}"
    for n in range(WINDOW_TRIES + 2):
        if n % TRIES_SHOWN == 0:
            other = ask(kit, "maya").handle
            drain(kit)
        assert try_code(kit, other, wrong, STRANGER) == "wrong_code"
    assert try_code(kit, handle, code, STRANGER) == "wrong_code"
    assert try_code(kit, handle, code, mine) == "accepted"


@pytest.mark.slow
@pytest.mark.covers("D1", "D2", "N-T4")
@pytest.mark.parametrize("own", [False, True])
def test_each_part_has_its_end(make_kit: Make, database_url: str, own: bool) -> None:
    kit, _, mine = kit_of(make_kit, database_url)
    there, allowed = (mine, proof_attempts.OWN) if own else (STRANGER, proof_attempts.PROOF)
    for _ in range(-(-allowed // WINDOW_TRIES)):
        flood(kit, there, min(WINDOW_TRIES, allowed))
        kit.clock.forward(hours=1, minutes=1)
    assert answer_way(kit, page(kit), "totp", totp_now(kit), there) == "wrong"
    kit.clock.forward(hours=400)
    assert answer_way(kit, page(kit), "totp", totp_now(kit), there) == "wrong", "off until it is used or renewed"
    other = STRANGER if own else mine
    assert answer_way(kit, page(kit), "totp", totp_now(kit), other) == "accepted"
    kit.clock.forward(minutes=1)
    assert answer_way(kit, page(kit), "totp", totp_now(kit), there) == "accepted", "and then for all of them"


@pytest.mark.slow
@pytest.mark.covers("J1", "D1")
def test_what_the_hour_does_not_allow_uses_up_nothing(make_kit: Make) -> None:
    kit, tray, _ = kit_of(make_kit)
    for n in range(proof_attempts.CODE):
        if n % TRIES_SHOWN == 0:
            handle = ask(kit, "maya").handle
            drain(kit)
        assert try_code(kit, handle, "00000000", STRANGER) == "wrong_code"
    kit.clock.forward(hours=25)  # in which there are mails again
    handle, _, code, _ = begin(kit, tray)
    assert try_code(kit, handle, code, STRANGER) == "accepted"


@pytest.mark.covers("A3", "INV-I5")
def test_several_people_behind_one_address_cost_no_more_than_one(make_kit: Make, database_url: str) -> None:
    kit, _, mine = kit_of(make_kit, database_url)
    kit.write(lambda tx: tx.people.save_imported([person(n, "team@example.com") for n in ("ada", "bo", "cy")]))
    costs = []
    for who in ("team@example.com", "maya", "nobody at all"):
        handle = ask(kit, who).handle
        drain(kit)
        with statements(kit) as run:
            page = mailed_link._Page(kit.services.proofs["email_link"], handle, Here(mine, kit.services.policy))
            kit.write(page.count)
        costs.append(run[:])
    assert costs[0] == costs[1] == costs[2]


@pytest.mark.covers("A3", "INV-I5")
def test_whose_browser_it_is_costs_and_shows_nothing(make_kit: Make, database_url: str) -> None:
    kit, _, mine = kit_of(make_kit, database_url)
    seen = []
    for who, origin in (("maya", mine), ("maya", STRANGER), ("nobody at all", mine), ("nobody at all", STRANGER)):
        handle = ask(kit, who).handle
        drain(kit)
        with statements(kit) as run:
            answer = try_code(kit, handle, "00000000", origin)
        seen.append((answer, run[:]))
    # A page about somebody reads what was mailed as one about nobody does.
    assert [s[0] for s in seen] == ["wrong_code"] * 4
    assert seen[0][1] == seen[1][1]
    assert seen[2][1] == seen[3][1]
    assert len(seen[0][1]) == len(seen[2][1])


@pytest.mark.slow
@pytest.mark.covers("O5", "INV-I10")
@pytest.mark.parametrize("name", ["totp", "recovery_code", "code"])
def test_what_strangers_typed_for_nobody_is_forgotten(make_kit: Make, name: str) -> None:
    """Of people the wrong answers in a row stay; of names that nobody has nothing does."""
    kit, _, _ = kit_of(make_kit)
    for who in ("maya", "nobody", "nobody at all"):
        handle = ask(kit, who).handle
        drain(kit)
        if name == "code":
            try_code(kit, handle, "1234-5678")
        else:
            ask_way(kit, handle, name)
            answer_way(kit, handle, name, "123456")
    kit.clock.forward(hours=24 * 10)
    for _ in range(3):
        kit.write(retention.purge)
    pid = person_id(kit)
    left = kit.read(lambda tx: [r[0] for r in tx.conn.exec_driver_sql("SELECT key FROM counters")])
    assert [k for k in left if not k.endswith(f"/{pid}")] == []
    assert not [k for k in left if k.startswith("h/")]
