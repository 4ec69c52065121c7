"""Which evidence suffices for whom, and how long a decided recovery waits: pure functions.

Source: NIST SP 800-63B-4 section 4.2 (N-R10, N-R11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from keyback.domain.people.ages import Ages
from keyback.domain.people.person import Tier
from keyback.domain.units import HOUR, MINUTE

ProofClass = Literal["issued", "saved", "contact", "bound", "proofing", "knowledge"]
Journey = Literal["password", "username", "locked", "second_factor", "mailbox", "still_locked_out"]
Loose = Literal["two_issued_codes", "sms_for_privileged"]
PROOFS: dict[str, ProofClass] = {
    "email_link": "issued",
    "backup_email": "issued",
    "sms_code": "issued",
    "im_message": "issued",
    "recovery_code": "saved",
    "recovery_contact": "contact",
    "totp": "bound",
    "passkey": "bound",
    "id_document": "proofing",
    "caller_check": "proofing",
    "security_questions": "knowledge",
}
"""The proofs that the rules know by name, with their classes. What there is besides is in `Policy.brought`: that of
packages, `PROVIDER_SIGN_IN` where the settings have a provider, and `IDENTITY_SERVICE` where they name one."""
PROVIDER_SIGN_IN: Final = "provider_sign_in"
IDENTITY_SERVICE: Final = "identity_service"
MAY_COUNT_AS: Final[Mapping[str, ProofClass]] = {PROVIDER_SIGN_IN: "bound"}
"""What a proof counts as beside its class, where its answer shows more than others do."""
TIERS: tuple[Tier, ...] = ("standard", "mfa", "privileged")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A proof that was accepted on one case.

    Args:
        proof: which way, such as `email_link`.
        kind: its class; knowledge weighs nothing.
        channel: what it came through, such as `mail:CONTACT-ID`; the same channel never counts twice.
        accepted_at: ms.
        handle: the page that it was shown to. Evidence weighs only for the page that gathered it: somebody else who
            asks for the same person must not go on with what the person proved.
        aged: its contact was not confirmed for so long that it weighs less (`domain.people.ages`).
        system: the system whose own sign-in it was, by its name; it weighs nothing for an account there.
        target: id of the contact or factor that it rests on, and ends with; empty where the channel names it.
        also: further channels whose holder could have shown it: of what shares any channel, one counts.
    """

    proof: str
    kind: ProofClass
    channel: str
    accepted_at: int
    handle: str = ""
    aged: bool = False
    system: str = ""
    target: str = ""
    also: tuple[str, ...] = ()

    @property
    def channels(self) -> frozenset[str]:
        return frozenset((self.channel, *self.also))


def apart(one: Evidence, other: Evidence) -> bool:
    """Whether no channel leads to both."""
    return one.channels.isdisjoint(other.channels)


def independent(evidence: Iterable[Evidence]) -> int:
    """The most pieces of evidence of which no two share a channel."""

    def most(left: Sequence[frozenset[str]]) -> int:
        if not left:
            return 0
        first, rest = left[0], left[1:]
        return max(1 + most([c for c in rest if c.isdisjoint(first)]), most(rest) if len(first) > 1 else 0)

    return most(sorted({e.channels for e in evidence}, key=lambda c: (len(c), sorted(c))))


