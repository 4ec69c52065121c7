"""A recovery is canceled, by whoever asked for it or by its owner."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from keyback.application.notifications.notify import notify_contacts, username_of
from keyback.application.ports.messages import StoppedMessage
from keyback.application.ports.storage import Tx
from keyback.application.recovery.mailed_link import LinkView, lock_rows, stop_view_of, view_of
from keyback.domain import tokens
from keyback.domain.challenges.challenge import EMAIL_LINK
from keyback.domain.errors import Refusal
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.events import Note


def stop_by_requester(tx: Tx, handle: str) -> None:
    """The starter gives up: what was mailed for this handle ends. Others who joined the case are left alone."""
    intake = tx.intakes.get(handle, lock=True)
    if intake is None or not tx.intakes.stop(handle):
        return
    mailed = tx.challenges.issued(handle, EMAIL_LINK)
    for case_id in sorted({c.case_id for c in mailed}):
        lock_rows(tx, handle, case_id)
    for c in mailed:
        tx.challenges.end(c.id, "stopped")
    if intake.case_id:
        case = tx.cases.get(intake.case_id)
        if case and case.state in dc.STOPPABLE:
            tx.cases.act(case, dc.decide(case, dc.Cancel("requester"), tx.now))
            tx.challenges.end_where("stopped", case_id=case.id, method=EMAIL_LINK)


def stop_by_owner(tx: Tx, token: str, held: Collection[str] = ()) -> LinkView:
    """ "It wasn't me": stops what a mail was about, kills its links and tells every contact.

    Where another request of the same case is still open, this one alone ends (ADR 18). The whole case ends once
    somebody else's browser has proven something in it: then it may be the thief's.

    Args:
        token: of the recovery link or the stop link; both reached only the mailbox's owner.
        held: handles that the caller's browser holds.
    """
    found = tx.challenges.by_token(tokens.token_digest(token))
    if found is not None and found.challenge.purpose == "cancel" and found.challenge.case_id:
        view = stop_view_of(tx, found.challenge)
        if view.problem is None:
            cancel(tx, found.challenge.case_id, "owner")
        return view
    c = found.challenge if found is not None and found.challenge.method == EMAIL_LINK else None
    if c is not None:
        lock_rows(tx, c.handle, c.case_id)
    view = view_of(tx, c, by_link=False)
    if view.problem is not None or c is None:
        return view
    case = tx.cases.get(c.case_id)
    proven = {e.handle for e in case.evidence} if case else set()
    alone = (
        not any(x.handle != c.handle for x in tx.challenges.live(case_id=c.case_id, method=EMAIL_LINK)) and not proven
    )
    if alone or c.handle in proven or not proven <= set(held):
        cancel(tx, c.case_id, "owner")
        return view
    tx.challenges.end_where("stopped", handle=c.handle, person_id=c.person_id, method=EMAIL_LINK)
    tx.audit.record(c.case_id, [Note("request_stopped", {"intake_id": c.handle, "by": "owner"})])
    _notify(tx, c.person_id, "owner")
    return view


def cancel(tx: Tx, case_id: str, by: Literal["owner", "operator"], reason: str = "") -> None:
    """Cancels a case, ends its challenges and tells every contact.

    Raises:
        Refusal: `not_found`, or `wrong_state` when it is over or being applied.
    """
    case = tx.cases.get(case_id)
    if case is None:
        raise Refusal("not_found")
    tx.people.lock(case.person_id)
    tx.cases.act(case, dc.decide(case, dc.Cancel(by, reason), tx.now))
    tx.challenges.end_where("stopped", case_id=case.id)
    _notify(tx, case.person_id, by)


def _notify(tx: Tx, person_id: str, by: Literal["owner", "operator"]) -> None:
    notify_contacts(tx, person_id, StoppedMessage(username=username_of(tx, person_id), at=tx.now, by=by))
