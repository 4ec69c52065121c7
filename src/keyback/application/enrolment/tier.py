"""The tier that counts for a person."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports.storage import Tx
from keyback.domain.people.factor import effective_factors
from keyback.domain.people.person import Account, Person, Tier
from keyback.domain.policy.rules import Policy, effective_tier


def tier_of(tx: Tx, person: Person, accounts: Sequence[Account], policy: Policy) -> Tier:
    """The tier that counts for a person now; a factor that was added lately does not raise it yet (ADR 23)."""
    if any(a.privileged and a.state != "disabled" for a in accounts):
        return "privileged"
    factors = tx.factors.of_person(person.id, states=("active", "removed"))
    return effective_tier(person.tier, effective_factors(factors, tx.now), policy.floor)
