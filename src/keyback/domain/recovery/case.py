"""The recovery case: one journey of one person, as two pure functions and one table.

`decide(case, command, now)` gives the events that a command leads to, or raises Refusal; `evolve(case, event, at)`
folds one event in. Nothing here reads a clock, a random number or a database (ADR 3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from keyback.domain.errors import Refusal
from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import TIERS, Evidence, Journey, rule, suffices
from keyback.domain.recovery import events as ev
from keyback.domain.recovery.approval import approve
from keyback.domain.recovery.commands import (
    AcceptProof,
    Approve,
    Cancel,
    ChangeHold,
    ChoosePassword,
    Close,
    Command,
    Expire,
    Open,
    Refresh,
    Reject,
    Release,
    Remedy,
    SendChallenge,
    SendLogins,
    Settle,
    WithholdMail,
)
from keyback.domain.recovery.results import AccountResult
from keyback.domain.recovery.transitions import ENDED, JOINABLE, STOPPABLE, TRANSITIONS, State
from keyback.domain.units import MINUTE

__all__ = [
    "ENDED",
    "JOINABLE",
    "STOPPABLE",
    "TRANSITIONS",
    "AcceptProof",
    "AccountResult",
    "Approve",
    "Cancel",
    "Case",
    "ChangeHold",
    "ChoosePassword",
    "Close",
    "Command",
    "Expire",
    "Open",
    "Refresh",
    "Reject",
    "Release",
    "Remedy",
    "SendChallenge",
    "SendLogins",
    "Settle",
    "State",
    "WithholdMail",
    "decide",
    "evolve",
    "fold",
]
CASE_LIFE = 24 * 60 * MINUTE  # from request to proof; joined requests extend it
MAX_LIFE = 48 * 60 * MINUTE  # from the opening, however many join; what is asked for later opens a new case
WORTH_IT = 10 * MINUTE  # with less of its life left a case is not reopened for a system that was away
PASSWORD_TIME = 20 * MINUTE  # from proof to the new password (a recovery session, not a sign-in)
REVIEW_LIFE = 72 * 60 * MINUTE  # for whoever has to approve: a weekend lies between, too
AFTER_HOLD = 24 * 60 * MINUTE  # the same after a wait, whose end nobody sits and watches for
S = State


@dataclass(frozen=True, slots=True)
class Case:
    """The folded state. `version` counts events; a write that saw another version is refused.

    Args:
        approved_for: the pages that may go on.
        waiting: (page, instant) of those that may go on when their hold is over.
        remedied_at: ms; 0 for nothing, and for what the version before remedied.
        renewed: some account has a new password by this case; then it renews nothing else, whoever asks (I1).
    """

    id: str
    person_id: str = ""
    journey: Journey = "password"
    tier: Tier = "standard"
    state: State = State.REQUESTED
    version: int = 0
    accounts: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    results: tuple[AccountResult, ...] = ()
    submission: str = ""
    opened_at: int = 0
    expires_at: int = 0
    approved_for: tuple[str, ...] = ()
    waiting: tuple[tuple[str, int], ...] = ()
    remedied: Literal["", "unlocked", "factor_replaced", "mailbox_replaced"] = ""
    remedied_at: int = 0
    renewed: bool = False

    def hold_of(self, handle: str) -> int:
        """When the hold of a page is over (ms); 0 where it has none."""
        return next((until for h, until in self.waiting if h == handle), 0)

    def shown_by(self, handle: str) -> tuple[Evidence, ...]:
        """The evidence that a page gathered."""
        return tuple(e for e in self.evidence if e.handle == handle)

    def open_to(self, handle: str) -> bool:
        """Whether this page may go on to the remedy."""
        return self.state == State.APPROVED and handle in self.approved_for

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def settled(self) -> bool:
        """Whether no account is waiting for Keyback to do something."""
        return all(r.result not in ("waiting", "working") for r in self.results)


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
        case Refresh():
            _must_be(case, S.PROVING)
            if case.evidence or (case.tier == command.tier and set(case.accounts) == set(command.accounts)):
                raise Refusal("wrong_state")
            return (ev.Refreshed(command.tier, command.accounts),)
        case SendChallenge():
            _must_run(case, now)
            _must_be(case, S.REQUESTED, *JOINABLE)
            return (
                ev.ChallengeSent(
                    command.challenge_id, command.intake_id, command.contact_id, command.source, command.device
                ),
            )
        case WithholdMail():
            _must_be(case, S.REQUESTED, *JOINABLE)
            return (ev.MailWithheld(command.intake_id),)
        case AcceptProof():
            return _accept(case, command, now)
        case Approve():
            _must_be(case, S.IN_REVIEW)
            _must_run(case, now)
            _must_match(case, command.version)
            return approve(command, case.tier, now)
        case Reject():
            _must_be(case, S.IN_REVIEW)
            _must_match(case, command.version)
            return (ev.Rejected(command.reason, command.operator),)
        case ChangeHold():
            _must_be(case, S.ON_HOLD, S.APPROVED)
            _must_match(case, command.version)
            if not case.hold_of(command.intake_id) or command.until <= now:
                raise Refusal("wrong_state", state=case.state.value)
            return (ev.HoldChanged(command.until, command.intake_id, command.operator),)
        case Release():
            _must_be(case, S.ON_HOLD, S.APPROVED)
            over = tuple(ev.Approved("hold", h) for h, until in case.waiting if until <= now)
            if not over:
                raise Refusal("wrong_state")
            return over
        case Remedy():
            _must_be_open(case, command, now)
            if case.renewed and command.what != "unlocked":
                raise Refusal("wrong_state", state=case.state.value)
            return (ev.Remedied(command.what, command.intake_id), ev.Closed())
        case ChoosePassword():
            return _choose(case, command, now)
        case Settle():
            return _settle(case, command, now)
        case SendLogins():
            _must_be(case, S.REQUESTED, *JOINABLE)
            sent = ev.LoginsSent(command.intake_id, command.contact_id)
            return (sent, ev.Closed()) if case.state == S.REQUESTED else (sent,)
        case Cancel():
            _must_be(case, *STOPPABLE)
            return (ev.Cancelled(command.by, command.reason),)
        case Expire():
            _must_be(case, *STOPPABLE)
            if now < case.expires_at:
                raise Refusal("wrong_state")
            done = any(r.result == "done" for r in case.results)
            return (ev.Recovered(), ev.Closed()) if done else (ev.Expired(),)
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


def _must_be_open(case: Case, c: Remedy | ChoosePassword, now: int) -> None:
    """Whether this page may apply the remedy. The state says so already; it is worth asking twice."""
    if case.state in (S.REQUESTED, S.PROVING, S.IN_REVIEW, S.ON_HOLD):
        raise Refusal("not_enough_evidence")
    _must_be(case, S.APPROVED)
    _must_run(case, now)
    if not case.open_to(c.intake_id) or not suffices(case.shown_by(c.intake_id), case.tier, c.loose):
        raise Refusal("not_enough_evidence")


def _accept(case: Case, c: AcceptProof, now: int) -> tuple[ev.CaseEvent, ...]:
    _must_be(case, *JOINABLE)
    _must_run(case, now)
    proven = Evidence(c.proof, c.kind, c.channel, now, c.intake_id, c.aged, c.system, c.target, c.also)
    shown = (*case.shown_by(c.intake_id), proven)
    tier = max(case.tier, c.tier, key=TIERS.index)
    ruling = rule(shown, tier, c.risk, c.policy, c.journey)
    accepted = ev.ProofAccepted(
        c.proof,
        c.kind,
        c.channel,
        c.challenge_id,
        c.intake_id,
        ruling.kind not in ("more", "review"),
        c.how,
        c.aged,
        c.system,
        c.target,
        c.also,
        tier,
        c.journey,
        c.risk.names,
        c.risk.only_address,
    )
    if c.intake_id in case.approved_for:
        return (accepted,)
    if ruling.kind == "go":
        return (accepted, ev.Approved("policy", c.intake_id))
    if ruling.kind == "hold" and not case.hold_of(c.intake_id):
        return (accepted, ev.HoldStarted(now + ruling.wait, c.intake_id, ruling.reason))
    if ruling.kind == "review" and case.state == S.PROVING:
        return (accepted, ev.ReviewStarted(ruling.reason, c.intake_id))
    return (accepted,)


def _must_match(case: Case, version: int) -> None:
    """An operator decides about what they saw, and nothing else."""
    if version != case.version:
        raise Refusal("conflict")


def _choose(case: Case, c: ChoosePassword, now: int) -> tuple[ev.CaseEvent, ...]:
    if case.submission:
        raise Refusal("already_chosen", same=case.submission == c.submission)
    _must_be_open(case, c, now)
    settled = {r.account_id for r in case.results if not r.may_choose}
    if settled & {a for a, _ in c.jobs}:
        raise Refusal("already_chosen", same=False)
    if not c.jobs or any(a not in case.accounts for a, _ in c.jobs) or len({a for a, _ in c.jobs}) != len(c.jobs):
        raise Refusal("no_accounts")
    return (ev.PasswordChosen(c.jobs, c.submission),)


def _settle(case: Case, c: Settle, now: int) -> tuple[ev.CaseEvent, ...]:
    _must_be(case, S.APPLYING, S.RECOVERED, S.APPROVED)
    before = next((r for r in case.results if r.account_id == c.account_id), None)
    if before is None:
        raise Refusal("not_found")
    if before.result in ("done", "refused"):
        raise Refusal("already_chosen", same=before.result == c.result)
    settled = ev.AccountSettled(c.account_id, c.result, c.code, c.vendor_text)
    after = evolve(case, settled, now)
    if not after.settled or case.state == S.APPROVED:
        return (settled,)
    over = all(r.result in ("done", "refused", "unsure") for r in after.results)
    if case.state == S.RECOVERED:
        return (settled, ev.Closed()) if over else (settled,)
    # Within the case's life: whoever verified needn't do so again because a system was away.
    until = max(case.expires_at, min(now + CASE_LIFE, case.opened_at + MAX_LIFE))
    if any(r.timed_out for r in after.results) and until - now >= WORTH_IT:
        return (settled, ev.Reopened(until))
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

    def then(**changed: Any) -> Case:
        return replace(case, state=state, version=case.version + 1, **changed)

    match event:
        case ev.Requested():
            return then(
                person_id=event.person_id,
                journey=event.journey,
                tier=event.tier,
                accounts=tuple(event.accounts),
                opened_at=at,
                expires_at=event.expires_at,
            )
        case ev.Refreshed():
            return then(tier=event.tier, accounts=tuple(event.accounts))
        case ev.ChallengeSent():
            until = at if state == S.APPROVED else min(at + CASE_LIFE, case.opened_at + MAX_LIFE)
            return then(expires_at=max(case.expires_at, until))
        case ev.ProofAccepted():
            kind: Any = event.kind
            proven = Evidence(
                event.proof, kind, event.channel, at, event.intake_id, event.aged, event.system, event.target,
                tuple(event.also),
            )  # fmt: skip
            return then(evidence=(*case.evidence, proven))
        case ev.Approved():
            waited = any(h == event.intake_id for h, _ in case.waiting)
            until = at + (AFTER_HOLD if waited else PASSWORD_TIME)
            if case.results:  # it was open again for some systems; who verified now starts over, for all of them
                still = tuple(w for w in case.waiting if w[0] != event.intake_id)
                return then(expires_at=until, approved_for=(event.intake_id,), waiting=still, results=())
            return then(
                expires_at=max(until, case.expires_at) if case.approved_for or len(case.waiting) > waited else until,
                approved_for=(*case.approved_for, event.intake_id),
                waiting=tuple(w for w in case.waiting if w[0] != event.intake_id),
            )
        case ev.ReviewStarted():
            return then(expires_at=max(case.expires_at, at + REVIEW_LIFE))
        case ev.HoldStarted():
            waiting = (*case.waiting, (event.intake_id, event.until))
            return then(waiting=waiting, expires_at=max(case.expires_at, event.until + AFTER_HOLD))
        case ev.HoldChanged():
            waiting = tuple((h, event.until if h == event.intake_id else until) for h, until in case.waiting)
            return then(waiting=waiting, expires_at=max(case.expires_at, event.until + AFTER_HOLD))
        case ev.Remedied():
            return then(remedied=event.what, remedied_at=at)
        case ev.PasswordChosen():
            again = {a for a, _ in event.jobs}
            kept = tuple(r for r in case.results if r.account_id not in again)
            new = tuple(AccountResult(a, j) for a, j in event.jobs)
            return then(submission=event.submission, results=(*kept, *new))
        case ev.Reopened():
            return then(submission="", expires_at=event.until or at + PASSWORD_TIME)
        case ev.AccountSettled():
            done = tuple(
                replace(r, result=event.result, code=event.code, vendor_text=event.vendor_text, at=at)
                if r.account_id == event.account_id
                else r
                for r in case.results
            )
            return then(results=done, renewed=case.renewed or event.result == "done")
        case _:
            return then()


def fold(case_id: str, history: list[tuple[ev.CaseEvent, int]]) -> Case:
    """The case that a history of (event, instant) leads to."""
    case = Case(case_id)
    for event, at in history:
        case = evolve(case, event, at)
    return case
