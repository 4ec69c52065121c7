"""A recovery in the API's words. Until a proof was accepted here, they are the same for every identifier (A1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyback.application.passwords import validation
from keyback.application.ports.connectors import Means
from keyback.application.ports.storage import Intake, Tx
from keyback.application.ports.tasks import Task
from keyback.application.recovery import mailed_link, methods, new_password, replace_factor
from keyback.application.services import Services
from keyback.application.tasks.lifecycle import may_ask
from keyback.domain.challenges import challenge as ch
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import requirements
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import Account
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case, State
from keyback.domain.throttling.limits import RESEND_AFTER, TRIES_SHOWN
from keyback.locale import Locale, gettext
from keyback.web.api import models as m
from keyback.web.api import models_remedy, remedy_views
from keyback.web.api.auth import instant
from keyback.web.ui.context import AppContext

PREFIX = "password_"
WITH_TASKS = ("yours", "desk")  # results that somebody has to do something for
ENDINGS: dict[State, Any] = {
    State.CANCELLED: "cancelled",
    State.EXPIRED: "expired",
    State.REJECTED: "rejected",
    State.FAILED: "failed",
    State.CLOSED: "closed",
}
Due = models_remedy.SecondStepDue | models_remedy.MailboxDue
AnyRecovery = m.Waiting | m.PasswordDue | Due | m.NeedMore | m.Applying | models_remedy.Done | m.Ended
PROVEN = (m.PasswordDue, models_remedy.SecondStepDue, models_remedy.MailboxDue, m.NeedMore)


@dataclass(frozen=True, slots=True)
class CaseView:
    """Everything that an answer depends on, from one snapshot. `case` is there once a proof was accepted here.

    Args:
        barred: what was shown is a sign-in to the only systems that it could be for; another method does.
        recent: second steps that were too new to count (`replace_factor.lately_added`).
    """

    intake: Intake | None
    case: Case | None
    choice: new_password.Choice | None
    ways: tuple[methods.RecoveryMethod, ...]
    accounts: dict[str, Account]
    now: int
    remedy: remedy_views.Remedy | None = None
    barred: bool = False
    tasks: tuple[Task, ...] = ()
    recent: tuple[Factor, ...] = ()


def look(tx: Tx, handle: str, s: Services) -> CaseView:
    """What is known of the recovery `handle`."""
    intake = tx.intakes.get(handle)
    case = tx.cases.get(intake.case_id) if intake and intake.case_id else None
    if case is None:
        return CaseView(intake, None, None, (), {}, tx.now)
    choice: new_password.Choice | None = None
    further: tuple[methods.RecoveryMethod, ...] = ()
    remedy: remedy_views.Remedy | None = None
    barred = False
    if intake is not None and not case.submission and not case.remedied:  # afterwards there are results only
        try:
            if intake.journey not in remedy_views.NO_PASSWORD:
                choice = new_password.choice(tx, case.id, handle, s.policy)
            if intake.journey in ("locked", *remedy_views.NO_PASSWORD) and case.open_to(handle):
                remedy = remedy_views.look(tx, intake, s)
        except Refusal as e:
            barred = e.code == "own_sign_in"
        if choice is None and remedy is None:
            further = tuple(methods.available_methods(tx, s.proofs, s.policy, case, handle))
    accounts = {a.id: a for a in tx.people.accounts([case.person_id]).get(case.person_id, ())}
    tasks = tuple(tx.tasks.of_case(case.id)) if any(r.result in WITH_TASKS for r in case.results) else ()
    recent = replace_factor.lately_added(tx, handle) if case.results else ()
    return CaseView(intake, case, choice, further, accounts, tx.now, remedy, barred, tasks, recent)


def describe(desk: AppContext, locale: Locale, view: CaseView) -> AnyRecovery:
    """The API's answer for what was seen."""
    case = view.case
    if case is None:
        return _before_proof(desk, locale, view)
    known = ((r, view.accounts.get(r.account_id)) for r in case.results)
    tasks = {t.account_id: t for t in view.tasks if t.kind == "reset"}
    results = [
        _result(desk, locale, r, account, _task(desk, view, tasks.get(account.id)))
        for r, account in known
        if account is not None
    ]
    if case.remedied:
        return models_remedy.Done(results=[], remedied=case.remedied)
    if case.state in (State.APPLYING, State.RECOVERED, State.CLOSED) and case.results:
        return _done(view, results) if case.settled else m.Applying(results=results)
    open_here = view.intake is not None and case.open_to(view.intake.handle)
    if case.state in dc.JOINABLE and view.now < case.expires_at and not open_here:
        return _need_more(desk, locale, view, case)
    if view.remedy is not None and view.remedy.journey in remedy_views.NO_PASSWORD:
        return remedy_views.describe(desk.services, view.remedy)
    if view.choice is not None:
        return _due(desk, locale, view.choice, results, view.remedy.unlockable if view.remedy else ())
    if view.barred:
        return _need_more(desk, locale, view, case)
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


