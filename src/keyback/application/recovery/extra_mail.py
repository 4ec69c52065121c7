"""One mail beside the budget, for who shows that they read the mailbox (ADR 18).

A stranger can use up the mails of the hour, but with every one of them a link comes into the owner's mailbox. Opened in
the browser that holds the owner's own request, each such link may fetch one mail for that request.
"""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports.storage import Tx
from keyback.domain import tokens
from keyback.domain.challenges import challenge as ch
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.recovery.case import State
from keyback.domain.recovery.events import Note

OPEN = (State.PROVING, State.IN_REVIEW, State.ON_HOLD, State.APPROVED)


def own_request(tx: Tx, handles: Sequence[str]) -> str:
    """The first of these requests that somebody may still be waiting for; empty where there is none.

    Args:
        handles: what a browser holds, newest first. A request for user names is not among what counts: its mail has no
            link, so it never waits for one.
    """
    for handle in handles:
        intake = tx.intakes.get(handle)
        if intake is None or intake.state == "stopped" or intake.journey == "username":
            continue
        case = tx.cases.get(intake.case_id) if intake.case_id else None
        if (case.state in OPEN and tx.now < case.expires_at) if case else tx.now < intake.expires_at:
            return handle
    return ""


def can_fetch(c: Challenge | None, now: int) -> bool:
    """Whether a mailed link may still fetch a mail: once, within a day, also when it has expired or was replaced. Not
    after a wrong number: whoever was told one must not be one press away from the next mail."""
    return c is not None and c.fetched_at is None and c.ended != "wrong_number" and now < c.created_at + ch.FETCH_LIFE


def fetch(tx: Tx, token: str, handle: str) -> bool:
    """Queues a mail for the request `handle`, which the caller's browser holds; it goes to the person whose mailbox the
    link was read in, or nowhere.

    Returns:
        False when the link has fetched one before, or either is over; nothing has happened then.
    """
    c = tx.challenges.by_link(tokens.token_digest(token))
    if c is None or not can_fetch(c, tx.now):
        return False
    intake = tx.intakes.get(handle, lock=True)
    contact = tx.contacts.many([c.target]).get(c.target)
    if intake is None or intake.case_id is not None or not own_request(tx, [handle]):
        return False
    if contact is None or contact.state != "confirmed" or contact.person_id != c.person_id:
        return False
    if not tx.challenges.fetch(c.id) or not tx.intakes.fetch(handle, c.person_id):
        return False
    tx.audit.record(c.case_id, [Note("mail_fetched", {"challenge_id": c.id, "intake_id": handle})])
    return True
