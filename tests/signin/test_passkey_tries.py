"""Signing in by passkey alone: tries are counted where they come from, so that a stranger switches nobody's off."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application import known_devices
from keyback.application.origin import Origin
from keyback.application.signin import passkey, sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.domain.people.factor import Factor
from keyback.domain.throttling.limits import WINDOW_TRIES
from keyback.testing.authenticator import Authenticator
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.steps import HERE

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
URL = "http://localhost:8080"
STRANGER = Origin("203.0.113.9", "curl/8.14")


def owner(make_kit: Make, url: str | None = None) -> tuple[Kit, Authenticator]:
    kit = make_kit(url=url, public_url=URL)
    kit.write(lambda tx: tx.people.save_imported([person("maya")]))
    proof: Any = kit.services.proofs["passkey"]
    key, pid = Authenticator(URL, "localhost"), person_id(kit)
    options = proof.registration_options(bytes(32), bytes(64), "maya", "Maya", "Qingyu", ())
    made = proof.verify_registration(key.create(options), bytes(32), bytes(64))
    kit.write(lambda tx: tx.factors.add(Factor("key", pid, "passkey", "", "active", made.data, lookup=made.lookup)))
    return kit, key


def show(kit: Kit, key: Authenticator, origin: Origin = HERE, *, forged: bool = False) -> Any:
    """What comes of showing a passkey to the sign-in page, or what only has its id."""
    proof: Any = kit.services.proofs["passkey"]
    ticket = passkey.new_ticket(kit.clock())
    options = proof.form([passkey.stand_in(kit.services.seals, ticket)], "en")["options"]
    answer = json.loads(key.get(options))
    if forged:
        answer["response"]["signature"] = "AAAA"
    typed = json.dumps(answer)
    return kit.run(passkey.by_passkey(kit.services.db, proof, ticket, proof.lookup(typed), typed, origin))


@pytest.mark.slow
@pytest.mark.covers("INV-I9", "N-T4", "N-T5")
def test_a_stranger_with_the_id_of_a_passkey_keeps_its_owner_from_nothing(make_kit: Make, database_url: str) -> None:
    kit, key = owner(make_kit, database_url)
    for _ in range(11):
        for _ in range(WINDOW_TRIES):
            assert show(kit, key, STRANGER, forged=True) == sign_in.NotSignedIn("wrong")
        kit.clock.forward(minutes=61)
    assert show(kit, key, STRANGER) == sign_in.NotSignedIn("wrong"), "from there not even the right one"
    assert isinstance(show(kit, key), SignedIn)
    assert isinstance(show(kit, key, replace(STRANGER, source="203.0.114.9")), SignedIn)


@pytest.mark.covers("N-T4", "N-T5")
def test_the_owners_browser_is_not_kept_out_by_its_own_network(make_kit: Make, database_url: str) -> None:
    kit, key = owner(make_kit, database_url)
    pid = person_id(kit)
    mine = replace(STRANGER, device=kit.write(lambda tx: known_devices.remember(tx, pid, STRANGER)))
    for _ in range(WINDOW_TRIES):
        show(kit, key, STRANGER, forged=True)
    assert show(kit, key, STRANGER) == sign_in.NotSignedIn("wrong")
    assert isinstance(show(kit, key, mine), SignedIn)
    for _ in range(WINDOW_TRIES):
        show(kit, key, mine, forged=True)
    assert show(kit, key, mine) == sign_in.NotSignedIn("wrong"), "guessing is capped there, too"
    kit.clock.forward(minutes=61)
    assert isinstance(show(kit, key, mine), SignedIn)


@pytest.mark.covers("N-T6")
def test_right_answers_are_no_tries(make_kit: Make) -> None:
    kit, key = owner(make_kit)
    for _ in range(WINDOW_TRIES + 3):
        assert isinstance(show(kit, key), SignedIn)
