"""Choosing the new password and applying it to every system, each with its own result.

The password is sealed into one job per account together with the decision; a job lives ten minutes, is leased with a
fence and may run twice: its id makes that harmless (E15, Q2, N12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyback.application.enrolment.tier import COUNTED, tier_of
from keyback.application.ports.storage import Job, Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.domain.challenges.challenge import EMAIL_LINK
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Account, Person, Tier
from keyback.domain.policy.rules import Policy
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case, State
from keyback.domain.secret import Secret
from keyback.domain.units import MINUTE

JOB_LIFE = 10 * MINUTE
PURPOSE = "password"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the password page needs to know: who, which accounts, how long.

    Args:
        barred: accounts that want other evidence (`evidence.only_its_own`).
    """

    case: Case
    person: Person
    accounts: tuple[Account, ...]
    mails: tuple[str, ...]
    tier: Tier
    seconds_left: int
    barred: tuple[Account, ...] = ()


def choice(tx: Tx, case_id: str, handle: str, policy: Policy) -> Choice:
    """The accounts that may get a new password now, from the page `handle`.

    Raises:
        Refusal: `not_found`, `wrong_state`, `not_enough_evidence`, `already_chosen`, `expired`, or `own_sign_in`
            where what was shown is a sign-in to the one system that a password is wanted for.
    """
    return _choice(tx, tx.cases.get(case_id), handle, policy)


def _choice(tx: Tx, case: Case | None, handle: str, policy: Policy) -> Choice:
    person = tx.people.lock(case.person_id) if case else None
    if case is None or person is None or person.state != "active":
        raise Refusal("not_found")
    if case.submission:
        raise Refusal("already_chosen", same=False)
    if case.state in (State.PROVING, State.IN_REVIEW, State.ON_HOLD):
        raise Refusal("not_enough_evidence")
    if case.state != State.APPROVED:
        raise Refusal("wrong_state")
    if tx.now >= case.expires_at:
        raise Refusal("expired")
    open_again = {r.account_id for r in case.results if r.may_choose}
    contacts = tx.contacts.of_person(person.id)
    factors = tx.factors.of_person(person.id, states=COUNTED)
    logins = tx.people.accounts([person.id]).get(person.id, ())
    tier, live = tier_of(tx, person, logins, policy, factors), evidence.live_of(contacts, factors)
    # What was proven must still hold: a mailbox that was taken away since is no evidence, and the tier may have risen.
    if not evidence.enough(tx, case, handle, person, logins, policy, tier=tier, live=live):
        raise Refusal("not_enough_evidence")
    barred = evidence.only_its_own(tx, case, handle, person, logins, policy)
    accounts = tuple(
        a
        for a in logins
        if a.id in (open_again if case.results else case.accounts) and a.state != "disabled" and not a.provider
    )
    if accounts and all(a.system in barred for a in accounts):
        raise Refusal("own_sign_in")
    own = tuple(a for a in accounts if a.system in barred)
    accounts = tuple(a for a in accounts if a.system not in barred)
    mailboxes = [c for c in contacts if c.channel == "mail" and c.role != "recovery"]
    mails = tuple(c.address for c in sorted(mailboxes, key=lambda c: (c.role != "primary", c.id)))
    return Choice(case, person, accounts, mails, tier, (case.expires_at - tx.now) // 1000, own)


def choose(
    tx: Tx, case_id: str, handle: str, password: Secret, account_ids: Sequence[str], submission: str, here: Here
) -> Case:
    """Takes the new password: one sealed job per account, every earlier session and challenge dead.

    Args:
        password: has passed the policy.
        account_ids: which of the case's accounts; empty means all that may be chosen.
        submission: keyed digest of the form's own id; the same one again is the same act.
        here: where it was chosen; every contact is told.

    Raises:
        Refusal: `already_chosen` with `same`, or as `choice`.
    """
    case = tx.cases.get(case_id)
    if case is not None and case.submission:
        raise Refusal("already_chosen", same=case.submission == submission)
    now_possible = _choice(tx, case, handle, here.policy)
    possible = {a.id: a for a in now_possible.accounts}
    wanted = list(dict.fromkeys(account_ids)) or list(possible)
    if not wanted or any(a not in possible for a in wanted):
        raise Refusal("no_accounts")
    jobs, chosen = [], []
    where = {"source": here.origin.source[:45], "device": here.origin.agent}
    for account_id in wanted:
        job_id = tx.new_id()
        sealed = tx.seals.seal(password.reveal().encode(), f"{PURPOSE}/{case_id}", job_id)
        body = {"case": case_id, "account": account_id, "handle": handle, **where}
        jobs.append(Job(job_id, "apply", body, tx.now, tx.now + JOB_LIFE, sealed))
        chosen.append((account_id, job_id))
    command = dc.ChoosePassword(tuple(chosen), submission, handle, here.policy.loose)
    case = tx.cases.act(now_possible.case, dc.decide(now_possible.case, command, tx.now))
    tx.outbox.put(jobs)
    tx.challenges.end_where("overtaken", case_id=case_id, method=EMAIL_LINK)
    tx.challenges.end_where("used", case_id=case_id)
    tx.people.bump_security(case.person_id)
    tx.sessions.end_all(case.person_id)
    return case
