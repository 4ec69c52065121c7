"""What can happen to a recovery case. Events are facts: stored in the audit log, folded into the case."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import Journey

Result = Literal["waiting", "working", "done", "yours", "desk", "unsure", "refused"]


@dataclass(frozen=True, slots=True)
class Requested:
    person_id: str
    journey: Journey
    tier: Tier
    accounts: tuple[str, ...]
    expires_at: int


@dataclass(frozen=True, slots=True)
class ChallengeSent:
    challenge_id: str
    intake_id: str
    contact_id: str
    source: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A later request found other accounts or another tier, and nothing had been accepted yet."""

    tier: Tier
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MailWithheld:
    """The person's mail budget is used up; nothing was sent, the answer outside was the same (A7)."""

    intake_id: str


@dataclass(frozen=True, slots=True)
class ProofAccepted:
    """One more proof of a page. From `tier` on: what it was weighed by; nothing in rows of the version before.
    `known` names `device` and `network`."""

    proof: str
    kind: str
    channel: str
    challenge_id: str
    intake_id: str
    sufficient: bool
    how: str = ""
    aged: bool = False
    system: str = ""
    target: str = ""
    also: tuple[str, ...] = ()
    tier: str = ""
    journey: str = ""
    known: tuple[str, ...] = ()
    only_address: str = ""


@dataclass(frozen=True, slots=True)
class ReviewStarted:
    """Enough was shown to the page `intake_id`, but a second operator has to approve."""

    reason: str
    intake_id: str = ""


@dataclass(frozen=True, slots=True)
class ReviewApproved:
    """An operator says yes to what the page `intake_id` showed; whether it waits, the policy says.

    Args:
        recommended_by: the operator who put it before them; empty where two eyes suffice.
    """

    operator: str
    intake_id: str
    recommended_by: str = ""


@dataclass(frozen=True, slots=True)
class HoldStarted:
    """Enough was shown to the page `intake_id`; it may go on at `until` (ms) unless the owner cancels."""

    until: int
    intake_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Approved:
    """The page `intake_id` may go on."""

    by: str = "policy"
    intake_id: str = ""


@dataclass(frozen=True, slots=True)
class Remedied:
    """What was lost and is no password has been put right."""

    what: Literal["unlocked", "factor_replaced", "mailbox_replaced"]
    intake_id: str


@dataclass(frozen=True, slots=True)
class PasswordChosen:
    """`submission` is a keyed digest of the form's own id, so that a repeated form is known as the same one (E15)."""

    jobs: tuple[tuple[str, str], ...]  # (account id, job id)
    submission: str


@dataclass(frozen=True, slots=True)
class AccountSettled:
    account_id: str
    result: Result
    code: str = ""
    vendor_text: str = ""


@dataclass(frozen=True, slots=True)
class Reopened:
    """The person may choose another password for some systems: their own rules refused it, or they were away too long.

    `until`: ms, where it is not the usual time for choosing one.
    """

    until: int = 0


@dataclass(frozen=True, slots=True)
class LoginsSent:
    intake_id: str
    contact_id: str


@dataclass(frozen=True, slots=True)
class Recovered:
    pass


@dataclass(frozen=True, slots=True)
class Failed:
    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    by: Literal["owner", "requester", "operator"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Expired:
    pass


@dataclass(frozen=True, slots=True)
class Rejected:
    reason: str
    operator: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    pass


@dataclass(frozen=True, slots=True)
class HoldChanged:
    until: int
    intake_id: str
    operator: str = ""


CaseEvent = (
    Requested
    | Refreshed
    | ChallengeSent
    | MailWithheld
    | ProofAccepted
    | ReviewStarted
    | ReviewApproved
    | HoldStarted
    | HoldChanged
    | Approved
    | Remedied
    | PasswordChosen
    | AccountSettled
    | Reopened
    | LoginsSent
    | Recovered
    | Failed
    | Cancelled
    | Expired
    | Rejected
    | Closed
)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that belongs in the audit log but to no case: a sign-in, an import, a batch of intakes."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)


def event_type(event: CaseEvent | Note) -> str:
    """`ProofAccepted` → `proof_accepted`; a Note carries its own."""
    if isinstance(event, Note):
        return event.type
    return _shape(type(event))[0]  # type: ignore[arg-type]  # mypy takes classes for unhashable


def event_data(event: CaseEvent | Note) -> dict[str, Any]:
    """The event's values as JSON takes them."""
    if isinstance(event, Note):
        return dict(event.data)
    return {name: getattr(event, name) for name in _shape(type(event))[1]}  # type: ignore[arg-type]


@cache
def _shape(kind: Any) -> tuple[str, tuple[str, ...]]:
    """What an event is called in the log, and the names of its values."""
    name = kind.__name__
    words = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
    return words, tuple(f.name for f in dataclasses.fields(kind))