@dataclass(frozen=True, slots=True)
class Risk:
    """What is known about the browser that asks: one that the person signed in with, a network where they did.

    Args:
        only_address: channel of the one address by which the person can be told; empty where there are several.
    """

    known_device: bool = False
    known_network: bool = False
    only_address: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What is known, as the audit log has it."""
        return ("device",) * self.known_device + ("network",) * self.known_network


@dataclass(frozen=True, slots=True)
class Holds:
    """How long a decided recovery waits so that its owner can cancel it, in ms.

    Args:
        stranger: tier `standard` from an unknown device and an unknown network, on one proof.
        only_address: the same at least, where the proof came to the one address by which the owner can be told (N-R13).
        new_device: tier `mfa` from a browser that is not known, or without a bound factor.
        privileged: the same for CRM administrators.
        mailbox: changing the address that mail goes to.
        proofing: after an identity check or a help desk's caller check; `privileged` waits twice as long.
    """

    stranger: int = 5 * MINUTE
    only_address: int = 0
    new_device: int = 15 * MINUTE
    privileged: int = 24 * HOUR
    mailbox: int = 24 * HOUR
    proofing: int = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Policy:
    """A company's choices. What they loosen is named, and starts only with a written reason (`presets.weaker`).

    Args:
        off: proofs that are not taken at all.
        holds: see `Holds`.
        floor: the tier that everybody has at least (`mfa` in `mlps3`, C-4).
        known_networks: networks in CIDR form that count as known for everybody.
        off_for: (tier, proof) of those that are not taken for one tier.
        second_operator: when somebody else than the first operator has to approve what a `privileged` person showed.
        loose: where the predicate itself is loosened.
        ages: for how long contacts weigh without being confirmed.
        per_colleague: for how many people one person may be a recovery contact: whoever takes over their mailbox is
            asked about all of them.
        accepted: (what the policy breaks, the written reason for it).
        brought: (name, class) of the proofs that this installation has besides `PROOFS`.
    """

    off: frozenset[str] = frozenset({"security_questions"})
    holds: Holds = field(default_factory=Holds)
    floor: Tier = "standard"
    known_networks: tuple[str, ...] = ()
    off_for: frozenset[tuple[Tier, str]] = frozenset()
    second_operator: Literal["always", "without_passkey", "never"] = "without_passkey"
    loose: frozenset[Loose] = frozenset()
    accepted: tuple[tuple[str, str], ...] = ()
    ages: Ages = field(default_factory=Ages)
    per_colleague: int = 10
    brought: tuple[tuple[str, ProofClass], ...] = ()

    @property
    def proofs(self) -> Mapping[str, ProofClass]:
        """Every proof that is known here, switched off or not, with its class."""
        return {**PROOFS, **dict(self.brought)}

    def class_of(self, proof: str) -> ProofClass | None:
        """What this proof counts as; None for one that is not known here."""
        return PROOFS.get(proof) or dict(self.brought).get(proof)

    def takes(self, proof: str, tier: Tier | None = None) -> bool:
        """Whether this proof is known and not switched off, for everybody or for this tier."""
        known = self.class_of(proof) is not None
        return known and proof not in self.off and (tier is None or (tier, proof) not in self.off_for)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the evidence of one page comes to.

    `more`: not enough yet. `review`: enough, but an operator has to approve, and after a caller check another one.
    `hold`: enough, after `wait` ms. `go`: enough now.
    """

    kind: Literal["more", "review", "hold", "go"]
    wait: int = 0
    reason: str = ""


def effective_tier(tier: Tier, factors: Iterable[str], floor: Tier = "standard") -> Tier:
    """The tier that counts: at least `floor`, and at least `mfa` for somebody with a bound factor (N-R11)."""
    least: Tier = "mfa" if any(f in ("totp", "passkey") for f in factors) else "standard"
    return max(tier, least, floor, key=TIERS.index)


def suffices(evidence: Iterable[Evidence], tier: Tier, loose: frozenset[Loose] = frozenset()) -> bool:
    """Whether this evidence is enough for a person of this tier.

    `standard`: one issued or saved proof, or a contact (N-R10). `mfa`: two of issued, saved and contact, of different
    classes and different channels; or one of them and a bound factor; or identity proofing and one issued proof that
    did not come by the phone that was called back (N-R11). `privileged`: as `mfa`, without SMS; see `needs_approval`
    for what else it wants.

    What is aged counts half: two of it, by different channels, are one proof for `standard`; elsewhere one of two has
    to be fresh (F4).

    Args:
        loose: what a company gave up of this: with `two_issued_codes`, two that travel differently (mail and SMS, not
            two mails) do for `mfa` and `privileged`; with `sms_for_privileged`, SMS counts there.
    """
    weighing = _weighing(evidence, tier, loose)
    codes = [e for e in weighing if e.kind in ("issued", "saved", "contact")]
    fresh = [e for e in codes if not e.aged]
    if tier == "standard":
        return bool(fresh) or independent(codes) > 1
    return (
        any(a.kind != b.kind and apart(a, b) for a in fresh for b in codes)
        or ("two_issued_codes" in loose and bool(fresh) and len({e.channel.partition(":")[0] for e in codes}) > 1)
        or any(e.kind == "bound" and apart(c, e) for e in weighing for c in codes)
        or any(e.kind == "proofing" and c.kind == "issued" and apart(c, e) for e in weighing for c in fresh)
    )


