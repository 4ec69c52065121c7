"""How well somebody is prepared: for each mishap the easiest way back that is left, weighed as a recovery would be.

Nothing here decides anything; it asks the same `suffices` that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from keyback.application.ports.proofs import Enrolments, Proof
from keyback.domain.people.ages import aged_ids, living
from keyback.domain.people.factor import BOUND, Factor
from keyback.domain.people.person import Contact, Tier, one_domain
from keyback.domain.policy.rules import Evidence, Policy, required_tier, suffices

Mishap = Literal["password", "phone", "computer", "mailbox", "phone_mailbox", "everything"]
Advice = Literal["", "passkey", "recovery_codes", "totp", "mail", "helper"]
MISHAPS: tuple[Mishap, ...] = ("password", "phone", "computer", "mailbox", "phone_mailbox", "everything")


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a mishap would mean.

    Args:
        ways: proofs that together get the person back in, the fewest; empty where none do.
        from_at: ms when this way opens, because something in it is new; 0 when it is open.
        advice: what to set up so that there is one.
    """

    mishap: Mishap
    ways: tuple[str, ...] = ()
    from_at: int = 0
    advice: Advice = ""


def outlook(
    holder: Enrolments, proofs: Mapping[str, Proof], policy: Policy, tier: Tier, now: int
) -> tuple[Outlook, ...]:
    """One line for each mishap.

    Args:
        holder: with everything that is confirmed and active, new or not.
        tier: the one that counts.
    """
    holder = replace(holder, contacts=living(holder.contacts, now, policy.ages))
    return tuple(_one(m, holder, proofs, policy, tier, now) for m in MISHAPS)


def _one(
    mishap: Mishap, holder: Enrolments, proofs: Mapping[str, Proof], policy: Policy, tier: Tier, now: int
) -> Outlook:
    left = _after(mishap, holder)
    ready = replace(
        left,
        contacts=tuple(c for c in left.contacts if c.usable_from <= now),
        factors=tuple(f for f in left.factors if f.usable_from <= now),
    )
    asked = tier != "standard" or any(f.kind in BOUND for f in holder.factors)  # signing in asks for a new one, too
    wanted = required_tier(tier, "second_factor") if mishap == "phone" and asked else tier
    ways = _fewest(_evidence(ready, proofs, policy, wanted, now), wanted, policy)
    if ways:
        return Outlook(mishap, ways)
    later = _fewest(_evidence(left, proofs, policy, wanted, now), wanted, policy)
    if later:
        from_when = [*(c.usable_from for c in left.contacts), *(f.usable_from for f in left.factors)]
        return Outlook(mishap, later, max((at for at in from_when if at > now), default=0))
    return Outlook(mishap, advice=_advice(left, proofs, policy, wanted, now))


def _after(mishap: Mishap, h: Enrolments) -> Enrolments:
    """What is left when it has happened. A passkey that is synced survives a device; saved codes survive all."""
    lost: dict[Mishap, Callable[[Contact | Factor], bool]] = {
        "password": lambda _: False,
        "phone": _on_phone,
        "computer": _on_device,
        "mailbox": _with_mailbox,
        "phone_mailbox": lambda x: _on_phone(x) or _with_mailbox(x),
        "everything": lambda x: _on_phone(x) or _on_device(x) or _with_mailbox(x),
    }
    gone = lost[mishap]
    lost_mails = [c.address for c in h.contacts if gone(c) and _primary_mail(c)]
    return replace(
        h,
        contacts=tuple(
            c for c in h.contacts
            if not gone(c) and not (_own_mail(c) and any(one_domain(c.address, x) for x in lost_mails))
        ),
        factors=tuple(f for f in h.factors if not gone(f)),
    )  # fmt: skip


def _on_phone(x: Contact | Factor) -> bool:
    return x.channel in ("sms", "im") if isinstance(x, Contact) else x.kind == "totp"


def _on_device(x: Contact | Factor) -> bool:
    return isinstance(x, Factor) and x.kind == "passkey" and not x.data.get("backed_up")


def _with_mailbox(x: Contact | Factor) -> bool:
    """The mailbox itself, and sign-ins that may hang on it."""
    return x.kind == "provider" if isinstance(x, Factor) else _primary_mail(x)


def _own_mail(x: Contact) -> bool:
    return x.channel == "mail" and x.role != "recovery"


def _primary_mail(x: Contact | Factor) -> bool:
    return isinstance(x, Contact) and x.channel == "mail" and x.role == "primary"


def _evidence(h: Enrolments, proofs: Mapping[str, Proof], policy: Policy, tier: Tier, now: int) -> list[Evidence]:
    aged = aged_ids(h.contacts, now, policy.ages)
    out: list[Evidence] = []
    for name, proof in proofs.items():
        if policy.takes(name, tier) and proof.kind != "knowledge":
            out += [Evidence(name, proof.kind, t.channel, 0, aged=t.id in aged, also=t.also) for t in proof.targets(h)]
    return out


def _fewest(evidence: Iterable[Evidence], tier: Tier, policy: Policy) -> tuple[str, ...]:
    have = list(evidence)
    for size in (1, 2):
        for some in combinations(have, size):
            if suffices(some, tier, policy.loose):
                return tuple(e.proof for e in some)
    return ()


def _advice(left: Enrolments, proofs: Mapping[str, Proof], policy: Policy, tier: Tier, now: int) -> Advice:
    """The one thing that would open a way, the easiest first; tried out as if it were there."""
    have = _evidence(left, proofs, policy, tier, now)
    trial: tuple[tuple[Advice, str], ...] = (
        ("recovery_codes", "recovery_code"), ("passkey", "passkey"), ("totp", "totp"), ("mail", "backup_email"),
        ("helper", "recovery_contact"),
    )  # fmt: skip
    possible = [(a, p) for a, p in trial if p in proofs and policy.takes(p, tier)]
    for advice, name in possible:
        if _fewest([*have, Evidence(name, proofs[name].kind, f"new:{name}", 0)], tier, policy):
            return advice
    return next((a for a, _ in possible), "")
