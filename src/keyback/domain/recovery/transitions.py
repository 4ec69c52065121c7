"""The states of a recovery case and the one table of what may follow what; `docs/states.mmd` is drawn from it."""

from __future__ import annotations

from enum import StrEnum

from keyback.domain.recovery import events as ev


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
JOINABLE = (S.PROVING, S.IN_REVIEW, S.ON_HOLD, S.APPROVED)
STOPPABLE = (S.REQUESTED, S.PROVING, S.IN_REVIEW, S.ON_HOLD, S.APPROVED)

# (state, event) → state. What is not here cannot happen; `docs/states.mmd` is drawn from it.
TRANSITIONS: dict[tuple[State, type], State] = {
    (S.REQUESTED, ev.ChallengeSent): S.PROVING,
    (S.REQUESTED, ev.MailWithheld): S.PROVING,
    (S.REQUESTED, ev.LoginsSent): S.RECOVERED,
    (S.PROVING, ev.Refreshed): S.PROVING,
    (S.PROVING, ev.ChallengeSent): S.PROVING,
    (S.PROVING, ev.MailWithheld): S.PROVING,
    (S.PROVING, ev.LoginsSent): S.PROVING,
    (S.PROVING, ev.ProofAccepted): S.PROVING,
    (S.PROVING, ev.ReviewStarted): S.IN_REVIEW,
    (S.PROVING, ev.HoldStarted): S.ON_HOLD,
    (S.PROVING, ev.Approved): S.APPROVED,
    (S.IN_REVIEW, ev.HoldStarted): S.ON_HOLD,
    (S.IN_REVIEW, ev.Approved): S.APPROVED,
    (S.IN_REVIEW, ev.ReviewApproved): S.IN_REVIEW,
    (S.IN_REVIEW, ev.Rejected): S.REJECTED,
    (S.ON_HOLD, ev.HoldStarted): S.ON_HOLD,
    (S.ON_HOLD, ev.HoldChanged): S.ON_HOLD,
    (S.APPROVED, ev.HoldChanged): S.APPROVED,
    (S.ON_HOLD, ev.Approved): S.APPROVED,
    (S.APPROVED, ev.HoldStarted): S.APPROVED,
    (S.APPROVED, ev.Approved): S.APPROVED,
    # Others who ask for the same person join without moving it: each page has its own evidence.
    **{
        (s, e): s
        for s in (S.IN_REVIEW, S.ON_HOLD, S.APPROVED)
        for e in (ev.ChallengeSent, ev.MailWithheld, ev.LoginsSent, ev.ProofAccepted)
    },
    (S.APPROVED, ev.PasswordChosen): S.APPLYING,
    (S.APPROVED, ev.Remedied): S.RECOVERED,
    (S.APPROVED, ev.AccountSettled): S.APPROVED,  # while it is open again for one system, a person settles another
    (S.APPROVED, ev.Recovered): S.RECOVERED,  # its time is over, and some systems took the password
    (S.APPLYING, ev.AccountSettled): S.APPLYING,
    (S.APPLYING, ev.Reopened): S.APPROVED,
    (S.APPLYING, ev.Recovered): S.RECOVERED,
    (S.APPLYING, ev.Failed): S.FAILED,
    (S.RECOVERED, ev.AccountSettled): S.RECOVERED,
    (S.RECOVERED, ev.Closed): S.CLOSED,
    **{(s, ev.Cancelled): S.CANCELLED for s in STOPPABLE},
    **{(s, ev.Expired): S.EXPIRED for s in STOPPABLE},
}
