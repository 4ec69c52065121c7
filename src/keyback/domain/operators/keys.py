"""Keys of the admin API: what a program may do. It reads, collects and opens; it never stands in for somebody who has
to answer for what they saw or heard (ADR 45, ADR 50)."""

from __future__ import annotations

from dataclasses import dataclass, field

from keyback.domain.operators.actions import ActionKind, needs_second
from keyback.domain.operators.roles import Permission
from keyback.domain.people.person import Tier
from keyback.domain.units import HOUR

FOR_KEYS = frozenset(
    {
        Permission.CASES_VIEW,
        Permission.CASES_WORK,
        Permission.PEOPLE_VIEW,
        Permission.PEOPLE_ACT,
        Permission.CAMPAIGNS_VIEW,
        Permission.CAMPAIGNS_DRAFT,
        Permission.REPORTS_VIEW,
        Permission.OUTBOX_VIEW,
        Permission.OUTBOX_RESEND,
        Permission.SYSTEMS_VIEW,
        Permission.OPERATORS_VIEW,
        Permission.AUDIT_VIEW,
    }
)
"""What a key can be given. Recommending, deciding, calls and operators are for people alone."""
FOR_PROGRAMS: frozenset[ActionKind] = frozenset({"start", "lock", "end_sessions", "cancel"})
"""Acts on people that a program may do where one operator is enough (ADR 50). None opens a lock or changes a hold."""
ACTS_AN_HOUR = 60  # of one program on people: a stolen key keeps few people busy
PREFIX = "keyback"
NAME_BYTES, SECRET_BYTES = 5, 32
DAYS, MAX_DAYS = 90, 365  # until a key expires: by default, and at most
OVERLAP = 24 * HOUR  # for which the old key goes on after a new one was made


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One secret of a program. A program has several only while one takes the place of another.

    Args:
        operator_id: the program, which is an operator of its own in the audit log.
        prefix: what is shown of the key, and by which it is found.
        digest: SHA-256 of the whole key.
        ended_at: ms, when it was removed; 0: not.
    """

    id: str
    operator_id: str
    prefix: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Permission]
    created_at: int
    created_by: str
    expires_at: int
    used_at: int = 0
    used_from: str = ""
    ended_at: int = 0

    def live(self, now: int) -> bool:
        return not self.ended_at and now < self.expires_at


def needs_person(kind: ActionKind, tier: Tier) -> bool:
    """Whether this act on somebody of this tier has to be an operator's, not a program's."""
    return kind not in FOR_PROGRAMS or needs_second(kind, tier)


def spell(prefix: str, secret: str) -> str:
    """The key as its owner keeps it; programs that look for lost secrets know it by its beginning."""
    return f"{PREFIX}_{prefix}_{secret}"


def prefix_of(token: str) -> str:
    """By what a key is found; empty where that is none of ours."""
    head, _, rest = token.partition("_")
    prefix, _, secret = rest.partition("_")
    return prefix if head == PREFIX and len(prefix) == 8 and secret else ""
