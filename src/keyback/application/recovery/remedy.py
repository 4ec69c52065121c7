"""What a proven recovery puts right besides a password: a lock, a lost second step, a lost mailbox.

Each asks once more whether the page may (`evidence.enough`), acts, ends every session and pending question, and tells
every contact, those that were taken away too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from keyback.application.notifications.account_changes import notify_account_change
from keyback.application.ports.storage import Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.domain.challenges.challenge import EMAIL_LINK
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Account, Contact, Person
from keyback.domain.policy.rules import Journey
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case

What = Literal["unlocked", "factor_replaced", "mailbox_replaced"]


@dataclass(frozen=True, slots=True)
class OpenRecovery:
    """A recovery whose page may apply its remedy now.

    Args:
        elsewhere: accounts that sign in through somebody else, and so get no password by this recovery. They may have
            second steps in their system all the same.
        shut: accounts that their owner locked because somebody else got in: only a new password opens them.
    """

    case: Case
    person: Person
    accounts: tuple[Account, ...]
    shut: frozenset[str] = frozenset()
    elsewhere: tuple[Account, ...] = ()


def open_recovery(tx: Tx, handle: str, here: Here, journey: Journey | None = None) -> OpenRecovery:
    """The recovery of a page that may go on.

    Args:
        journey: what the page must have been asked for; None where it does not matter.

    Raises:
        Refusal: `not_found`, `wrong_state` for another journey, `not_enough_evidence` or `expired`; `own_sign_in`
            where what was shown is a sign-in to the only systems that it could be for.
    """
    intake = tx.intakes.get(handle)
    if intake is not None and journey not in (None, intake.journey):
        raise Refusal("wrong_state")
    case = tx.cases.get(intake.case_id) if intake and intake.case_id else None
    person = tx.people.lock(case.person_id) if case else None
    if case is None or person is None or person.state != "active":
        raise Refusal("not_found")
    accounts = tuple(tx.people.accounts([person.id]).get(person.id, ()))
    if not evidence.enough(tx, case, handle, person, accounts, here.policy):
        raise Refusal("not_enough_evidence")
    if tx.now >= case.expires_at:
        raise Refusal("expired")
    barred = evidence.only_its_own(tx, case, handle, person, accounts, here.policy)
    usable = tuple(a for a in accounts if a.id in case.accounts and a.state != "disabled")
    live = tuple(a for a in usable if a.system not in barred)
    if usable and not live:
        raise Refusal("own_sign_in")
    shut = frozenset(a.id for a in live if tx.counters.get(f"lockdown/{a.id}").total)
    others = (a for a in accounts if a.provider and a.state != "disabled" and a not in live and a.system not in barred)
    return OpenRecovery(case, person, live, shut, tuple(others))


def close_case(
    tx: Tx, o: OpenRecovery, handle: str, what: What, here: Here, detail: str = "", also: Sequence[Contact] = ()
) -> None:
    """The end of a recovery that sets no password: nothing that was pending is good for anything any more (C17)."""
    tx.cases.act(o.case, dc.decide(o.case, dc.Remedy(what, handle, here.policy.loose), tx.now))
    tx.challenges.end_where("overtaken", case_id=o.case.id, method=EMAIL_LINK)
    tx.challenges.end_where("stopped", person_id=o.person.id, but=EMAIL_LINK)
    tx.people.bump_security(o.person.id)
    tx.sessions.end_all(o.person.id)
    notify_account_change(tx, o.person.id, what, here.origin, detail=detail, also=also, data={"case": o.case.id})
