"""`keyback evaluate policy`: recoveries that took place, weighed once more by a draft."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from keyback.application.policy.coverage import Offer
from keyback.application.policy.evaluation import Evaluation, evaluate
from keyback.domain.policy.rules import Holds, Policy
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR
from tests.support.commands import Keyback
from tests.support.kit import Kit, person
from tests.support.steps import fit, proven

Make = Callable[..., Kit]
pytestmark = pytest.mark.both


@pytest.fixture
def kit(make_kit: Make, database_url: str) -> Kit:
    return make_kit(url=database_url, policy={"known_networks": []})


def weigh(kit: Kit, draft: Policy, *, since: int = 0, listed: int = 50) -> Evaluation:
    s = kit.services
    in_use = Offer(s.policy, s.proofs)
    return kit.run(evaluate(s.db, in_use, Offer(draft, s.proofs), since, listed=listed))


def test_what_is_weighed_the_same_is_counted_and_nothing_else(kit: Kit) -> None:
    tray = fit(kit, person("maya"))
    proven(kit, tray)
    found = weigh(kit, kit.services.policy)
    assert (found.pages, found.same, found.differences, found.unrecorded, found.gone) == (1, 1, [], 0, 0)


def test_each_kind_of_change_is_named_person_by_person(kit: Kit) -> None:
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    before = kit.read(lambda tx: tx.audit.head())
    policy = kit.services.policy
    off = dataclasses.replace(policy, off=policy.off | {"email_link"})
    found = weigh(kit, off)
    assert found.changes == {"refused": 1}
    d = found.differences[0]
    assert (d.case_id, d.shown, d.tier, d.journey, d.change) == (
        case_id,
        ("email_link",),
        "standard",
        "password",
        "refused",
    )
    assert (d.now.kind, d.then.kind, d.way) == ("hold", "more", "none")
    assert d.person == kit.read(lambda tx: tx.people.person(d.person_id)).name
    longer = dataclasses.replace(policy, holds=Holds(stranger=3 * HOUR))
    found = weigh(kit, longer)
    assert [(x.change, x.then.wait) for x in found.differences] == [("longer", 3 * HOUR)]
    known = dataclasses.replace(policy, holds=Holds(stranger=0))
    assert weigh(kit, known).changes == {"shorter": 1}
    floor = dataclasses.replace(policy, floor="mfa")
    assert weigh(kit, floor).changes == {"refused": 1}
    assert weigh(kit, off, listed=0).differences == []
    assert weigh(kit, off, listed=0).changes == {"refused": 1}
    assert kit.read(lambda tx: tx.audit.head()) == before, "nothing was written"


def test_a_draft_that_asks_less_would_have_let_in_and_one_that_approves_is_named(kit: Kit) -> None:
    tray, policy = fit(kit, person("maya")), kit.services.policy
    proven(kit, tray)
    proofs = kit.services.proofs
    strict = Offer(dataclasses.replace(policy, floor="mfa"), proofs)
    found = kit.run(evaluate(kit.services.db, strict, Offer(policy, proofs), 0, listed=9))
    assert [(d.change, d.now.kind, d.then.kind) for d in found.differences] == [("opened", "more", "hold")]


def test_only_what_lies_in_the_time_and_what_is_recorded_counts(kit: Kit) -> None:
    tray = fit(kit, person("maya"))
    proven(kit, tray)
    assert weigh(kit, kit.services.policy, since=kit.clock() + HOUR).pages == 0
    # A row as an earlier version wrote it.
    old = {"proof": "email_link", "kind": "issued", "channel": "mail:1", "challenge_id": "x", "intake_id": "h"}
    kit.write(lambda tx: tx.audit.record("c" * 22, [Note("proof_accepted", old)]))
    found = weigh(kit, kit.services.policy)
    assert (found.pages, found.unrecorded) == (1, 1)


def test_somebody_who_was_removed_since_is_left_out(kit: Kit) -> None:
    tray = fit(kit, person("maya"))
    case_id = proven(kit, tray)
    row = kit.read(lambda tx: next(r for r in tx.siem.rows(0, 100) if r.event.type == "proof_accepted"))
    kit.write(lambda tx: tx.audit.record("n" * 22, [Note("proof_accepted", dict(row.event.data))]))
    found = weigh(kit, kit.services.policy)
    assert (found.pages, found.gone) == (1, 1)
    assert case_id == row.event.stream


# ── the command ─────────────────────────────────────────────────────────────


def test_the_command_says_it_in_words_and_in_json(place: Path, keyback: Keyback) -> None:
    keyback("init")

    draft = place / "draft.toml"
    draft.write_text("[policy]\nhold_stranger_minutes = 60\n")
    assert "0 recoveries of the last 7 days" in keyback("evaluate", "policy", str(draft)).stdout
    assert json.loads(keyback("evaluate", "policy", str(draft), "--days", "30", "--json").stdout)["pages"] == 0
    assert "does not exist" in keyback("evaluate", "policy", "nowhere.toml", code=2).stderr
    draft.write_text("[policy]\nhold_stranger_minutes = -1\n")
    assert "hold_stranger_minutes" in keyback("evaluate", "policy", str(draft), code=1).stderr
