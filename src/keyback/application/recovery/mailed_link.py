"""Proving by the mailed link or code. Reading changes nothing; every acceptance is one transaction.

A link is accepted from the browser that started the recovery, or with the number that its page shows. Tries are counted
and committed before anything is compared, per person and not per recovery (D1, D2, D3).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal

from keyback.application.notifications.notify import username_of
from keyback.application.origin import Origin
from keyback.application.ports.storage import Database, Intake, Seals, Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.application.throttling import duplicate_answers, proof_attempts
from keyback.domain import tokens
from keyback.domain.challenges import challenge as ch
from keyback.domain.challenges.challenge import EMAIL_LINK, Challenge
from keyback.domain.challenges.typed import digits
from keyback.domain.errors import Refusal
from keyback.domain.people.person import channel_of
from keyback.domain.policy.rules import Journey
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case, State
from keyback.domain.recovery.events import Note
from keyback.domain.throttling.limits import RESEND_AFTER, TRIES_SHOWN

# One word a cause. `changed`: the account since the mail, as by a sign-in; `off`: the account is; `over`: the
# recovery ended without success; `finished`: it went through; `gone`: the address was taken off the record.
Problem = Literal[
    "expired", "used", "replaced", "overtaken", "unknown", "stopped", "wrong_number", "changed", "off", "over",
    "finished", "gone",
]  # fmt: skip
CodeAnswer = Literal["accepted", "done", "wrong_code", "no_tries", "not_a_code"] | Problem


@dataclass(frozen=True, slots=True)
class LinkView:
    """What the link page may tell the reader of the mail. `problem` is None while the link can be used."""

    problem: Problem | None
    challenge: Challenge | None = None
    username: str = ""
    asked_at: int = 0
    source: str = ""
    agent: str = ""
    handle: str = ""
    journey: Journey = "password"


def look_at_link(tx: Tx, token: str) -> LinkView:
    """Reads; never changes anything, however often it is called (C5)."""
    return view_of(tx, tx.challenges.by_link(tokens.token_digest(token)), by_link=True)


def look_at_stop(tx: Tx, token: str, *, by_link: bool = False) -> LinkView:
    """What the stop link of a mail, or of the notice of a hold, would stop.

    Args:
        by_link: the token may also be the recovery link of the same mail, whose page leads here.
    """
    digest = tokens.token_digest(token)
    notice = tx.challenges.by_link(digest)
    if notice is not None and notice.purpose == "cancel" and notice.case_id:
        return stop_view_of(tx, notice)
    mailed = tx.challenges.by_stop(digest) or (tx.challenges.by_link(digest) if by_link else None)
    return view_of(tx, mailed, by_link=False)


def view_of(tx: Tx, c: Challenge | None, *, by_link: bool) -> LinkView:
    if c is None:
        return LinkView("unknown")
    intake = tx.intakes.get(c.handle)
    return LinkView(
        problem=_problem(tx, c) if by_link else _stop_problem(tx, c),
        challenge=c,
        username=username_of(tx, c.person_id),
        asked_at=intake.asked_at if intake else c.created_at,
        source=intake.source if intake else "",
        agent=intake.agent if intake else "",
        handle=c.handle,
        journey=intake.journey if intake else "password",
    )


def stop_view_of(tx: Tx, notice: Challenge) -> LinkView:
    case = tx.cases.get(notice.case_id)
    contact = tx.contacts.many([notice.target]).get(notice.target)
    if case is None or case.state not in dc.STOPPABLE:
        return LinkView(_end_of(case))
    if contact is None or contact.state != "confirmed":
        return LinkView("gone")
    if notice.ended is not None or notice.expires_at <= tx.now:
        return LinkView("expired")
    handle = next((h for h, _ in case.waiting), "") or next(iter(case.approved_for), "")
    intake = tx.intakes.get(handle)
    return LinkView(
        None,
        username=username_of(tx, case.person_id),
        asked_at=intake.asked_at if intake else case.opened_at,
        source=intake.source if intake else "",
        agent=intake.agent if intake else "",
    )


def _problem(tx: Tx, c: Challenge) -> Problem | None:
    case = tx.cases.get(c.case_id)
    if case is not None and case.state == State.CANCELLED:
        return "stopped"  # whatever else happened to the link before
    if c.ended is not None:
        return "used" if c.ended == "spent" or c.ended == "refused" else c.ended
    if tx.now >= c.expires_at:
        return "expired"
    person = tx.people.person(c.person_id)
    if person is None or person.state != "active":
        return "off"
    if person.security_version != c.security_version:
        return "changed"
    if case is None or case.state not in dc.JOINABLE:
        end = _end_of(case)
        return "overtaken" if end == "finished" else end
    return None if tx.now < case.expires_at else "expired"


def _end_of(case: Case | None) -> Problem:
    """How a case ended that nothing can be done with any more."""
    state = case.state if case else State.EXPIRED
    if state == State.CANCELLED:
        return "stopped"
    if state in (State.APPLYING, State.RECOVERED, State.CLOSED):
        return "finished"
    return "expired" if state == State.EXPIRED else "over"


def _stop_problem(tx: Tx, c: Challenge) -> Problem | None:
    case = tx.cases.get(c.case_id)
    if case is None or case.state not in dc.STOPPABLE:
        return _end_of(case)
    mine = (x for x in tx.challenges.issued(c.handle, EMAIL_LINK) if x.person_id == c.person_id)
    if not case.evidence and any(x.ended == "stopped" for x in mine):
        return "stopped"  # this request alone; while somebody has proven something, its owner may still stop it all
    return None


def accept_link(tx: Tx, token: str, *, held: bool, number: int | None, here: Here) -> LinkView:
    """Takes the link as proof, once.

    Args:
        here: where it was taken.
        held: the caller's browser started this recovery.
        number: the one that was typed, on another device.

    Returns:
        The view after it: `problem` is None when it was accepted; `wrong_number` ends all links of the request.

    Raises:
        Refusal: `number_needed` on another device without a number; nothing has happened.
    """
    c = tx.challenges.by_link(tokens.token_digest(token))
    if c is not None:
        lock_rows(tx, c.handle, c.case_id)
        c = tx.challenges.by_link(tokens.token_digest(token), lock=True)
    view = view_of(tx, c, by_link=True)
    if view.problem is not None or c is None:
        return view
    if not held and number != number_for(tx.seals, c.handle):
        if number is None:
            raise Refusal("number_needed")
        # Those of others who share the mailbox too: the number is one, and nobody gets a second guess at it.
        tx.challenges.end_where("wrong_number", handle=c.handle, method=EMAIL_LINK)
        tx.audit.record(c.case_id, [Note("proof_refused", {"challenge_id": c.id, "reason": "wrong_number"})])
        return LinkView("wrong_number", c, view.username, view.asked_at, view.source, view.agent, view.handle)
    if not _accept(tx, c, "same_browser" if held else "number", here):
        return view_of(tx, tx.challenges.by_link(tokens.token_digest(token)), by_link=True)
    return view


def lock_rows(tx: Tx, handle: str, case_id: str | None) -> None:
    """In the order of `locking`."""
    tx.intakes.get(handle, lock=True)
    if case_id:
        tx.cases.get(case_id)


def _accept(tx: Tx, c: Challenge, how: str, here: Here) -> bool:
    """Ends the challenge as used and those of other requests with it, and adds the evidence; True for one caller."""
    case, intake = tx.cases.get(c.case_id), tx.intakes.get(c.handle)
    contact = tx.contacts.many([c.target]).get(c.target)
    if case is None or intake is None or contact is None or not tx.challenges.end(c.id, "used"):
        return False
    channel = channel_of(contact, tx.people.contacts([c.person_id]).get(c.person_id, ()))
    tx.challenges.end_where("overtaken", case_id=case.id, method=EMAIL_LINK)
    evidence.add(tx, case, EMAIL_LINK, channel, c.id, intake, here, how, contact)
    proof_attempts.reset(tx, "code", c.person_id)
    return True


async def try_code(db: Database, handle: str, typed: str, here: Here) -> tuple[CodeAnswer, int]:
    """Takes a typed code as proof. The same work, in the same statements, for a handle that matched nobody.

    Returns:
        The answer and how many tries this page has left. A `Problem` says that the code is right and why it has ended,
        which costs no try. `done` says that the page had a code accepted already: this
        one was not looked at and counts for nothing.

    Raises:
        Refusal: `not_found` for a handle that does not exist or is over.
        StorageDown: nothing was compared; it fails closed (D13).
    """
    code = digits(typed, ch.CODE_DIGITS)
    if code is None:
        return "not_a_code", await db.read(lambda tx: _left(tx, handle))
    key = duplicate_answers.key_of(db, EMAIL_LINK, handle, answer=code)
    (answer, left), again = await duplicate_answers.first(
        key, lambda: _try_code(db, handle, code, here), lambda found: found[0] == "accepted"
    )
    return ("done" if again else answer), left


async def _try_code(db: Database, handle: str, code: str, here: Here) -> tuple[CodeAnswer, int]:
    counted = await db.write(lambda tx: _count(tx, handle, here.origin))
    if counted is None:
        return "done", await db.read(lambda tx: _left(tx, handle))
    if counted.left is None:
        return "no_tries", 0
    answer = await db.write(lambda tx: _compare(tx, handle, code, counted, here))
    return answer, counted.left + (answer not in ("accepted", "done", "wrong_code"))


@dataclass(frozen=True, slots=True)
class _Counted:
    """A code that was counted: tries left on the page (None: there was none left), who may be meant, and whose hidden
    limits are used up."""

    left: int | None
    people: frozenset[str] = frozenset()
    over: frozenset[str] = frozenset()


def _left(tx: Tx, handle: str) -> int:
    intake = tx.intakes.get(handle)
    return max(0, TRIES_SHOWN - intake.tries) if intake else 0


def _count(tx: Tx, handle: str, origin: Origin) -> _Counted | None:
    """First transaction: counts; None where this page had a code or its link accepted already."""
    intake = tx.intakes.get(handle)
    if intake is None or intake.expires_at <= tx.now:
        raise Refusal("not_found")
    if evidence.shown(tx, intake, EMAIL_LINK):
        return None
    tries = tx.intakes.count_try(handle, TRIES_SHOWN)
    if tries is None:
        return _Counted(None)
    people = frozenset(c.person_id for c in tx.challenges.issued(handle, EMAIL_LINK) if c.ended is None)
    over = proof_attempts.count(tx, "code", people, intake.subject.hex(), origin)
    return _Counted(TRIES_SHOWN - tries, people, over)


def _compare(tx: Tx, handle: str, code: str, counted: _Counted, here: Here) -> CodeAnswer:
    """Second transaction: compares with every live code of this handle, in constant time each."""
    right: Challenge | None = None
    late: CodeAnswer | None = None  # why a code that is right has ended
    intake = tx.intakes.get(handle, lock=True)
    if intake is not None and evidence.shown(tx, intake, EMAIL_LINK):
        tx.intakes.give_try_back(handle)
        proof_attempts.take_back(tx, "code", counted.people - counted.over, intake.subject.hex(), here.origin)
        return "done"
    mailed = tx.challenges.issued(handle, EMAIL_LINK)
    for c in mailed:
        if c.key_id not in tx.seals.ids:
            continue  # its key was taken out of the ring, so nothing can be right any more
        key = tx.seals.derive(ch.key_purpose(c.method), c.key_id)
        same = hmac.compare_digest(ch.mail_code(key, c.nonce).encode(), code.encode())
        # What follows is asked for the right code only, so a wrong one costs the same for every handle.
        if same and c.person_id not in counted.over:
            late = _problem(tx, c) or (None if tx.now < c.code_until else "expired")
            right = c if late is None else None
    if right is not None and _accept(tx, right, "code", here):
        return "accepted"
    tx.audit.record(handle, [Note("proof_refused", {"proof": EMAIL_LINK, "reason": late or "wrong_code"})])
    if late is not None and intake is not None:  # whoever has the mail is told what is the matter; it was no guess
        tx.intakes.give_try_back(handle)
        proof_attempts.take_back(tx, "code", counted.people - counted.over, intake.subject.hex(), here.origin)
    return late or "wrong_code"


def ask_again(tx: Tx, handle: str) -> bool:
    """Queues a new mail, at most every two minutes; False when it is too early or over."""
    return tx.intakes.ask_again(handle, tx.now - RESEND_AFTER)


def renew(tx: Tx, token: str) -> str | None:
    """A new mail to the same stored address in place of a link that is over; the handle it belongs to.

    Nothing about the person comes back; the two minutes between mails and the mail budget hold as ever.
    """
    c = tx.challenges.by_link(tokens.token_digest(token))
    if c is None or c.ended in ("wrong_number", "stopped"):
        return None  # its reader said that it was not them, or was told a number that was wrong
    tx.intakes.ask_again(c.handle, tx.now - RESEND_AFTER)
    return c.handle


def number_for(seals: Seals, handle: str) -> int:
    """The number that the waiting page shows."""
    return ch.match_number(seals.derive("number"), handle)


def seconds_to_resend(intake: Intake, now: int) -> int:
    return max(0, -(-(intake.asked_at + RESEND_AFTER - now) // 1000))


def seconds_of_code(intake: Intake, now: int) -> int:
    return max(0, (intake.asked_at + ch.CODE_LIFE - now) // 1000)
