"""Pages of a recovery between the first proof and the remedy: ways to prove, one of them, the wait, the review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from keyback.application.ports.storage import MustChange
from keyback.domain.people.person import Bounce
from keyback.domain.policy.rules import Journey
from keyback.web.ui.page import Page


@dataclass(frozen=True, slots=True)
class MethodOption:
    """One way that is offered. `targets`: (id, masked words), only shown to somebody who has proven something."""

    proof: str
    targets: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Methods(Page):
    """`/r/{handle}/ways`, and `/r/{handle}` once something is proven but not enough.

    Args:
        proven: whether this page has proven anything; before that the list is the same for everybody.
        shown: names of the proofs that were accepted here.
        options: ways to go on; forms posting to `/r/{handle}/ways/{proof}`.
        username: the account, once something is proven.
        waiting_until: ms until when a hold lasts that a further proof would end; 0 without one.
        refused: the last request came too early or was for something that is not there.
        only_new: every second step of the person is too new to count; somebody else may have added it.
        lost_alone: all that is left is the app on the phone that was lost, so a person has to help.
        call: whether the help desk checks callers; the same for everybody.
        own: systems that were signed in to, which is no evidence for the accounts in them.
        mailed: the link in our mail would do.
        undelivered: what became of that mail.
        services: (name, title) of those that could verify the identity here.
    """

    template: ClassVar[str] = "portal/ways.html"
    handle: str
    proven: bool
    journey: Journey
    options: tuple[MethodOption, ...]
    shown: tuple[str, ...] = ()
    username: str = ""
    version: str = ""
    refused: Literal["", "too_early"] = ""
    only_new: bool = False
    lost_alone: bool = False
    call: bool = False
    own: tuple[str, ...] = ()
    mailed: bool = False
    undelivered: Bounce = ""
    document: bool = False
    services: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OneMethod(Page):
    """`/r/{handle}/ways/{proof}`: the question was put, or would be if what was typed belongs to an account here.

    Args:
        proven: as in `Methods`.
        sent: whether a code goes to the person.
        form: what the proof wants shown, see `proofs.Proof.form`.
        hint: masked address or label, only once something is proven.
        seconds_left: until the question is void; 0 where it is already.
        resend_in_seconds: 0 enables sending again; None where nothing is sent.
        error: what was wrong with the last answer.
        version: as in `pages.Waiting`.
        of: names the question (`shown`).
        undelivered: what became of the message, only once something is proven.
    """

    template: ClassVar[str] = "portal/way.html"
    handle: str
    proof: str
    proven: bool
    form: Mapping[str, object] = field(default_factory=dict)
    hint: str = ""
    seconds_left: int = 0
    resend_in_seconds: int | None = None
    error: (
        Literal[
            "wrong", "no_tries", "not_a_code", "replayed", "busy", "expired", "replaced", "away", "denied", "not_fresh"
        ]
        | None
    ) = None
    tries_left: int = 0
    version: str = ""
    journey: Journey = "password"
    of: str = ""
    sent: bool = False
    undelivered: Bounce = ""


@dataclass(frozen=True, slots=True)
class Held(Page):
    """`/r/{handle}` while a decided recovery waits.

    Args:
        until: ms.
        reason: `stranger`, `new_device`, `privileged`, `mailbox` or `proofing`.
        options: further proofs that would end the wait.
        seconds_left: until then.
        since: when the last method was accepted (ms).
    """

    template: ClassVar[str] = "portal/held.html"
    waits: ClassVar[str] = "hold"
    handle: str
    until: int
    reason: str
    username: str
    options: tuple[MethodOption, ...] = ()
    version: str = ""
    seconds_left: int = 0
    journey: Journey = "password"
    since: int = 0

    @property
    def cells(self) -> tuple[int, int]:
        """How many squares the wait has, one an hour for a day, and how many of them are over."""
        whole = max(1, (self.until - self.since) // 1000)
        count = 24 if whole > 12 * 3600 else 12
        return count, min(count - 1, max(0, whole - self.seconds_left) * count // whole)


@dataclass(frozen=True, slots=True)
class InReview(Page):
    """`/r/{handle}` while an operator has to approve.

    Args:
        called: after a caller check, which counts for no more.
        due: by when the help desk's own goal has it decided (ms); 0 where that is over.
    """

    template: ClassVar[str] = "portal/in_review.html"
    waits: ClassVar[str] = "approval"
    handle: str
    username: str
    options: tuple[MethodOption, ...] = ()
    version: str = ""
    journey: Journey = "password"
    called: bool = False
    due: int = 0


@dataclass(frozen=True, slots=True)
class NewCode(Page):
    """A saved recovery code was used up; here is the one that takes its place, shown once (N-R3).

    Args:
        onward: a path of ours, where it goes on.
        must_change: why the sign-in that used it up opens nothing before there is a new password.
    """

    template: ClassVar[str] = "portal/new_code.html"
    onward: str
    code: str
    must_change: MustChange = ""
    journey: Journey = "password"


@dataclass(frozen=True, slots=True)
class ForColleague(Page):
    """What pages have that a recovery contact opens by a mailed link. `person`: name of whom it is about."""

    person: str = ""
    asked_at: int = 0


@dataclass(frozen=True, slots=True)
class Refuse(Page):
    """GET `/vouch/refuse`: asks before a POST there ends the recovery contact's part in a request."""

    template: ClassVar[str] = "portal/vouch_refuse.html"
    person: str


@dataclass(frozen=True, slots=True)
class Confirm(ForColleague):
    """`/vouch`: a recovery contact is asked to vouch.

    Args:
        problem: what the contact has just answered.
        error: what was wrong with the digits.
    """

    template: ClassVar[str] = "portal/vouch.html"
    source: str = ""
    device: str = ""
    problem: Literal["", "done", "refused"] = ""
    error: Literal["", "wrong", "no_tries"] = ""
    tries_left: int = 0
