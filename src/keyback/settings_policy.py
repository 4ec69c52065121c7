"""From `[policy]` in the settings to the policy that rules, and the refusal to start on one that is too weak."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from keyback.domain.people.ages import DAY, LATE, Ages
from keyback.domain.people.person import Tier
from keyback.domain.policy.presets import DEVIATIONS, LEAST_REASON, PRESETS, Preset, not_accepted
from keyback.domain.policy.rules import (
    IDENTITY_SERVICE,
    PROOFS,
    PROVIDER_SIGN_IN,
    Holds,
    Loose,
    Policy,
    ProofClass,
)
from keyback.domain.units import HOUR, MINUTE
from keyback.settings import LOOPBACK, Settings, Unsafe

WAYS_OUT: Final = {
    "two_issued_codes": "policy.two_issued_codes lets mail and SMS together open accounts with a second step",
    "sms_for_privileged": "policy.sms_for_privileged lets SMS count for CRM administrators",
    "second_operator": "policy.second_operator is never: no one else approves for CRM administrators",
    "short_hold": "a hold in [policy] is shorter than the preset allows",
    "low_floor": "policy.floor is below what the preset asks of everybody",
}


def preset_of(s: Settings) -> Preset:
    """The preset that the policy is measured by: its own, else that of the passwords."""
    return PRESETS[s.policy.preset or s.password.preset]


def make_policy(s: Settings, kinds: Mapping[str, ProofClass] = MappingProxyType({}), *, strict: bool = True) -> Policy:
    """The company's policy; a preset that asks for two factors from everybody raises the floor (C-4).

    Args:
        kinds: name to class of the proofs that there are; those that the rules know by name need not be among them.
        strict: False only to look at a policy without starting anything on it.

    Raises:
        Unsafe: a proof that is not known, a reason for what is not given up, or, when strict, a policy that falls short
            of its preset without a written reason.
    """
    p, preset = s.policy, preset_of(s)
    only = p.hold_only_address_minutes
    holds = Holds(
        stranger=p.hold_stranger_minutes * MINUTE,
        only_address=preset.only_address if only is None else only * MINUTE,
        new_device=p.hold_new_device_minutes * MINUTE,
        privileged=p.hold_privileged_hours * HOUR,
        mailbox=p.hold_mailbox_hours * HOUR,
        proofing=p.hold_proofing_hours * HOUR,
    )
    if p.contacts_void_days < p.contacts_remind_days + 60:
        raise Unsafe("policy.contacts_void_days has to be 60 days more than policy.contacts_remind_days at least.")
    remind = p.contacts_remind_days * DAY
    loose: dict[Loose, bool] = {"two_issued_codes": p.two_issued_codes, "sms_for_privileged": p.sms_for_privileged}
    off_for: frozenset[tuple[Tier, str]] = frozenset((t, _proof(n, s)) for t, names in p.off_for.items() for n in names)
    questions = frozenset() if p.security_questions else frozenset({"security_questions"})
    # Who tries Keyback out on this machine is known; behind a proxy, loopback says nothing about anybody.
    near = ("127.0.0.0/8", "::1/128") if urlsplit(s.public_url).hostname in LOOPBACK else ()
    unknown = sorted(set(p.accepted) - set(DEVIATIONS))
    if unknown:
        raise Unsafe(f"policy.accepted: {unknown[0]} is not one of {', '.join(DEVIATIONS)}.")
    brought = [(name, kind) for name, kind in kinds.items() if name not in PROOFS]
    if s.identity:
        brought.append((IDENTITY_SERVICE, "proofing"))
    policy = Policy(
        off=frozenset(_proof(n, s) for n in p.off) | questions,
        holds=holds,
        floor=p.floor or preset.floor,
        known_networks=(*(str(n) for n in p.known_networks), *near),
        off_for=off_for,
        second_operator=p.second_operator,
        loose=frozenset(k for k, on in loose.items() if on),
        accepted=tuple(sorted(p.accepted.items())),
        per_colleague=p.people_per_colleague,
        brought=tuple(brought),
        ages=Ages(remind, remind + LATE, p.contacts_void_days * DAY),
    )
    short = not_accepted(policy, preset)
    if strict and short:
        raise Unsafe(
            f"the policy falls short of the preset {preset.name}: {WAYS_OUT[short[0]]}. Take it back, or write the "
            f"reason into policy.accepted.{short[0]} ({LEAST_REASON} characters at least). "
            "`keyback policy check` shows what it opens."
        )
    return policy


def _proof(name: str, s: Settings) -> str:
    known = {*PROOFS, *s.proofs, PROVIDER_SIGN_IN, IDENTITY_SERVICE}
    if name not in known:
        raise Unsafe(f"policy.off: {name} is no proof. Known are {', '.join(sorted(known))}.")
    if name == "email_link":
        raise Unsafe("policy.off: email_link cannot be switched off: every recovery begins with a mail.")
    return name
