"""Which evidence suffices: every subset of a set of proofs against a table written from the standard."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest

from keyback.domain.person import Tier
from keyback.domain.policy import Evidence, suffices

# One of each kind that there is, among them two mails to one mailbox, two of one kind and a number read by SMS.
PROOFS = {
    "mail": Evidence("email_link", "issued", "mail:c1", 1),
    "again": Evidence("email_link", "issued", "mail:c1", 2),
    "backup": Evidence("email_link", "issued", "mail:c2", 3),
    "sms": Evidence("sms_code", "issued", "sms:c3", 4),
    "saved": Evidence("saved_code", "saved", "paper", 5),
    "same_box": Evidence("contact", "contact", "mail:c1", 6),
    "friend": Evidence("contact", "contact", "mail:c9", 7),
    "totp": Evidence("totp", "bound", "app", 8),
    "passkey": Evidence("passkey", "bound", "key", 9),
    "document": Evidence("document", "proofing", "desk", 10),
    "questions": Evidence("questions", "knowledge", "head", 11),
}
ISSUED = {"mail", "again", "backup", "sms"}
MAILBOX_C1 = {"mail", "again", "same_box"}


def enough_by_the_book(names: frozenset[str], tier: Tier) -> bool:
    """NIST SP 800-63B-4 4.2.2.1 and 4.2.2.2, read without looking at our code."""
    if tier == "privileged":
        # No SMS, and until somebody can approve only a way with a passkey.
        return "passkey" in names and enough_by_the_book(names - {"sms"}, "mfa")
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
@pytest.mark.parametrize("tier", ["standard", "mfa", "privileged"])
def test_every_subset_of_proofs(tier: Tier) -> None:
    wrong = []
    for n in range(len(PROOFS) + 1):
        for names in combinations(PROOFS, n):
            if suffices([PROOFS[x] for x in names], tier) != enough_by_the_book(frozenset(names), tier):
                wrong.append(names)
    assert wrong == []


@pytest.mark.covers("E2")
@pytest.mark.parametrize("tier", ["standard", "mfa", "privileged"])
def test_order_and_repetition_weigh_nothing(tier: Tier) -> None:
    for names in combinations(PROOFS, 3):
        found = {suffices([PROOFS[x] for x in order], tier) for order in permutations(names)}
        twice = suffices([PROOFS[x] for x in names * 2], tier)
        assert found == {twice}


@pytest.mark.covers("E2", "INV-I3")
@pytest.mark.parametrize("tier", ["mfa", "privileged"])
@pytest.mark.parametrize("name", PROOFS)
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
