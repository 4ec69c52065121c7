"""Does any path break the preset? Asked of the rules themselves, for every set of evidence.

The search calls `rules.rule`, what runs when somebody proves who they are, and compares its answers with claims that
know nothing of how it comes to them. Evidence is tried with two channels of each kind; of two that differ by nothing
but the channel's name, sets are taken once (`Piece.second`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Final

from keyback.domain.challenges.challenge import CODE_LIFE, CONTACT_LIFE, LINK_LIFE, SHORT_LIFE
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.people.person import Tier
from keyback.domain.policy.claims import CLAIMS, Found, Path, Piece, Result, Set, all_pieces, every_set, most_apart
from keyback.domain.policy.presets import Preset, short_holds
from keyback.domain.policy.rules import (
    TIERS,
    Journey,
    Policy,
    Risk,
    Ruling,
    effective_tier,
    required_tier,
    rule,
)
from keyback.domain.units import HOUR, MINUTE

Rule = Callable[..., Ruling]
Progress = Callable[[int, int], None]
JOURNEYS: Final[tuple[Journey, ...]] = (
    "password", "username", "locked", "second_factor", "mailbox", "still_locked_out",
)  # fmt: skip
RISKS: Final = (
    *(Risk(d, n) for d in (False, True) for n in (False, True)),
    Risk(only_address="mail:primary"),
)
SHOWN: Final = 3  # smallest sets of evidence named for a claim and tier
AGEING: Final = frozenset({"backup_email", "sms_code", "im_message", "recovery_contact"})
DEPTH: Final = 3  # pieces of evidence up to which waits are tried; more evidence only shortens them, which is a claim


def search(
    policy: Policy, preset: Preset, *, ruling: Rule = rule, progress: Progress | None = None, most: int = 99
) -> Result:
    """Tries every claim on a policy.

    Args:
        ruling: what rules; another one only in tests.
        most: tries no sets of more pieces; only for tests in a hurry.
        progress: told (done, of) from time to time.
    """
    hunt = _Hunt(policy, preset, ruling, progress or (lambda _done, _of: None))
    hunt.openings(most)
    hunt.waits(most)
    hunt.aged(most)
    hunt.settings()
    found = []
    for c in CLAIMS.values():
        paths = sorted(hunt.paths.get(c.id, ()), key=lambda p: _order(p, hunt.pieces))
        found.append(Found(c, tuple(_smallest(paths)), hunt.details.get(c.id, "")))
    return Result(tuple(found), hunt.asked)


def ways_in(policy: Policy, tier: Tier, journey: Journey = "password", *, ruling: Rule = rule) -> list[tuple[str, ...]]:
    """The smallest sets of proofs that get somebody of this tier in at all, by hand of an operator or not."""
    out: list[frozenset[str]] = []
    names: list[tuple[str, ...]] = []
    for n in range(1, DEPTH + 1):
        for pieces in combinations(all_pieces(policy), n):
            proofs = frozenset(p.proof for p in pieces)
            if any(o <= proofs for o in out):
                continue
            if ruling([p.evidence for p in pieces], tier, RISKS[0], policy, journey).kind != "more":
                out.append(proofs)
                names.append(tuple(sorted(p.proof for p in pieces)))
    return names


def _order(p: Path, known: Sequence[Piece]) -> tuple[int, int, int, list[int]]:
    """The most usual and smallest first."""
    return JOURNEYS.index(p.journey), p.size, TIERS.index(p.tier), [known.index(e) for e in p.evidence]


def _smallest(paths: Sequence[Path]) -> Iterator[Path]:
    """Those that contain none of the others of their tier, a few at most."""
    kept: list[Path] = []
    for p in paths:
        mine = [k for k in kept if k.tier == p.tier]
        if len(mine) < SHOWN and not any(set(k.evidence) <= set(p.evidence) for k in mine):
            kept.append(p)
            yield p


Only = Callable[[Set], bool]


def _all(test: Callable[[Piece], bool]) -> Only:
    return lambda shown: all(test(p) for p in shown)


# What somebody holds who must not get in, and into which accounts: (claim, what all their evidence has in common).
NEVER: Final[tuple[tuple[str, Only], ...]] = (
    ("mailbox_alone", _all(lambda p: "mail:primary" in p.channels or p.kind == "knowledge")),
    ("one_channel", lambda shown: most_apart(shown) <= 1),
    ("two_issued_codes", _all(lambda p: p.kind in ("issued", "knowledge"))),
    ("factor_alone", _all(lambda p: p.kind in ("bound", "knowledge"))),
    ("desk_alone", _all(lambda p: p.kind in ("proofing", "knowledge"))),
)
NEVER_ANYBODY: Final = ("factor_alone", "desk_alone")  # not even the accounts of tier `standard`


class _Hunt:
    def __init__(self, policy: Policy, preset: Preset, ruling: Rule, progress: Progress) -> None:
        self.policy, self.preset, self.progress = policy, preset, progress
        self._rule = ruling
        self.paths: dict[str, list[Path]] = {}
        self.details: dict[str, str] = {}
        self.asked = 0
        self.pieces = all_pieces(policy)
        self._evidence = {p: p.evidence for p in self.pieces}

    def rule(
        self, pieces: Iterable[Piece], tier: Tier, journey: Journey, risk: Risk = RISKS[0], *, approved: bool = False
    ) -> Ruling:
        self.asked += 1
        return self._rule([self._evidence[p] for p in pieces], tier, risk, self.policy, journey, approved=approved)

    def broke(self, claim: str, pieces: tuple[Piece, ...], tier: Tier, journey: Journey, r: Ruling, risk: Risk) -> None:
        self.paths.setdefault(claim, []).append(Path(tier, journey, pieces, r, risk))

    # ── does it open ────────────────────────────────────────────────────────

    def openings(self, most: int) -> None:
        """Every set of evidence against every claim on what opens an account, from a browser that nobody knows."""
        sets = list(every_set(self.policy, most))
        kinds: dict[tuple[Tier, Set], str] = {}
        runs: list[tuple[Tier, Journey]] = [*((t, "password") for t in TIERS), ("standard", "second_factor")]
        for n, pieces in enumerate(sets):
            if n % 2000 == 0:
                self.progress(n, len(sets))
            shown = frozenset(pieces)
            for tier, journey in runs:
                r = self.rule(pieces, tier, journey)
                opens = r.kind in ("go", "hold")
                if journey == "password":
                    kinds[tier, shown] = r.kind
                if r.kind != "more":
                    self._never(shown, pieces, tier, journey, r)
                if opens and tier == "privileged" and not any(p.proof == "passkey" for p in pieces):
                    self.broke("second_operator", pieces, tier, journey, r, RISKS[0])
        for (tier, shown), kind in kinds.items():
            self._without(kinds, tier, shown, kind)
        self.progress(len(sets), len(sets))

    def _never(self, shown: Set, pieces: tuple[Piece, ...], tier: Tier, journey: Journey, r: Ruling) -> None:
        strict = required_tier(tier, journey) != "standard"
        for claim, only in NEVER:
            if (strict or claim in NEVER_ANYBODY) and only(shown):
                self.broke(claim, pieces, tier, journey, r, RISKS[0])
        if journey == "second_factor" and all(c.startswith("mail:") for p in shown for c in p.channels):
            self.broke("lost_second_step", pieces, tier, journey, r, RISKS[0])

    def _without(self, kinds: dict[tuple[Tier, Set], str], tier: Tier, shown: Set, kind: str) -> None:
        """What a set comes to without what must not matter, and with one piece less."""
        if kind == "more":
            return
        unknowing = frozenset(p for p in shown if p.kind != "knowledge")
        if kinds[tier, unknowing] != kind:
            self._broke_set("knowledge", shown, tier, kind)
        if tier == "privileged":
            silent = frozenset(p for p in shown if p.proof != "sms_code")
            if kinds[tier, silent] != kind:
                self._broke_set("sms_for_privileged", shown, tier, kind)
        unheard = frozenset(p for p in shown if p.proof != "caller_check")
        if kind != "review" and unheard != shown and kinds[tier, unheard] == "more":
            self._broke_set("one_call", shown, tier, kind)

    def _broke_set(self, claim: str, shown: Set, tier: Tier, kind: str) -> None:
        pieces = tuple(p for p in self.pieces if p in shown)
        self.broke(claim, pieces, tier, "password", Ruling(kind), RISKS[0])  # type: ignore[arg-type]

    # ── how long does it wait ───────────────────────────────────────────────

    def waits(self, most: int) -> None:
        """Sets of up to three pieces, each journey and risk, approved or not: how soon, and does more ever hurt."""
        small = list(every_set(self.policy, min(DEPTH, most)))
        for tier, journey, risk, approved in product(TIERS, JOURNEYS, RISKS, (False, True)):
            known: dict[Set, Ruling] = {}
            for pieces in small:
                r = known[frozenset(pieces)] = self.rule(pieces, tier, journey, risk, approved=approved)
                if r.kind in ("go", "hold"):
                    self._soon(pieces, tier, journey, risk, r)
                    self._one_thing(pieces, tier, journey, risk, r, known)
                for p in pieces:
                    before = known.get(frozenset(pieces) - {p})
                    if before and _worse(before, r):
                        self.broke("more_is_more", pieces, tier, journey, r, risk)

    def _one_thing(
        self, pieces: tuple[Piece, ...], tier: Tier, journey: Journey, risk: Risk, r: Ruling, known: dict[Set, Ruling]
    ) -> None:
        """A case is over with the one thing that it renewed, and its evidence with it. So who recovers a second thing
        by a call needs another case, which has to wait on its own."""
        unheard = frozenset(p for p in pieces if p.proof != "caller_check")
        rests = len(unheard) < len(pieces) and known[unheard].kind == "more"
        if rests and r.kind != "hold":
            self.broke("one_thing", pieces, tier, journey, r, risk)

    def _soon(self, pieces: tuple[Piece, ...], tier: Tier, journey: Journey, risk: Risk, r: Ruling) -> None:
        least = self._least(pieces, required_tier(tier, journey), journey, risk)
        if r.wait < least:
            self.broke("short_hold", pieces, tier, journey, r, risk)

    def _least(self, pieces: tuple[Piece, ...], tier: Tier, journey: Journey, risk: Risk) -> int:
        """The least wait in ms that the preset asks for (DESIGN: holds are priced by risk)."""
        least = self.preset.least
        taken = [p for p in pieces if self.policy.takes(p.proof, tier) and p.kind != "knowledge"]
        if tier == "privileged" and "sms_for_privileged" not in self.policy.loose:
            taken = [p for p in taken if p.proof != "sms_code"]
        channels = most_apart(p for p in taken if p.kind != "proofing")
        bound = any(p.kind == "bound" for p in taken)
        recovery = [p for p in taken if p.kind in ("issued", "saved", "contact")]
        alone = {p.kind for p in recovery} == {"issued"} and not bound and "two_issued_codes" not in self.policy.loose
        if any(p.kind == "proofing" for p in taken) and tier != "standard" and (alone or channels < 2):
            return least.proofing * (2 if tier == "privileged" else 1)
        wait = least.mailbox if journey == "mailbox" and not (bound and channels > 1) else 0
        if tier == "standard":
            strange = not risk.known_device and not risk.known_network
            return max(wait, least.stranger if strange and channels < 2 else 0)
        if channels > 2 or (bound and risk.known_device):
            return wait
        return max(wait, least.privileged if tier == "privileged" else least.new_device)

    # ── what was not confirmed for long ─────────────────────────────────────

    def aged(self, most: int) -> None:
        """Small sets with some contacts aged: never better than fresh, and alone no more than one fresh proof."""
        some: tuple[Journey, ...] = ("password", "second_factor", "mailbox")
        small = list(every_set(self.policy, min(DEPTH, most)))
        for tier, journey in product(TIERS, some):
            for pieces in small:
                can = [p for p in pieces if p.proof in AGEING]
                if not can:
                    continue
                fresh = self.rule(pieces, tier, journey)
                for old in (frozenset(s) for n in range(len(can)) for s in combinations(can, n + 1)):
                    shown = [replace(p.evidence, aged=p in old) for p in pieces]
                    r = self._rule(shown, tier, RISKS[0], self.policy, journey)
                    self.asked += 1
                    weak = most_apart(pieces)
                    alone = old >= {p for p in pieces if p.kind != "knowledge"}
                    opens = alone and (weak < 2 or required_tier(tier, journey) != "standard")
                    if _worse(r, fresh) or (opens and r.kind != "more"):
                        self.broke("aged", pieces, tier, journey, r, RISKS[0])

    # ── what is not about a path ────────────────────────────────────────────

    def settings(self) -> None:
        p, preset = self.policy, self.preset
        if short_holds(p, preset) and "short_hold" not in self.paths:
            self.details["short_hold"] = ", ".join(short_holds(p, preset))
        floors = {effective_tier("standard", [], p.floor), *(effective_tier("standard", [f], p.floor) for f in BOUND)}
        if any(TIERS.index(t) < TIERS.index(preset.floor) for t in floors):
            self.details["low_floor"] = f"{p.floor} < {preset.floor}"
        if any(effective_tier("standard", [f], p.floor) == "standard" for f in BOUND):
            self.details["low_floor"] = "standard"
        if COOLING_OFF < 72 * HOUR:
            self.details["planted"] = f"{COOLING_OFF // HOUR} h"
        late = [n for n, (life, most) in LIVES.items() if life > most]
        if late:
            self.details["lifetimes"] = ", ".join(late)
        stuck = [t for t in TIERS if not any("sms_code" not in w for w in ways_in(p, t, ruling=self._rule))]
        if stuck:
            self.details["alternatives"] = ", ".join(stuck)
        if not all(p.takes("passkey", t) for t in TIERS):
            self.details["phishing_resistant"] = "passkey"


BOUND: Final = ("totp", "passkey")
LIVES: Final = {
    "link": (LINK_LIFE, 24 * HOUR),
    "mail_code": (CODE_LIFE, 10 * MINUTE),
    "sms_code": (SHORT_LIFE, 10 * MINUTE),
    "recovery_contact": (CONTACT_LIFE, 24 * HOUR),
}
"""Lifetimes with their hard maxima, ms (N-R5; N-R8 for contacts)."""


def _worse(before: Ruling, after: Ruling) -> bool:
    """Whether what came later is less than what was there."""
    order = ("more", "review", "hold", "go")
    if order.index(after.kind) < order.index(before.kind):
        return True
    return after.kind == before.kind == "hold" and after.wait > before.wait
