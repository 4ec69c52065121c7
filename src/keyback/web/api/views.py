"""A recovery in the API's words. Until a proof was accepted here, they are the same for every identifier (A1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyback.application.passwords import validation
from keyback.application.ports.connectors import Means
from keyback.application.ports.storage import Intake, Tx
from keyback.application.recovery import mailed_link, methods, new_password
from keyback.application.services import Services
from keyback.domain.challenges import challenge as ch
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import requirements
from keyback.domain.people.person import Account
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case, State
from keyback.domain.throttling.limits import RESEND_AFTER, TRIES_SHOWN
from keyback.locale import Locale, gettext
from keyback.web.api import models as m
from keyback.web.api.auth import instant
from keyback.web.ui.context import AppContext

PREFIX = "password_"
ENDINGS: dict[State, Any] = {
    State.CANCELLED: "cancelled",
    State.EXPIRED: "expired",
    State.REJECTED: "rejected",
    State.FAILED: "failed",
    State.CLOSED: "closed",
}
AnyRecovery = m.Waiting | m.PasswordDue | m.NeedMore | m.Applying | m.Done | m.Ended


@dataclass(frozen=True, slots=True)
class CaseView:
    """Everything that an answer depends on, from one snapshot. `case` is there once a proof was accepted here."""

    intake: Intake | None
    case: Case | None
    choice: new_password.Choice | None
    ways: tuple[methods.RecoveryMethod, ...]
    accounts: dict[str, Account]
    now: int


def look(tx: Tx, handle: str, s: Services) -> CaseView:
    """What is known of the recovery `handle`."""
    intake = tx.intakes.get(handle)
    case = tx.cases.get(intake.case_id) if intake and intake.case_id else None
    if case is None:
        return CaseView(intake, None, None, (), {}, tx.now)
    choice: new_password.Choice | None = None
    further: tuple[methods.RecoveryMethod, ...] = ()
    if not case.submission:  # afterwards there are results only, for which many wait
        try:
            choice = new_password.choice(tx, case.id, handle, s.policy)
        except Refusal:
            further = tuple(methods.available_methods(tx, s.proofs, s.policy, case, handle))
    accounts = {a.id: a for a in tx.people.accounts([case.person_id]).get(case.person_id, ())}
    return CaseView(intake, case, choice, further, accounts, tx.now)


def describe(desk: AppContext, locale: Locale, view: CaseView) -> AnyRecovery:
    """The API's answer for what was seen."""
    case = view.case
    if case is None:
        return _before_proof(desk, view)
    known = ((r, view.accounts.get(r.account_id)) for r in case.results)
    results = [_result(desk, locale, r, account) for r, account in known if account is not None]
    if case.state in (State.APPLYING, State.RECOVERED, State.CLOSED) and case.results:
        return m.Done(results=results) if case.settled else m.Applying(results=results)
    open_here = view.intake is not None and case.open_to(view.intake.handle)
    if case.state in dc.JOINABLE and view.now < case.expires_at and not open_here:
        return _need_more(desk, locale, view, case)
    if view.choice is not None:
        return _due(desk, locale, view.choice, results)
    # An approved case without a choice: its time is over, or the person was disabled meanwhile.
    reason = ENDINGS.get(case.state, "expired" if view.now >= case.expires_at else "closed")
    return m.Ended(reason=reason, results=results)


def _need_more(desk: AppContext, locale: Locale, view: CaseView, case: Case) -> m.NeedMore:
    until = case.hold_of(view.intake.handle) if view.intake else 0
    abouts = desk.services.abouts
    further = [w for w in view.ways if w.kind != "knowledge" and not abouts[w.proof].needs_browser]
    return m.NeedMore(
        reason="hold" if until else "review" if case.state == State.IN_REVIEW else "proof",
        hold_until=instant(until) if until else None,
        proofs=[
            m.Way(proof=w.proof, title=abouts[w.proof].say(locale, abouts[w.proof].title), target=t.id, hint=t.hint)
            for w in further
            for t in w.targets
        ],
        expires_at=instant(case.expires_at),
    )


def _before_proof(desk: AppContext, view: CaseView) -> m.Waiting | m.Ended:
    i = view.intake
    if i is None or view.now >= i.expires_at:
        return m.Ended(reason="expired")
    if i.state == "stopped":
        return m.Ended(reason="cancelled")
    return m.Waiting(
        journey=i.journey,
        tries_left=max(0, TRIES_SHOWN - i.tries),
        resend_at=resend_at(i),
        code_expires_at=instant(i.asked_at + ch.CODE_LIFE),
        expires_at=instant(i.expires_at),
        number=None if i.journey == "username" else mailed_link.number_for(desk.services.seals, i.handle),
    )


def resend_at(i: Intake) -> str:
    """From when on a further mail goes out; rounded up, so that whoever waits for it is not too early."""
    return instant(i.asked_at + RESEND_AFTER + 999)


def _due(desk: AppContext, locale: Locale, choice: new_password.Choice, results: list[m.Result]) -> m.PasswordDue:
    s = desk.services
    return m.PasswordDue(
        expires_at=instant(choice.case.expires_at),
        name=choice.person.name,
        accounts=[
            m.Account(id=a.id, system=a.system, title=s.titles.get(a.system, a.system), username=a.username)
            for a in choice.accounts
        ],
        requirements=[
            m.Rule(code=PREFIX + r.code, text=gettext(locale, r.text, **r.values))
            for r in requirements(s.rules, choice.tier != "standard", s.leaked != ())
        ],
        results=results,
    )


def _result(desk: AppContext, locale: Locale, r: Any, account: Account) -> m.Result:
    connector = desk.services.connectors.get(account.system)
    done, yours = r.result == "done", r.result == "yours"
    guide = connector.guide(locale) if connector is not None and yours else None
    ends_sessions = connector is not None and connector.capabilities.revoke_sessions in (Means.NATIVE, Means.COMPOSED)
    return m.Result(
        account_id=account.id,
        system=account.system,
        title=desk.services.titles.get(account.system, account.system),
        username=account.username,
        result=r.result,
        code=r.code,
        vendor_text=r.vendor_text,
        at=instant(r.at) if done else None,
        steps=list(guide.steps) if guide else [],
        url=(guide.url or "") if guide else "",
        signed_out=done and ends_sessions and not r.sessions_open,
    )


def personal(desk: AppContext, view: CaseView) -> tuple[Any, bool]:
    """The words that a new password may not consist of, and whether a second factor is enforced."""
    if view.choice is None:
        return validation.public_context(desk.services), False
    return validation.context_of(
        desk.services, view.choice.person, view.choice.accounts, view.choice.mails
    ), view.choice.tier != "standard"
