"""Which evidence suffices: every subset of a set of proofs against a table written from the standard."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest

from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import (
    TIERS,
    Evidence,
    Holds,
    Journey,
    Policy,
    Risk,
    effective_tier,
    needs_approval,
    rule,
    suffices,
)
from tests.support.each import each

# One of each kind that there is, among them two mails to one mailbox, two of one kind and a number read by SMS.
PROOFS = {
    "mail": Evidence("email_link", "issued", "mail:c1", 1),
    "again": Evidence("email_link", "issued", "mail:c1", 2),
    "backup": Evidence("email_link", "issued", "mail:c2", 3),
    "sms": Evidence("sms_code", "issued", "phone:c3", 4),
    "saved": Evidence("recovery_code", "saved", "paper", 5),
    "same_box": Evidence("recovery_contact", "contact", "mail:c1", 6),
    "friend": Evidence("recovery_contact", "contact", "mail:c9", 7),
    "totp": Evidence("totp", "bound", "app", 8),
    "passkey": Evidence("passkey", "bound", "key", 9),
    "document": Evidence("id_document", "proofing", "desk", 10),
    "questions": Evidence("security_questions", "knowledge", "head", 11),
}
ISSUED = {"mail", "again", "backup", "sms"}
MAILBOX_C1 = {"mail", "again", "same_box"}


def enough_by_the_book(names: frozenset[str], tier: Tier) -> bool:
    """NIST SP 800-63B-4 4.2.2.1 and 4.2.2.2, read without looking at our code."""
    if tier == "privileged":
        return enough_by_the_book(names - {"sms"}, "mfa")  # SMS does not count; who approves is another question
    recovery = names & (ISSUED | {"saved", "same_box", "friend"})
    if tier == "standard":
        return bool(recovery)
    if recovery and names & {"totp", "passkey"}:
        return True
    if "document" in names and names & ISSUED:
        return True
    if "saved" in names and recovery - {"saved"}:
        return True
    if "friend" in names and names & ISSUED:
        return True
    return "same_box" in names and bool(names & (ISSUED - MAILBOX_C1))


@pytest.mark.covers("E2", "N-R10", "N-R11", "INV-I3", "G1", "F7")
@each("tier", ["standard", "mfa", "privileged"])
def test_every_subset_of_proofs(tier: Tier) -> None:
    wrong = []
    for n in range(len(PROOFS) + 1):
        for names in combinations(PROOFS, n):
            if suffices([PROOFS[x] for x in names], tier) != enough_by_the_book(frozenset(names), tier):
                wrong.append(names)
    assert wrong == []


@pytest.mark.covers("E2")
@each("tier", ["standard", "mfa", "privileged"])
def test_order_and_repetition_weigh_nothing(tier: Tier) -> None:
    for names in combinations(PROOFS, 3):
        found = {suffices([PROOFS[x] for x in order], tier) for order in permutations(names)}
        twice = suffices([PROOFS[x] for x in names * 2], tier)
        assert found == {twice}


@pytest.mark.covers("E2", "INV-I3")
@each("tier", ["mfa", "privileged"])
@each("name", PROOFS)
def test_no_single_proof_is_enough_where_a_factor_is_enrolled(name: str, tier: Tier) -> None:
    assert not suffices([PROOFS[name]] * 5, tier)


@pytest.mark.covers("E2")
def test_more_evidence_never_weighs_less() -> None:
    tiers: tuple[Tier, ...] = ("standard", "mfa", "privileged")
    for tier in tiers:
        for names in combinations(PROOFS, 2):
            if suffices([PROOFS[x] for x in names], tier):
                assert all(suffices([*(PROOFS[x] for x in names), more], tier) for more in PROOFS.values())
    for names in combinations(PROOFS, 3):
        strict = [suffices([PROOFS[x] for x in names], t) for t in ("privileged", "mfa", "standard")]
        assert strict == sorted(strict)  # what is enough for a stricter tier is enough for a laxer one


@pytest.mark.covers("E2")
def test_only_a_passkey_spares_an_administrator_the_second_operator() -> None:
    for n in range(len(PROOFS) + 1):
        for names in combinations(PROOFS, n):
            shown = [PROOFS[x] for x in names]
            assert needs_approval(shown, "privileged") == ("passkey" not in names)
            assert not needs_approval(shown, "mfa")


KNOWN, STRANGE = Risk(known_device=True), Risk()


@each(
    ("names", "tier", "risk", "journey", "kind", "reason"),
    [
        ((), "standard", KNOWN, "password", "more", ""),
        (("questions",), "standard", KNOWN, "password", "more", ""),
        (("mail",), "standard", KNOWN, "password", "go", ""),
        (("mail",), "standard", Risk(known_network=True), "password", "go", ""),
        (("mail",), "standard", STRANGE, "password", "hold", "stranger"),
        (("mail", "again"), "standard", STRANGE, "password", "hold", "stranger"),  # one mailbox is one proof
        (("mail", "sms"), "standard", STRANGE, "password", "go", ""),
        (("mail",), "standard", KNOWN, "second_factor", "more", ""),  # never by mail alone
        (("mail", "sms"), "standard", KNOWN, "second_factor", "more", ""),
        (("mail", "saved"), "standard", KNOWN, "second_factor", "hold", "new_device"),
        (("sms",), "standard", KNOWN, "mailbox", "hold", "mailbox"),
        (("backup", "totp"), "mfa", KNOWN, "mailbox", "go", ""),
        (("mail", "sms"), "mfa", KNOWN, "password", "more", ""),
        (("mail", "totp"), "mfa", KNOWN, "password", "go", ""),
        (("mail", "totp"), "mfa", STRANGE, "password", "hold", "new_device"),
        (("mail", "saved"), "mfa", KNOWN, "password", "hold", "new_device"),
        (("mail", "saved", "totp"), "mfa", STRANGE, "password", "go", ""),  # a third one ends the hold
        (("mail", "document"), "mfa", KNOWN, "password", "hold", "proofing"),
        (("mail", "totp"), "privileged", KNOWN, "password", "review", "privileged"),
        (("sms", "passkey"), "privileged", KNOWN, "password", "more", ""),
        (("mail", "passkey"), "privileged", KNOWN, "password", "go", ""),
        (("mail", "passkey"), "privileged", STRANGE, "password", "hold", "privileged"),
    ],
)
@pytest.mark.covers("E2", "N-R11", "O-M1")
def test_what_evidence_comes_to(
    names: tuple[str, ...], tier: Tier, risk: Risk, journey: Journey, kind: str, reason: str
) -> None:
    policy = Policy(off=frozenset())
    ruling = rule([PROOFS[x] for x in names], tier, risk, policy, journey)
    assert (ruling.kind, ruling.reason) == (kind, reason)
    assert (ruling.wait > 0) == (kind == "hold")


def test_what_is_switched_off_weighs_nothing() -> None:
    policy = Policy(off=frozenset({"sms_code"}))
    assert rule([PROOFS["sms"]], "standard", KNOWN, policy).kind == "more"
    assert rule([PROOFS["sms"], PROOFS["mail"]], "standard", STRANGE, policy).kind == "hold"


def test_an_administrator_waits_longest_after_an_identity_check() -> None:
    shown = [PROOFS["mail"], PROOFS["document"]]
    waits = [rule(shown, t, KNOWN, Policy(), approved=True).wait for t in ("mfa", "privileged")]
    assert waits == [Policy().holds.proofing, 2 * Policy().holds.proofing]


def test_more_evidence_never_makes_the_wait_longer() -> None:
    policy = Policy(off=frozenset())
    for tier in TIERS:
        for risk in (KNOWN, STRANGE):
            for n in (1, 2, 3):
                for names in combinations(PROOFS, n):
                    before = rule([PROOFS[x] for x in names], tier, risk, policy, approved=True)
                    if before.kind == "more":
                        continue
                    for more in PROOFS.values():
                        after = rule([*(PROOFS[x] for x in names), more], tier, risk, policy, approved=True)
                        assert after.wait <= before.wait, (names, more, tier)


@pytest.mark.covers("C-4")
def test_whoever_has_a_bound_factor_is_of_tier_mfa_at_least() -> None:
    assert effective_tier("standard", []) == "standard"
    assert effective_tier("standard", ["recovery_codes"]) == "standard"
    assert effective_tier("standard", ["totp"]) == effective_tier("standard", ["passkey"]) == "mfa"
    assert effective_tier("privileged", ["totp"], "mfa") == "privileged"
    assert effective_tier("standard", [], "mfa") == "mfa"


@pytest.mark.covers("N-R13")
def test_only_what_came_to_the_one_address_waits_longer() -> None:
    mail, sms = PROOFS["mail"], PROOFS["sms"]
    policy = Policy(holds=Holds(stranger=5, only_address=15))
    alone = Risk(only_address="mail:c1")

    def wait(*shown: Evidence, risk: Risk = alone) -> int:
        return rule(shown, "standard", risk, policy).wait

    assert [wait(mail), wait(sms), wait(mail, sms), wait(mail, risk=Risk())] == [15, 5, 0, 5]
    assert wait(mail, risk=Risk(known_device=True, only_address="mail:c1")) == 0
    longer = Policy(holds=Holds(stranger=20, only_address=15))
    assert rule([mail], "standard", alone, longer).wait == 20, "never shorter than for others"
    none = Policy(holds=Holds(stranger=0, only_address=15))
    assert rule([mail], "standard", alone, none).kind == "hold"
    assert rule([mail], "standard", Risk(), none).kind == "go"


def test_what_is_brought_besides_counts_by_its_class() -> None:
    policy = Policy(off=frozenset({"door_badge"}), brought=(("key_fob", "bound"), ("door_badge", "saved")))
    assert [policy.class_of(n) for n in ("key_fob", "door_badge", "sms_code", "nothing")] == [
        "bound", "saved", "issued", None,
    ]  # fmt: skip
    assert dict(policy.proofs) == {**dict(Policy().proofs), "key_fob": "bound", "door_badge": "saved"}
    assert policy.takes("key_fob")
    assert policy.takes("key_fob", "privileged")
    assert not policy.takes("door_badge")
    assert not Policy().takes("key_fob")
    assert not Policy(brought=policy.brought, off_for=frozenset({("mfa", "key_fob")})).takes("key_fob", "mfa")
    fob = Evidence("key_fob", "bound", "fob:1", 0)
    assert rule([fob], "mfa", STRANGE, policy).kind == "more"
    assert rule([fob, PROOFS["mail"]], "mfa", STRANGE, policy).kind == "hold"
    assert rule([fob, PROOFS["mail"]], "mfa", STRANGE, Policy()).kind == "more"
