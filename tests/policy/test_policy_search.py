"""The search through policies: nothing on what the presets allow, the exact path for what is planted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from keyback.domain.people.person import Tier
from keyback.domain.policy import search as policy_search
from keyback.domain.policy.claims import CLAIMS, PIECES, all_pieces, every_set
from keyback.domain.policy.presets import DEVIATIONS, PRESETS, PresetName, not_accepted, weaker
from keyback.domain.policy.rules import PROOFS, TIERS, Evidence, Holds, Journey, Policy, Risk, Ruling, rule
from keyback.domain.policy.search import search, ways_in
from keyback.domain.units import HOUR
from tests.support.each import each

NIST = PRESETS["nist"]
LOOSE = frozenset({"two_issued_codes"})


def of(name: PresetName) -> Policy:
    """What a company gets that sets nothing but the preset."""
    return Policy(floor=PRESETS[name].floor)


def broken(policy: Policy, name: PresetName = "nist", **more: Any) -> dict[str, list[tuple[str, set[str]]]]:
    found = search(policy, PRESETS[name], **{"most": 2, **more}).broken()
    return {f.claim.id: [(p.tier, {str(e) for e in p.evidence}) for p in f.paths] for f in found}


@pytest.mark.slow
@pytest.mark.covers("N-R11", "N-R10", "INV-I2", "E2", "SD-D5", "SD-D1", "A-6.4.3", "A-6.4.4", "C-12", "O-W1")
def test_no_path_breaks_the_default_policy_whatever_is_shown() -> None:
    result = search(of("nist"), NIST)
    assert [f.claim.id for f in result.broken()] == []
    assert [f.claim.id for f in result.found] == list(CLAIMS)
    assert result.rulings > 4 * len(list(every_set(Policy()))) > 180_000


@pytest.mark.slow
@pytest.mark.covers("C-4")
@each("name", PRESETS)
def test_no_path_breaks_a_preset_with_questions_on_neither(name: PresetName) -> None:
    assert broken(replace(of(name), off=frozenset()), name, most=4) == {}


@pytest.mark.slow
@each("tier", TIERS)
@each("risk", [Risk(), Risk(known_device=True)])
@each(
    "holds",
    [Holds(1, 2, 3, 4, 5), Holds(5, 4, 3, 2, 1), Holds(2, 9, 4, 30, 7)],
)
def test_whatever_the_holds_are_more_evidence_never_waits_longer(tier: Tier, risk: Risk, holds: Holds) -> None:
    policy = Policy(off=frozenset(), holds=holds)
    for journey in ("password", "mailbox"):
        ruled = cache(lambda shown, j=journey: rule(shown, tier, risk, policy, j, approved=True))
        for pieces in every_set(policy, 3):
            shown = frozenset(p.evidence for p in pieces)
            after = ruled(shown)
            for e in shown:
                before = ruled(shown - {e})
                assert before.kind == "more" or (after.kind != "more" and after.wait <= before.wait), (pieces, journey)


@pytest.mark.slow
@pytest.mark.covers("N-R11", "SD-D5")
def test_mail_and_sms_for_people_with_a_second_step_are_named() -> None:
    paths = broken(Policy(loose=LOOSE))
    assert set(paths) == {"two_issued_codes"}
    assert ("mfa", {"email_link (mail:primary)", "sms_code (phone:1)"}) in paths["two_issued_codes"]
    assert all(len(shown) == 2 for _, shown in paths["two_issued_codes"])


@pytest.mark.slow
@each(
    ("weak", "name", "first"),
    [
        ({"loose": frozenset({"sms_for_privileged"})}, "nist", "sms_code (phone:1)"),
        ({"second_operator": "never"}, "nist", "email_link (mail:primary)"),
        ({"holds": Holds(stranger=0)}, "nist", "email_link (mail:primary)"),
        ({"holds": Holds(new_device=0)}, "mlps2", "email_link (mail:primary)"),
        ({"holds": Holds(privileged=HOUR - 1)}, "classic", "email_link (mail:primary)"),
        ({"holds": Holds(mailbox=0)}, "nist", "backup_email (mail:primary)"),
        ({"holds": Holds(proofing=23 * HOUR)}, "nist", "email_link (mail:primary)"),
        ({"loose": LOOSE}, "mlps2", "email_link (mail:primary)"),
        ({"floor": "standard"}, "mlps3", ""),
    ],
)
def test_each_weakness_is_found_and_is_the_one_that_needs_a_reason(
    weak: dict[str, Any], name: PresetName, first: str
) -> None:
    policy = replace(of(name), **weak)
    paths = broken(policy, name)
    (claim,) = weaker(policy, PRESETS[name])
    assert set(paths) == {claim}
    assert not first or any(first in shown for _, shown in paths[claim])
    assert not_accepted(policy, PRESETS[name]) == [claim]
    assert not_accepted(replace(policy, accepted=((claim, "Too short a word."),)), PRESETS[name]) == [claim]
    assert not_accepted(replace(policy, accepted=((claim, "The board decided so on 3 May."),)), PRESETS[name]) == []


def test_holds_of_a_minute_are_enough_where_the_preset_knows_no_waits() -> None:
    short = Policy(holds=Holds(stranger=0, new_device=0))
    assert weaker(short, PRESETS["classic"]) == []
    assert weaker(short, NIST) == ["short_hold"]
    assert set(DEVIATIONS) <= set(CLAIMS)


# Rules with one fault each, as somebody might write them one day.
def _planted(fault: str) -> Any:
    def ruling(
        evidence: Iterable[Evidence], tier: Tier, risk: Risk, policy: Policy, journey: Journey = "password", **kw: Any
    ) -> Ruling:
        shown, names = list(evidence), {e.proof for e in evidence}
        right = rule(shown, tier, risk, policy, journey, **kw)
        match fault:
            case "mailbox_alone" if names >= {"email_link", "backup_email"} and tier != "privileged":
                return Ruling("go")
            case "one_channel" if sum(e.channel == "mail:primary" for e in shown) > 1 and tier == "privileged":
                return Ruling("review", reason="privileged")
            case "factor_alone" if names == {"totp", "passkey"}:
                return Ruling("go")
            case "knowledge" if right.kind == "more" and tier == "standard" and names == {"security_questions"}:
                return Ruling("go")
            case "knowledge_helps" if right.kind == "review" and "security_questions" in names:
                return Ruling("hold", policy.holds.privileged)
            case "desk_alone" if names == {"id_document"}:
                return Ruling("hold", 2 * policy.holds.proofing)
            case "lost_second_step" if (
                journey == "second_factor"
                and len(shown) == 2
                and names
                <= {
                    "email_link",
                    "backup_email",
                }
            ):
                return Ruling("hold", policy.holds.new_device)
            case "one_call" if right.reason == "caller_check" and not kw.get("approved"):
                return Ruling("hold", policy.holds.proofing)
            case "one_thing" if "caller_check" in names and kw.get("approved") and right.kind == "hold":
                return Ruling("go")
            case "one_phone" if names == {"sms_code", "caller_check"} and tier == "mfa":
                return Ruling("review", reason="caller_check")
            case "more_is_more" if len(shown) == 3 and right.kind == "go":
                return Ruling("hold", 1)
        return right

    return ruling


@pytest.mark.slow
@pytest.mark.covers("INV-I2", "G1", "I1")
@each(
    ("fault", "claim"),
    [
        ("mailbox_alone", "mailbox_alone"),
        ("one_channel", "one_channel"),
        ("factor_alone", "factor_alone"),
        ("knowledge", "knowledge"),
        ("knowledge_helps", "knowledge"),
        ("desk_alone", "desk_alone"),
        ("one_call", "one_call"),
        ("one_thing", "one_thing"),
        ("one_phone", "one_channel"),
        ("lost_second_step", "lost_second_step"),
        ("more_is_more", "more_is_more"),
    ],
)
def test_a_fault_in_the_rules_themselves_is_found(fault: str, claim: str) -> None:
    assert claim in broken(
        Policy(off=frozenset()), ruling=_planted(fault), most=3 if fault in ("more_is_more", "knowledge_helps") else 2
    )


@pytest.mark.slow
@pytest.mark.covers("N-O4", "N-T8", "N-R5", "F1")
def test_settings_that_leave_no_path_or_live_too_long_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    only_sms = Policy(off=frozenset(PROOFS) - {"sms_code"})
    assert {"alternatives", "phishing_resistant"} <= set(broken(only_sms))
    assert "phishing_resistant" in broken(Policy(off_for=frozenset({("mfa", "passkey")})))
    monkeypatch.setitem(policy_search.LIVES, "sms_code", (11 * 60_000, 10 * 60_000))
    monkeypatch.setattr(policy_search, "COOLING_OFF", 71 * HOUR)
    assert {"lifetimes", "planted"} <= set(broken(Policy()))


def test_what_is_off_for_one_tier_opens_nothing_there_and_everything_else_elsewhere() -> None:
    policy = Policy(off_for=frozenset({("privileged", "im_message"), ("mfa", "sms_code")}))
    proofs = {t: {p for way in ways_in(policy, t) for p in way} for t in TIERS}
    assert "im_message" in proofs["standard"] & proofs["mfa"]
    assert "im_message" not in proofs["privileged"]
    assert "sms_code" in proofs["standard"]
    assert "sms_code" not in proofs["mfa"] | proofs["privileged"]


@pytest.mark.slow
def test_every_set_is_there_once_with_two_channels_of_each() -> None:
    sets = list(every_set(Policy()))
    assert len(sets) == len({frozenset(s) for s in sets}) == 69_984
    assert {p for s in sets for p in s} == set(PIECES)
    assert {p.proof for p in PIECES} == set(PROOFS)
    assert [len(s) for s in sets] == sorted(len(s) for s in sets)


@pytest.mark.slow
def test_what_is_brought_besides_is_weighed_and_tried_like_the_rest() -> None:
    policy = Policy(off=frozenset({"door_badge"}), brought=(("key_fob", "bound"), ("door_badge", "saved")))
    pieces = [p for p in all_pieces(policy) if p not in PIECES]
    assert [(p.proof, p.channel, p.second, p.evidence.kind) for p in pieces] == [
        ("key_fob", "key_fob:1", False, "bound"),
        ("key_fob", "key_fob:2", True, "bound"),
        ("door_badge", "door_badge:1", False, "saved"),
        ("door_badge", "door_badge:2", True, "saved"),
    ]
    mail, fob = next(p for p in PIECES if p.proof == "email_link"), pieces[0]
    assert rule([fob.evidence], "mfa", Risk(), policy).kind == "more"
    assert rule([mail.evidence, fob.evidence], "mfa", Risk(), policy).kind == "hold"
    sets = list(every_set(policy, 2))
    assert frozenset(pieces[:2]) in {frozenset(s) for s in sets}
    assert frozenset({pieces[1]}) not in {frozenset(s) for s in sets}
    assert search(policy, NIST, most=2).broken() == []