def needs_approval(evidence: Iterable[Evidence], tier: Tier) -> bool:
    """Whether a second operator has to say yes: for `privileged`, unless a passkey was used."""
    return tier == "privileged" and not any(e.proof == "passkey" for e in evidence)


def rests_on_call(evidence: Iterable[Evidence], tier: Tier, loose: frozenset[Loose] = frozenset()) -> bool:
    """Whether this would not be enough without what an operator heard on the phone: then another one has to approve,
    whatever the tier, so that neither one operator nor one call recovers anybody."""
    shown = list(evidence)
    heard = any(e.proof == "caller_check" for e in shown)
    return heard and not suffices([e for e in shown if e.proof != "caller_check"], tier, loose)


def _weighing(evidence: Iterable[Evidence], tier: Tier, loose: frozenset[Loose]) -> list[Evidence]:
    no_sms = tier == "privileged" and "sms_for_privileged" not in loose
    return [e for e in evidence if e.kind != "knowledge" and not (no_sms and e.proof == "sms_code")]


def required_tier(tier: Tier, journey: Journey) -> Tier:
    """A lost second step is never replaced by mail alone, whatever the person's tier."""
    return max(tier, "mfa", key=TIERS.index) if journey == "second_factor" else tier


def rule(
    evidence: Iterable[Evidence],
    tier: Tier,
    risk: Risk,
    policy: Policy,
    journey: Journey = "password",
    *,
    approved: bool = False,
) -> Ruling:
    """What this evidence comes to, for one page.

    Args:
        evidence: of that page only.
        tier: the effective one.
        approved: a second operator has said yes.
    """
    tier = required_tier(tier, journey)
    shown = [e for e in evidence if policy.takes(e.proof, tier)]
    if not suffices(shown, tier, policy.loose):
        return Ruling("more")
    if not approved and _asks_operator(shown, tier, policy):
        return Ruling("review", reason="privileged")
    if not approved and rests_on_call(shown, tier, policy.loose):
        return Ruling("review", reason="caller_check")
    wait, reason = _hold(_weighing(shown, tier, policy.loose), tier, risk, policy, journey)
    return Ruling("hold", wait, reason) if wait else Ruling("go")


def _asks_operator(shown: list[Evidence], tier: Tier, policy: Policy) -> bool:
    if policy.second_operator == "without_passkey":
        return needs_approval(shown, tier)
    return tier == "privileged" and policy.second_operator == "always"


def _hold(shown: list[Evidence], tier: Tier, risk: Risk, policy: Policy, journey: Journey) -> tuple[int, str]:
    """The hold in ms with the word for why. More evidence never makes it longer, whatever the holds are."""
    machine = [e for e in shown if e.kind != "proofing"]
    wait, reason = _price(machine, tier, risk, policy.holds, journey)
    if suffices(machine, tier, policy.loose):
        return wait, reason  # nobody had to look at a document
    looked = policy.holds.proofing * (2 if tier == "privileged" else 1)
    return (looked, "proofing") if looked >= wait else (wait, reason)


def _price(shown: list[Evidence], tier: Tier, risk: Risk, holds: Holds, journey: Journey) -> tuple[int, str]:
    ways = independent(e for e in shown if not e.aged)
    bound = any(e.kind == "bound" for e in shown)
    nowhere_else = bool(risk.only_address and shown) and all(risk.only_address in e.channels for e in shown)
    if tier == "standard":
        known = risk.known_device or risk.known_network
        strange = max(holds.stranger, holds.only_address if nowhere_else else 0)
        wait, reason = (0, "") if known or ways > 1 or not strange else (strange, "stranger")
    elif ways > 2 or (bound and risk.known_device):
        wait, reason = 0, ""
    else:
        wait, reason = (holds.privileged, "privileged") if tier == "privileged" else (holds.new_device, "new_device")
    if journey == "mailbox" and not (bound and ways > 1) and holds.mailbox >= wait:
        return holds.mailbox, "mailbox"
    return wait, reason
