"""The recovery case: one journey of one person, as two pure functions and one table.

`decide(case, command, now)` gives the events that a command leads to, or raises Refusal; `evolve(case, event, at)`
folds one event in. Nothing here reads a clock, a random number or a database (ADR 3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from keyback.domain import events as ev
from keyback.domain.challenge import MINUTE
from keyback.domain.errors import Refusal
from keyback.domain.person import Tier
from keyback.domain.policy import Evidence, ProofClass, suffices

CASE_LIFE = 24 * 60 * MINUTE  # from request to proof; joined requests extend it
PASSWORD_TIME = 20 * MINUTE  # from proof to the new password (a recovery session, not a sign-in)


class State(StrEnum):
    REQUESTED = "requested"
    PROVING = "proving"
    IN_REVIEW = "in_review"
    ON_HOLD = "on_hold"
    APPROVED = "approved"
    APPLYING = "applying"
    RECOVERED = "recovered"
    CLOSED = "closed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


S = State
ENDED = frozenset({S.CLOSED, S.REJECTED, S.CANCELLED, S.EXPIRED, S.FAILED})
STOPPABLE = (S.REQUESTED, S.PROVING, S.IN_REVIEW, S.ON_HOLD, S.APPROVED)

# (state, event) → state. What is not here cannot happen; `docs/states.mmd` is drawn from it.
TRANSITIONS: dict[tuple[State, type], State] = {
    (S.REQUESTED, ev.ChallengeSent): S.PROVING,
    (S.REQUESTED, ev.MailWithheld): S.PROVING,
    (S.REQUESTED, ev.LoginsSent): S.RECOVERED,
    (S.PROVING, ev.ChallengeSent): S.PROVING,
    (S.PROVING, ev.MailWithheld): S.PROVING,
    (S.PROVING, ev.LoginsSent): S.PROVING,
    (S.PROVING, ev.ProofAccepted): S.PROVING,
    (S.PROVING, ev.ReviewStarted): S.IN_REVIEW,
    (S.PROVING, ev.HoldStarted): S.ON_HOLD,
    (S.PROVING, ev.Approved): S.APPROVED,
    (S.IN_REVIEW, ev.HoldStarted): S.ON_HOLD,
    (S.IN_REVIEW, ev.Approved): S.APPROVED,
    (S.IN_REVIEW, ev.Rejected): S.REJECTED,
    (S.ON_HOLD, ev.Approved): S.APPROVED,
    (S.APPROVED, ev.ChallengeSent): S.APPROVED,
    (S.APPROVED, ev.MailWithheld): S.APPROVED,
    (S.APPROVED, ev.LoginsSent): S.APPROVED,
    (S.APPROVED, ev.ProofAccepted): S.APPROVED,
    (S.APPROVED, ev.PasswordChosen): S.APPLYING,
    (S.APPLYING, ev.AccountSettled): S.APPLYING,
    (S.APPLYING, ev.Reopened): S.APPROVED,
    (S.APPLYING, ev.Recovered): S.RECOVERED,
    (S.APPLYING, ev.Failed): S.FAILED,
    (S.RECOVERED, ev.AccountSettled): S.RECOVERED,
    (S.RECOVERED, ev.Closed): S.CLOSED,
    **{(s, ev.Cancelled): S.CANCELLED for s in STOPPABLE},
    **{(s, ev.Expired): S.EXPIRED for s in STOPPABLE},
}


@dataclass(frozen=True, slots=True)
class AccountResult:
    """What became of one account: `waiting` until its job began."""

    account_id: str
    job_id: str
    result: ev.Result = "waiting"
    code: str = ""
    vendor_text: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """The folded state. `version` counts events; a write that saw another version is refused."""

    id: str
    person_id: str = ""
    journey: ev.Journey = "password"
    tier: Tier = "standard"
    state: State = State.REQUESTED
    version: int = 0
    accounts: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    results: tuple[AccountResult, ...] = ()
    submission: str = ""
    opened_at: int = 0
    expires_at: int = 0
    hold_until: int = 0

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def settled(self) -> bool:
        """Whether no account is waiting for Keyback to do something."""
        return all(r.result not in ("waiting", "working") for r in self.results)


# ── commands ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Open:
    person_id: str
    journey: ev.Journey
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


@dataclass(frozen=True, slots=True)
class ChoosePassword:
    """`jobs`: (account id, job id) of the accounts that get the new password."""

    jobs: tuple[tuple[str, str], ...]
    submission: str


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
    Open | SendChallenge | WithholdMail | AcceptProof | ChoosePassword | Settle | SendLogins | Cancel
    | Expire | Close
)  # fmt: skip


# ── decide ──────────────────────────────────────────────────────────────────


def decide(case: Case, command: Command, now: int) -> tuple[ev.CaseEvent, ...]:
    """The events that `command` leads to at the instant `now` (ms).

    Raises:
        Refusal: with a stable code; nothing has happened then.
    """
    match command:
        case Open():
            if case.version:
                raise Refusal("wrong_state")
            return (ev.Requested(command.person_id, command.journey, command.tier, command.accounts, now + CASE_LIFE),)
        case SendChallenge():
            _must_run(case, now)
            _must_be(case, S.REQUESTED, S.PROVING, S.APPROVED)
            return (
                ev.ChallengeSent(
                    command.challenge_id, command.intake_id, command.contact_id, command.source, command.device
                ),
            )
        case WithholdMail():
            _must_be(case, S.REQUESTED, S.PROVING, S.APPROVED)
            return (ev.MailWithheld(command.intake_id),)
        case AcceptProof():
            return _accept(case, command, now)
        case ChoosePassword():
            return _choose(case, command, now)
        case Settle():
            return _settle(case, command, now)
        case SendLogins():
            _must_be(case, S.REQUESTED, S.PROVING, S.APPROVED)
            sent = ev.LoginsSent(command.intake_id, command.contact_id)
            return (sent, ev.Closed()) if case.state == S.REQUESTED else (sent,)
        case Cancel():
            _must_be(case, *STOPPABLE)
            return (ev.Cancelled(command.by, command.reason),)
        case Expire():
            _must_be(case, *STOPPABLE)
            if now < case.expires_at:
                raise Refusal("wrong_state")
            return (ev.Expired(),)
        case Close():
            _must_be(case, S.RECOVERED)
            if not case.settled:
                raise Refusal("wrong_state")
            return (ev.Closed(),)


def _must_be(case: Case, *states: State) -> None:
    if case.state not in states:
        raise Refusal("wrong_state", state=case.state.value)


def _must_run(case: Case, now: int) -> None:
    if now >= case.expires_at:
        raise Refusal("expired")


def _accept(case: Case, c: AcceptProof, now: int) -> tuple[ev.CaseEvent, ...]:
    _must_be(case, S.PROVING, S.APPROVED)
    _must_run(case, now)
    proven = Evidence(c.proof, c.kind, c.channel, now)
    enough = suffices((*case.evidence, proven), case.tier)
    accepted = ev.ProofAccepted(c.proof, c.kind, c.channel, c.challenge_id, c.intake_id, enough, c.how)
    if enough and case.state == S.PROVING:
        return (accepted, ev.Approved())
    return (accepted,)


def _choose(case: Case, c: ChoosePassword, now: int) -> tuple[ev.CaseEvent, ...]:
    if case.submission:
        raise Refusal("already_chosen", same=case.submission == c.submission)
    if case.state in (S.REQUESTED, S.PROVING, S.IN_REVIEW, S.ON_HOLD):
        raise Refusal("not_enough_evidence")
    _must_be(case, S.APPROVED)
    _must_run(case, now)
    settled = {r.account_id for r in case.results if r.result != "refused"}
    if settled & {a for a, _ in c.jobs}:
        raise Refusal("already_chosen", same=False)
    if not c.jobs or any(a not in case.accounts for a, _ in c.jobs) or len({a for a, _ in c.jobs}) != len(c.jobs):
        raise Refusal("no_accounts")
    if not suffices(case.evidence, case.tier):  # the state says so already; the password is worth asking twice
        raise Refusal("not_enough_evidence")
    return (ev.PasswordChosen(c.jobs, c.submission),)


def _settle(case: Case, c: Settle, now: int) -> tuple[ev.CaseEvent, ...]:
    _must_be(case, S.APPLYING, S.RECOVERED)
    before = next((r for r in case.results if r.account_id == c.account_id), None)
    if before is None:
        raise Refusal("not_found")
    if before.result in ("done", "refused"):
        raise Refusal("already_chosen", same=before.result == c.result)
    settled = ev.AccountSettled(c.account_id, c.result, c.code, c.vendor_text)
    after = evolve(case, settled, now)
    if not after.settled:
        return (settled,)
    over = all(r.result in ("done", "refused", "unsure") for r in after.results)
    if case.state == S.RECOVERED:
        return (settled, ev.Closed()) if over else (settled,)
    if any(r.code == "policy_rejected" for r in after.results):
        return (settled, ev.Reopened())
    if all(r.result == "refused" for r in after.results):
        return (settled, ev.Failed("refused"))
    return (settled, ev.Recovered(), ev.Closed()) if over else (settled, ev.Recovered())


# ── evolve ──────────────────────────────────────────────────────────────────


def evolve(case: Case, event: ev.CaseEvent, at: int) -> Case:
    """The case after `event`, which happened at `at` (ms).

    Raises:
        Refusal: `wrong_state` when the table does not know this step; a stored history never raises.
    """
    if isinstance(event, ev.Requested):
        state = S.REQUESTED
    else:
        known = TRANSITIONS.get((case.state, type(event)))
        if known is None:
            raise Refusal("wrong_state", state=case.state.value)
        state = known
    case = replace(case, state=state, version=case.version + 1)
    match event:
        case ev.Requested():
            return replace(
                case,
                person_id=event.person_id,
                journey=event.journey,
                tier=event.tier,
                accounts=tuple(event.accounts),
                opened_at=at,
                expires_at=event.expires_at,
            )
        case ev.ChallengeSent():
            return case if case.state == S.APPROVED else replace(case, expires_at=max(case.expires_at, at + CASE_LIFE))
        case ev.ProofAccepted():
            proven = Evidence(event.proof, event.kind, event.channel, at)  # type: ignore[arg-type]
            return replace(case, evidence=(*case.evidence, proven))
        case ev.Approved():
            return replace(case, expires_at=at + PASSWORD_TIME)
        case ev.HoldStarted():
            return replace(case, hold_until=event.until)
        case ev.PasswordChosen():
            again = {a for a, _ in event.jobs}
            kept = tuple(r for r in case.results if r.account_id not in again)
            new = tuple(AccountResult(a, j) for a, j in event.jobs)
            return replace(case, submission=event.submission, results=(*kept, *new))
        case ev.Reopened():
            return replace(case, submission="", expires_at=at + PASSWORD_TIME)
        case ev.AccountSettled():
            done = tuple(
                replace(r, result=event.result, code=event.code, vendor_text=event.vendor_text, at=at)
                if r.account_id == event.account_id
                else r
                for r in case.results
            )
            return replace(case, results=done)
        case _:
            return case


def fold(case_id: str, history: list[tuple[ev.CaseEvent, int]]) -> Case:
    """The case that a history of (event, instant) leads to."""
    case = Case(case_id)
    for event, at in history:
        case = evolve(case, event, at)
    return case


def diagram() -> str:
    """The transition table as a Mermaid state diagram, the text of `docs/states.mmd`."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (a, e), b in TRANSITIONS.items():
        arrows.setdefault((a.value, b.value), []).append(e.__name__)
    lines = ["stateDiagram-v2", "    [*] --> requested: Requested"]
    lines += [f"    {a} --> {b}: {' / '.join(sorted(names))}" for (a, b), names in arrows.items()]
    lines += [f"    {s.value} --> [*]" for s in State if s in ENDED]
    return "\n".join(lines) + "\n"
