"""A passkey's challenge through the whole of asking and answering: spent by one try, bound to its page."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from keyback.application.ports.storage import Tx
from keyback.application.recovery import methods
from keyback.domain.recovery.case import State
from tests.support.enrolled import HOME, add_passkey, answer_way, ask_way
from tests.support.kit import Kit, person
from tests.support.steps import accept, ask, begin, case_of, drain, fit

Make = Callable[..., Kit]


def kit_of(make_kit: Make, url: str) -> Kit:
    kit = make_kit(url=url, public_url=HOME)
    kit.write(lambda tx: tx.people.save_imported([person("maya"), person("omar")]))
    return kit


def options_of(kit: Kit, handle: str) -> str:
    """What the page has for the browser."""
    proof = kit.services.proofs["passkey"]

    def look(tx: Tx) -> str:
        want = next(w for w in tx.challenges.requested(handle) if w.method == "passkey")
        asked = methods.asked_now(tx, handle, proof) or [methods.stand_in(kit.services.seals, want)]
        return str(proof.form(asked, "en")["options"])

    return kit.read(look)


@pytest.mark.covers("W-1", "M8")
def test_a_challenge_is_spent_by_the_first_answer(make_kit: Make, database_url: str) -> None:
    kit = kit_of(make_kit, database_url)
    key, tray = add_passkey(kit), fit(kit)
    handle, token, _, _ = begin(kit, tray, "maya")
    assert accept(kit, token) is None
    ask_way(kit, handle, "passkey")
    first = options_of(kit, handle)
    right = key.get(first)
    assert answer_way(kit, handle, "passkey", key.get(first, origin="https://evil.example.org")) == "wrong"
    assert answer_way(kit, handle, "passkey", right) == "wrong"
    drain(kit)
    second = options_of(kit, handle)
    assert json.loads(second)["challenge"] != json.loads(first)["challenge"]
    assert answer_way(kit, handle, "passkey", right) == "wrong"
    drain(kit)
    good = key.get(options_of(kit, handle))
    assert answer_way(kit, handle, "passkey", good) == "accepted"
    assert answer_way(kit, handle, "passkey", good) == "done"
    case = case_of(kit, handle)
    assert case is not None
    assert case.state in (State.APPROVED, State.ON_HOLD)


@pytest.mark.covers("M8", "D9", "W-3", "INV-I3")
def test_an_answer_counts_on_its_own_page_only(make_kit: Make, database_url: str) -> None:
    kit = kit_of(make_kit, database_url)
    key, _ = add_passkey(kit), fit(kit)
    mine, other, theirs = (ask(kit, who).handle for who in ("maya", "maya", "omar"))
    drain(kit)
    for handle in (mine, other, theirs):
        ask_way(kit, handle, "passkey")
    answer = key.get(options_of(kit, mine))
    assert answer_way(kit, other, "passkey", answer) == "wrong"
    assert answer_way(kit, theirs, "passkey", answer) == "wrong"
    assert answer_way(kit, mine, "passkey", answer) == "accepted"


@pytest.mark.slow
@pytest.mark.covers("W-6", "A3", "INV-I5")
def test_a_page_about_nobody_goes_through_the_same_challenges(make_kit: Make, database_url: str) -> None:
    kit = kit_of(make_kit, database_url)
    key, _ = add_passkey(kit), fit(kit)
    seen = []
    for who in ("maya", "nobody"):
        handle = ask(kit, who).handle
        drain(kit)
        ask_way(kit, handle, "passkey")
        steps = []
        for _try in range(6):
            before = json.loads(options_of(kit, handle))
            word = answer_way(kit, handle, "passkey", key.get(json.dumps(before), type="webauthn.create"))
            at_once = json.loads(options_of(kit, handle))
            drain(kit)
            later = json.loads(options_of(kit, handle))
            steps.append((word, before["challenge"] == at_once["challenge"], at_once == later, sorted(before)))
        seen.append(steps)
    assert seen[0] == seen[1]
    assert [s[0] for s in seen[0]] == ["wrong"] * 5 + ["no_tries"]
    assert [s[1] for s in seen[0]] == [False] * 5 + [True]
    assert all(s[2] for s in seen[0])


@pytest.mark.covers("W-4")
def test_a_copy_of_a_passkey_is_refused_and_told_in_the_audit_log(make_kit: Make, database_url: str) -> None:
    kit = kit_of(make_kit, database_url)
    key, tray = add_passkey(kit), fit(kit)
    key.count, key.step = 7, 1
    handle, token, _, _ = begin(kit, tray, "maya")
    assert accept(kit, token) is None
    ask_way(kit, handle, "passkey")
    assert answer_way(kit, handle, "passkey", key.get(options_of(kit, handle))) == "accepted"
    again = ask(kit, "maya").handle
    drain(kit)
    ask_way(kit, again, "passkey")
    key.count, key.step = 3, 0  # the copy was made earlier and counts on its own
    assert answer_way(kit, again, "passkey", key.get(options_of(kit, again))) == "wrong"
    rows = kit.read(lambda tx: [r for r in tx.audit.rows() if r["type"] == "proof_refused"])
    assert any("sign_count" in str(r["data"]) for r in rows)
