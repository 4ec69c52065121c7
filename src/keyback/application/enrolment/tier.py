"""The tier that counts for a person."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports.storage import Tx
from keyback.domain.people.factor import Factor, FactorState, effective_factors
from keyback.domain.people.person import Account, Person, Tier
from keyback.domain.policy.rules import Policy, effective_tier

COUNTED: tuple[FactorState, ...] = ("active", "removed")


def tier_of(
    tx: Tx, person: Person, accounts: Sequence[Account], policy: Policy, factors: Sequence[Factor] | None = None
) -> Tier:
    """The tier that counts for a person now; a factor that was added lately does not raise it yet (ADR 23).

    Args:
        factors: the person's, active and removed, where they were read already.
    """
    if any(a.privileged and a.state != "disabled" for a in accounts):
        return "privileged"
    if factors is None:
        factors = tx.factors.of_person(person.id, states=COUNTED)
    return effective_tier(person.tier, effective_factors(factors, tx.now), policy.floor)
