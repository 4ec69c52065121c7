"""What a policy promises, and the pieces of evidence that it is tried with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import (
    IDENTITY_SERVICE,
    MAY_COUNT_AS,
    PROOFS,
    PROVIDER_SIGN_IN,
    Evidence,
    Journey,
    Policy,
    ProofClass,
    Risk,
    Ruling,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence that somebody could show.

    Args:
        second: tried only together with the first of its proof.
        brought: its class, where the rules do not know the proof by name or it may count as more.
        also: further channels that lead to it.
    """

    proof: str
    channel: str
    second: bool = False
    brought: ProofClass | None = None
    also: tuple[str, ...] = ()

    @property
    def channels(self) -> frozenset[str]:
        return frozenset((self.channel, *self.also))

    @property
    def kind(self) -> ProofClass:
        return self.brought or PROOFS[self.proof]

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.proof, self.kind, self.channel, 0, also=self.also)

    def __str__(self) -> str:
        return f"{self.proof} ({', '.join((self.channel, *self.also))})"


# A backup address at the primary one's mail domain has the primary's channel (F7). Whoever took over a number answers
# its calls as well as its text messages. A manager of record co-signs a call by their own sign-in, by no channel of the
# person's.
PIECES: Final = (
    Piece("email_link", "mail:primary"),
    Piece("backup_email", "mail:primary"),
    Piece("backup_email", "mail:elsewhere"),
    *(
        Piece(proof, f"{name}:{n}", second=n == 2)
        for proof, name in (
            ("sms_code", "phone"),
            ("im_message", "im"),
            ("recovery_code", "saved"),
            ("recovery_contact", "contact"),
            ("totp", "totp"),
            ("passkey", "passkey"),
        )
        for n in (1, 2)
    ),
    Piece("id_document", "desk:document"),
    Piece("caller_check", "phone:1"),
    Piece("caller_check", "manager:1"),
    Piece("security_questions", "questions:1"),
)
# A provider is reached by whoever reads a mailbox in its domains; with a second factor it counts as bound to those.
PROVIDER_PIECES: Final = tuple(
    Piece(PROVIDER_SIGN_IN, channel, brought=kind, also=tuple(also))
    for channel, *also in (("mail:primary",), ("mail:primary", "mail:elsewhere"), ("provider:1",))
    for kind in ("issued", MAY_COUNT_AS[PROVIDER_SIGN_IN])
)
# A service that verifies identities may be reached by whoever has the phone.
IDENTITY_PIECES: Final = tuple(
    Piece(IDENTITY_SERVICE, "identity:1", brought="proofing", also=also) for also in ((), ("phone:1",))
)
Set = frozenset[Piece]


def all_pieces(policy: Policy) -> tuple[Piece, ...]:
    """All that is tried: what the rules know, and two channels of each proof that was brought besides."""
    more = (Piece(name, f"{name}:{n}", n == 2, kind) for name, kind in policy.brought for n in (1, 2))
    own = {PROVIDER_SIGN_IN: PROVIDER_PIECES, IDENTITY_SERVICE: IDENTITY_PIECES}
    others = (p for p in more if p.proof not in own)
    return (*PIECES, *others, *(p for name, _ in policy.brought for p in own.get(name, ())))


@dataclass(frozen=True, slots=True)
class Path:
    """One way by which a claim is broken: who, what was shown, and what it came to."""

    tier: Tier
    journey: Journey
    evidence: tuple[Piece, ...]
    ruling: Ruling
    risk: Risk

    @property
    def size(self) -> int:
        return len(self.evidence)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a policy promises; `application.policy.explain` says it in words.

    Args:
        id: the name by which a company accepts that it does not hold.
        keeps: requirements that hold because this does (docs/requirements.toml).
    """

    id: str
    keeps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A claim with the smallest paths that break it; `detail` where it is not about a path."""

    claim: Claim
    paths: tuple[Path, ...] = ()
    detail: str = ""

    @property
    def holds(self) -> bool:
        return not self.paths and not self.detail


@dataclass(frozen=True, slots=True)
class Result:
    """What the search came to: every claim in order, and how many rulings were asked for."""

    found: tuple[Found, ...]
    rulings: int

    def broken(self) -> list[Found]:
        return [f for f in self.found if not f.holds]


CLAIMS: Final = {
    name: Claim(name, keeps)
    for name, keeps in {
        "mailbox_alone": ("N-R11", "A-6.4.3", "E2", "F7"),
        "one_channel": ("INV-I3", "F7"),
        "two_issued_codes": ("N-R11", "SD-D5"),
        "factor_alone": ("N-R10", "N-R11"),
        "knowledge": ("G1", "SD-D1", "N-A2", "N-R10"),
        "desk_alone": ("N-R11", "I1"),
        "one_call": ("I1", "I5"),
        "one_thing": ("I1",),
        "sms_for_privileged": ("N-O4",),
        "second_operator": ("C-12",),
        "lost_second_step": ("A-6.4.4", "O-M1"),
        "short_hold": ("O-M1", "N-R12"),
        "more_is_more": ("E2",),
        "low_floor": ("N-R11", "C-4", "A-6.3.3"),
        "planted": ("F1", "E7"),
        "aged": ("F4",),
        "lifetimes": ("N-R5", "N-O2", "SD-D9", "A-6.5.5"),
        "alternatives": ("N-O4", "N-R1"),
        "phishing_resistant": ("N-T8",),
    }.items()
}


def most_apart(pieces: Iterable[Piece]) -> int:
    """The most pieces of which no two share a channel, whatever only knowledge answers left out. Tried set by set, so
    that it is found otherwise than by what it is held against."""
    channels = {p.channels for p in pieces if p.kind != "knowledge"}
    if all(len(c) == 1 for c in channels):
        return len(channels)
    sizes = range(len(channels), 0, -1)
    tried = ((n, some) for n in sizes for some in combinations(channels, n))
    return next((n for n, some in tried if sum(map(len, some)) == len(frozenset().union(*some))), 0)


def every_set(policy: Policy, most: int = 99) -> Iterator[tuple[Piece, ...]]:
    """Every set of evidence, small ones first, up to exchanging two channels of the same proof.

    Args:
        most: leaves out sets of more pieces.
    """
    known = all_pieces(policy)
    choices: list[tuple[tuple[Piece, ...], ...]] = []
    for proof in policy.proofs:
        mine = tuple(p for p in known if p.proof == proof)
        if proof in (
            PROVIDER_SIGN_IN,
            IDENTITY_SERVICE,
            "caller_check",
        ):  # a page shows one of a kind, and its parts only add up
            choices.append(((), *((p,) for p in mine)))
        elif any(p.second for p in mine):
            choices.append(((), mine[:1], mine))
        else:
            choices.append(tuple(c for n in range(len(mine) + 1) for c in combinations(mine, n)))
    sets: list[tuple[Piece, ...]] = [()]
    for choice in choices:  # what is too large already only grows
        sets = [(*s, *part) for s in sets for part in choice if len(s) + len(part) <= most]
    return iter(sorted(sets, key=len))
