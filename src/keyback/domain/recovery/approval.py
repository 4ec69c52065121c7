"""What an operator's yes comes to: the page goes on, at once or after the hold that the policy wants."""

from __future__ import annotations

from keyback.domain.errors import Refusal
from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import TIERS, rule
from keyback.domain.recovery import events as ev
from keyback.domain.recovery.commands import Approve


def approve(c: Approve, case_tier: Tier, now: int) -> tuple[ev.CaseEvent, ...]:
    """The events of an approval at `now` (ms). Nobody can approve what does not suffice by itself.

    Raises:
        Refusal: `not_enough_evidence`.
    """
    tier = max(case_tier, c.tier, key=TIERS.index)
    alien = any(e.handle != c.intake_id for e in c.evidence)
    if alien or rule(c.evidence, tier, c.risk, c.policy, c.journey).kind == "more":
        raise Refusal("not_enough_evidence")
    yes = ev.ReviewApproved(c.operator, c.intake_id, c.recommended_by)
    ruling = rule(c.evidence, tier, c.risk, c.policy, c.journey, approved=True)
    if ruling.kind == "hold":
        return (yes, ev.HoldStarted(now + ruling.wait, c.intake_id, ruling.reason))
    return (yes, ev.Approved("operator", c.intake_id))
