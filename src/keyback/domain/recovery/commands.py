"""What can be asked of a recovery case; `case.decide` says what follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import Evidence, Journey, Loose, Policy, ProofClass, Risk
from keyback.domain.recovery import events as ev


@dataclass(frozen=True, slots=True)
class Open:
    person_id: str
    journey: Journey
    tier: Tier
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refresh:
    """What the person has now, as a request that joins the case found it."""

    tier: Tier
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SendChallenge:
    challenge_id: str
    intake_id: str
    contact_id: str
    source: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class WithholdMail:
    intake_id: str


@dataclass(frozen=True, slots=True)
class AcceptProof:
    proof: str
    kind: ProofClass
    channel: str
    challenge_id: str
    intake_id: str
    how: str = ""
    tier: Tier = "standard"  # the person's now; the case's own counts where it is higher
    journey: Journey = "password"  # of the page
    risk: Risk = field(default_factory=Risk)
    policy: Policy = field(default_factory=Policy)
    aged: bool = False
    system: str = ""
    target: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approve:
    """An operator says yes to a page that waits for it; `tier` is the person's now, as for `AcceptProof`.

    Args:
        evidence: of the page, as far as it still holds.
        version: of the case that they saw; another one is refused.
    """

    operator: str
    intake_id: str
    version: int
    evidence: tuple[Evidence, ...] = ()
    recommended_by: str = ""
    tier: Tier = "standard"
    journey: Journey = "password"
    risk: Risk = field(default_factory=Risk)
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Reject:
    """An operator says no; the recovery ends."""

    operator: str
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChangeHold:
    """An operator moves the end of a page's hold to `until` (ms); how far is another question (`operators.actions`)."""

    operator: str
    intake_id: str
    until: int
    version: int


@dataclass(frozen=True, slots=True)
class Release:
    """Lets pages go on whose hold is over."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What was lost is put right by something else than a password."""

    what: Literal["unlocked", "factor_replaced", "mailbox_replaced"]
    intake_id: str
    loose: frozenset[Loose] = frozenset()


@dataclass(frozen=True, slots=True)
class ChoosePassword:
    """`jobs`: (account id, job id) of the accounts that get the new password; `intake_id`: the page that chose it."""

    jobs: tuple[tuple[str, str], ...]
    submission: str
    intake_id: str
    loose: frozenset[Loose] = frozenset()


@dataclass(frozen=True, slots=True)
class Settle:
    account_id: str
    result: ev.Result
    code: str = ""
    vendor_text: str = ""


@dataclass(frozen=True, slots=True)
class SendLogins:
    intake_id: str
    contact_id: str


@dataclass(frozen=True, slots=True)
class Cancel:
    by: Literal["owner", "requester", "operator"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Expire:
    pass


@dataclass(frozen=True, slots=True)
class Close:
    pass


Command = (
    Open | Refresh | SendChallenge | WithholdMail | AcceptProof | Approve | Reject | ChangeHold | Release | Remedy
    | ChoosePassword | Settle | SendLogins | Cancel | Expire | Close
)  # fmt: skip
