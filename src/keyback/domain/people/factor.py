"""Factors: what a person has enrolled besides contacts, and which of it may be used when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from keyback.domain.units import HOUR

FactorKind = Literal["totp", "passkey", "recovery_codes", "security_questions", "provider"]
FactorState = Literal["pending", "active", "removed"]
BOUND: frozenset[FactorKind] = frozenset({"totp", "passkey"})
COOLING_OFF = 72 * HOUR  # what was added last cannot recover before the owner had time to see the notice
REMOVAL_GRACE = COOLING_OFF + HOUR  # the hour: what takes its place may have waited to be shown to work for as long
NEVER = 1 << 62
CODES = 10  # saved recovery codes at a time


@dataclass(frozen=True, slots=True)
class Factor:
    """Something enrolled.

    Args:
        label: the owner's name for it.
        data: what proves it, opened: the TOTP seed, a passkey's public key, hashed answers. Never shown, never logged.
        counter: the last TOTP step that was taken, or a passkey's signature count; only ever goes up.
        usable_from: ms; it signs in at once but cannot recover before.
        lookup: digest of a passkey's credential id or of a provider's subject; None otherwise.
    """

    id: str
    person_id: str
    kind: FactorKind
    label: str
    state: FactorState
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    counter: int = 0
    added_at: int = 0
    usable_from: int = 0
    used_at: int = 0
    ended_at: int = 0
    lookup: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SavedCode:
    """One saved recovery code: `slot` finds it, `phc` is its hash, `used_at` None while it is good."""

    id: str
    factor_id: str
    slot: str
    phc: str = field(repr=False)
    added_at: int = 0
    used_at: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that a person signed in with; `digest` is of its cookie."""

    digest: bytes
    person_id: str
    words: str
    source: str
    added_at: int
    seen_at: int
    expires_at: int


def effective_factors(factors: Iterable[Factor], now: int) -> tuple[FactorKind, ...]:
    """Kinds of the bound factors that ask their owner for more at a recovery.

    A new one does so once it could itself recover, so that whoever plants one shuts nobody out; one that was added
    while another did, does so at once; one that was removed goes on for as long as a new one waits, so that a recovery
    is never easier after a change than it was before (ADR 23).

    Args:
        factors: active and removed ones; those that stopped more than twice `REMOVAL_GRACE` ago may be missing.
    """
    spans: list[tuple[int, int, FactorKind]] = []
    for f in sorted((f for f in factors if f.kind in BOUND), key=lambda f: f.added_at):
        active = f.state == "active"
        if not active and f.kind == "totp" and not f.used_at:
            continue  # it never worked, as a pending one, which never ended
        instead = any(since <= f.added_at < until for since, until, _ in spans)
        since = f.added_at if instead else f.usable_from
        if active or since <= f.ended_at:
            spans.append((since, NEVER if active else f.ended_at + REMOVAL_GRACE, f.kind))
    return tuple(dict.fromkeys(kind for since, until, kind in spans if since <= now < until))
