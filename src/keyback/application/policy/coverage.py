"""Whom a policy leaves without a way back: everybody's enrolments against the rules, in one pass.

What counts is what the proofs themselves would be put to (`Proof.targets`), so a way is listed here exactly when the
person would be offered it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

from keyback.application.ports.enrolment_storage import Everything
from keyback.application.ports.proofs import Enrolments, Proof
from keyback.application.ports.storage import Database, Tx
from keyback.domain.challenges.challenge import EMAIL_LINK
from keyback.domain.people.ages import aged_ids, living
from keyback.domain.people.factor import effective_factors
from keyback.domain.people.person import Tier, only_address
from keyback.domain.policy.rules import Evidence, Policy, Risk, effective_tier, rule

Way = Literal["alone", "operator", "none"]
PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Stranded:
    """Somebody without a way back. `had`: what they can do under the policy that is in use."""

    id: str
    name: str
    tier: Tier
    had: Way = "none"


@dataclass(slots=True)
class Census:
    """How people would get back in.

    Args:
        lost: those whom a draft takes the last way from, who have one now.
        one_address: those of whom one address alone hears what happens to their account (N-R13).
        colleagues: mailboxes that confirm for more people than the policy allows, with their number (F11).
    """

    people: int = 0
    ways: dict[Way, int] = field(default_factory=lambda: {"alone": 0, "operator": 0, "none": 0})
    stranded: list[Stranded] = field(default_factory=list)
    lost: int = 0
    losers: list[Stranded] = field(default_factory=list)
    one_address: int = 0
    colleagues: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Offer:
    """What people are offered: the rules, and the proofs that this installation can put."""

    policy: Policy
    proofs: Mapping[str, Proof]


def evidence_of(e: Everything, offer: Offer, now: int) -> list[Evidence]:
    """All that this person could show at `now` (ms), if nothing were lost but the password."""
    ages = offer.policy.ages
    contacts = living((c for c in e.contacts if c.usable_from <= now), now, ages)
    aged = aged_ids(contacts, now, ages)
    factors = tuple(f for f in e.factors if f.usable_from <= now)
    holder = Enrolments(e.person, contacts, factors, e.codes)
    shown: list[Evidence] = []
    for name, proof in offer.proofs.items():
        if proof.kind != "knowledge" and offer.policy.takes(name):
            shown += [
                Evidence(name, proof.kind, t.channel, now, aged=t.id in aged, also=t.also)
                for t in proof.targets(holder)
            ]
    return shown


def _mailed(e: Everything, now: int) -> list[Evidence]:
    return [
        Evidence(EMAIL_LINK, "issued", f"mail:{c.id}", now)
        for c in e.contacts
        if c.channel == "mail" and c.role == "primary" and c.usable_from <= now
    ]


def tier_under(e: Everything, policy: Policy, now: int) -> Tier:
    """The tier that counts for somebody under this policy at `now` (ms)."""
    if e.privileged:
        return "privileged"
    return effective_tier(e.person.tier, effective_factors([*e.factors, *e.removed], now), policy.floor)


def way_back(shown: Sequence[Evidence], tier: Tier, policy: Policy) -> Way:
    """Alone (at once or after a wait), with an operator's approval, or not at all."""
    kind = rule(shown, tier, Risk(known_device=True), policy).kind
    return "none" if kind == "more" else "operator" if kind == "review" else "alone"


def way_of(e: Everything, tier: Tier, offer: Offer, now: int) -> Way:
    """As `way_back` of all evidence; most people need to show no more than the mail, and more never counts for less."""
    if way_back(_mailed(e, now), tier, offer.policy) == "alone":
        return "alone"
    return way_back(evidence_of(e, offer, now), tier, offer.policy)


async def census(db: Database, offer: Offer, now_offer: Offer | None = None, *, listed: int = 20) -> Census:
    """Looks at everybody once, a thousand at a time, in constant memory.

    Args:
        offer: the policy to look at.
        now_offer: the one in use, where `offer` is a draft: then those are named whom it takes the last way from.
        listed: how many of the stranded, and of those who lose, to name.
    """
    out, after = Census(), ""
    out.colleagues = list(await db.read(lambda tx: tx.contacts.colleagues(offer.policy.per_colleague, listed)))
    while True:
        now, page = await db.read(partial(_page, after=after))
        for e in page:
            _count(out, e, offer, now_offer, now, listed)
        if len(page) < PAGE:
            return out
        after = page[-1].person.id


def _page(tx: Tx, after: str) -> tuple[int, Sequence[Everything]]:
    return tx.now, tx.all_people.page(after, PAGE)


def _count(out: Census, e: Everything, offer: Offer, now_offer: Offer | None, now: int, listed: int) -> None:
    tier = tier_under(e, offer.policy, now)
    way = way_of(e, tier, offer, now)
    out.people += 1
    out.one_address += bool(only_address(e.contacts, now))
    out.ways[way] += 1
    if way != "none":
        return
    had: Way = "none"
    if now_offer is not None:
        had = way_of(e, tier_under(e, now_offer.policy, now), now_offer, now)
    someone = Stranded(e.person.id, e.person.name, tier, had)
    if len(out.stranded) < listed:
        out.stranded.append(someone)
    if had != "none":
        out.lost += 1
        if len(out.losers) < listed:
            out.losers.append(someone)