def _done(view: CaseView, results: list[m.Result]) -> models_remedy.Done:
    asks_for_it = any(r.system == "builtin" and r.result == "done" for r in results)
    return models_remedy.Done(
        results=results,
        recent_factors=[
            models_remedy.RecentFactor(id=f.id, kind=f.kind, label=f.label, added_at=instant(f.added_at))
            for f in view.recent
            if asks_for_it
        ],
    )


def _task(desk: AppContext, view: CaseView, task: Task | None) -> m.Task | None:
    if task is None:
        return None
    return m.Task(
        id=task.id,
        state=task.state,
        asked=task.asks > 0,
        may_ask=bool(desk.services.tasks.administrators) and may_ask(task, view.now),
        reason=task.note if task.state == "declined" else "",
    )


def _before_proof(desk: AppContext, locale: Locale, view: CaseView) -> m.Waiting | m.Ended:
    i = view.intake
    if i is None or view.now >= i.expires_at:
        return m.Ended(reason="expired")
    if i.state == "stopped":
        return m.Ended(reason="cancelled")
    s, abouts = desk.services, desk.services.abouts
    return m.Waiting(
        journey=i.journey,
        tries_left=max(0, TRIES_SHOWN - i.tries),
        resend_at=resend_at(i),
        code_expires_at=instant(i.asked_at + ch.CODE_LIFE),
        expires_at=instant(i.expires_at),
        number=None if i.journey in ("username", "mailbox") else mailed_link.number_for(desk.services.seals, i.handle),
        proofs=[
            m.Way(proof=n, title=abouts[n].say(locale, abouts[n].title), target="")
            for n in methods.offered(s.proofs, s.policy, i.journey)
            if s.policy.class_of(n) not in (None, "knowledge", "proofing") and not abouts[n].needs_browser
        ],
    )


def resend_at(i: Intake) -> str:
    """From when on a further mail goes out; rounded up, so that whoever waits for it is not too early."""
    return instant(i.asked_at + RESEND_AFTER + 999)


def _due(
    desk: AppContext,
    locale: Locale,
    choice: new_password.Choice,
    results: list[m.Result],
    unlockable: tuple[str, ...],
) -> m.PasswordDue:
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
        unlockable=list(unlockable),
    )


def _result(desk: AppContext, locale: Locale, r: Any, account: Account, task: m.Task | None) -> m.Result:
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
        task=task if r.result in WITH_TASKS else None,
    )


def personal(desk: AppContext, view: CaseView) -> tuple[Any, bool]:
    """The words that a new password may not consist of, and whether a second factor is enforced."""
    if view.choice is None:
        return validation.public_context(desk.services), False
    return validation.context_of(
        desk.services, view.choice.person, view.choice.accounts, view.choice.mails
    ), view.choice.tier != "standard"
