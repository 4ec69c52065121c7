"""What each preset asks of a policy, and where a policy stays below it.

A preset is a floor, not a choice: within it a company decides freely; below it Keyback starts only for a reason that
was written down. The names of what can be given up are the names of the claims in `policy_search`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import TIERS, Holds, Policy
from keyback.domain.units import HOUR, MINUTE

PresetName = Literal["nist", "mlps2", "mlps3", "classic"]
Deviation = Literal["two_issued_codes", "sms_for_privileged", "second_operator", "short_hold", "low_floor"]
DEVIATIONS: Final[tuple[Deviation, ...]] = (
    "two_issued_codes",
    "sms_for_privileged",
    "second_operator",
    "short_hold",
    "low_floor",
)
LEAST_REASON: Final = 20  # characters; a word is no reason


@dataclass(frozen=True, slots=True)
class Preset:
    """The least that a standard asks for.

    Args:
        floor: everybody's least tier (C-4).
        only_address: ms of `Holds.only_address` where a company sets none.
        least: holds that may not be shorter, in ms.
    """

    name: PresetName
    floor: Tier = "standard"
    only_address: int = 15 * MINUTE
    least: Holds = field(default_factory=lambda: LEAST)


# NIST names no figures for a wait; it wants the owner told in time to object (SP 800-63B-4 4.2.3, 4.6). These are ours.
LEAST: Final[Holds] = Holds(stranger=MINUTE, new_device=5 * MINUTE, privileged=HOUR, mailbox=HOUR, proofing=24 * HOUR)
# `classic` are rules from a time without waits; what an identity check or an administrator needs stays.
LEAST_CLASSIC: Final = Holds(stranger=0, new_device=0, privileged=HOUR, mailbox=HOUR, proofing=24 * HOUR)
PRESETS: Final[Mapping[PresetName, Preset]] = MappingProxyType(
    {
        "nist": Preset("nist"),
        "mlps2": Preset("mlps2"),
        "mlps3": Preset("mlps3", floor="mfa"),
        "classic": Preset("classic", only_address=0, least=LEAST_CLASSIC),
    }
)
HOLDS: Final = ("stranger", "new_device", "privileged", "mailbox", "proofing")


def short_holds(policy: Policy, preset: Preset) -> list[str]:
    """The holds that are shorter than the preset's least."""
    return [h for h in HOLDS if getattr(policy.holds, h) < getattr(preset.least, h)]


def weaker(policy: Policy, preset: Preset) -> list[Deviation]:
    """Where this policy stays below its preset, whether accepted or not, in the order of `DEVIATIONS`."""
    below: dict[Deviation, bool] = {
        "two_issued_codes": "two_issued_codes" in policy.loose,
        "sms_for_privileged": "sms_for_privileged" in policy.loose,
        "second_operator": policy.second_operator == "never",
        "short_hold": bool(short_holds(policy, preset)),
        "low_floor": TIERS.index(policy.floor) < TIERS.index(preset.floor),
    }
    return [d for d in DEVIATIONS if below[d]]


def not_accepted(policy: Policy, preset: Preset) -> list[Deviation]:
    """Where it stays below without a written reason; Keyback does not start while there is one."""
    reasons = dict(policy.accepted)
    return [d for d in weaker(policy, preset) if len(reasons.get(d, "").strip()) < LEAST_REASON]
