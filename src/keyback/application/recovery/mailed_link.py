"""Proving by the mailed link or code. Reading changes nothing; every acceptance is one transaction.

A link is accepted from the browser that started the recovery, or with the number that its page shows. Tries are counted
and committed before anything is compared, per person and not per recovery (D1, D2, D3).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from keyback.application.challenges import verify
from keyback.application.challenges.count import Counted
from keyback.application.notifications.link_endings import end_of_case, why_case_over
from keyback.application.notifications.notify import username_of
from keyback.application.ports.proofs import Enrolments, Proof, Target
from keyback.application.ports.storage import Database, Intake, Seals, Tx
from keyback.application.recovery import methods
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.methods import Answered, MethodAnswer
from keyback.application.throttling import proof_attempts
from keyback.domain import tokens
from keyback.domain.challenges import challenge as ch
from keyback.domain.challenges.challenge import EMAIL_LINK, Challenge
from keyback.domain.challenges.typed import digits
from keyback.domain.errors import Refusal
from keyback.domain.people.person import channel_of
from keyback.domain.policy.rules import Journey
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.events import Note
from keyback.domain.throttling.limits import RESEND_AFTER, TRIES_SHOWN

# Of `Ended`, those that a recovery's mail may have.
Problem = Literal[
    "expired", "used", "replaced", "overtaken", "unknown", "stopped", "wrong_number", "changed", "off", "over",
    "finished", "gone",
]  # fmt: skip
CodeAnswer = Literal["accepted", "done", "wrong_code", "no_tries", "not_a_code"] | Problem
CODE_ANSWERS: dict[str, CodeAnswer] = {"accepted": "accepted", "no_tries": "no_tries", "not_a_code": "not_a_code"}
PROBLEMS: dict[str, Problem] = {p: p for p in get_args(Problem)}
CODES = "code"  # under what wrong ones are counted


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
    found = tx.challenges.by_token(tokens.token_digest(token))
    if found is None:
        return LinkView("unknown")
    if found.challenge.purpose == "cancel" and found.challenge.case_id:
        return stop_view_of(tx, found.challenge)
    mailed = found.challenge.method == EMAIL_LINK and (found.stops or by_link)
    return view_of(tx, found.challenge if mailed else None, by_link=False)


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
        return LinkView(end_of_case(case))
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
    """A link that was used up in any way was used, to whoever reads the mail."""
    found = why_case_over(tx, c)
    return PROBLEMS.get(found, "used") if found else None


def _stop_problem(tx: Tx, c: Challenge) -> Problem | None:
    case = tx.cases.get(c.case_id)
    if case is None or case.state not in dc.STOPPABLE:
        return end_of_case(case)
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
    methods.add_evidence(tx, case, c, Target(contact.id, channel), intake, here, how)
    proof_attempts.reset(tx, CODES, c.person_id)
    return True


async def try_code(db: Database, proof: Proof, handle: str, typed: str, here: Here) -> tuple[CodeAnswer, int]:
    """Takes a typed code as proof. The same work, in the same statements, for a handle that matched nobody.

    Args:
        proof: the mailed link's, of the shelf.

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
    found, again = await verify.answer(db, proof, _Page(proof, handle, here, code=code), code)
    if again or found.code == "done":
        return "done", found.left
    return PROBLEMS.get(found.ended) or CODE_ANSWERS.get(found.code, "wrong_code"), found.left


@dataclass(frozen=True)
class _Page(methods.Page):
    """The page that a mailed code is typed on. Its tries are those of its request, whether or not a mail went out."""

    code: str = field(default="", repr=False)

    @property
    def counter(self) -> str:
        return CODES

    @property
    def how(self) -> str:
        return "code"

    def left(self, intake: Intake) -> int:
        return max(0, TRIES_SHOWN - intake.tries)

    def held_by(self, tx: Tx, ids: Sequence[str]) -> Mapping[str, Enrolments]:
        """Their mailboxes; nothing else can be meant."""
        people, contacts = tx.people.people(ids), tx.contacts.of_people(ids)
        usable = {i: tuple(c for c in contacts.get(i, ()) if c.usable_from <= tx.now) for i in ids}
        return {i: Enrolments(person, usable[i]) for i, person in people.items()}

    def spend_try(self, tx: Tx) -> int | None:
        return tx.intakes.count_try(self.handle, TRIES_SHOWN)

    def give_try_back(self, tx: Tx) -> None:
        tx.intakes.give_try_back(self.handle)

    def is_done(self, tx: Tx, intake: Intake, shown: int) -> bool:
        if intake.expires_at <= tx.now:
            raise Refusal("not_found")
        return bool(shown)

    def refuse(
        self, tx: Tx, intake: Intake | None, counted: Counted, answer: MethodAnswer, reason: str, stream: str = ""
    ) -> Answered:
        """Whoever has the mail is told why a code that is right has ended; it was no guess."""
        late = self._late(tx, counted.over)
        if late is None or intake is None:
            reason = "wrong_code" if reason == "wrong" else reason
            return super().refuse(tx, intake, counted, answer, reason, stream)
        self.take_back(tx, intake, counted)
        super().refuse(tx, intake, counted, answer, late, stream)
        return Answered(answer, counted.left + 1, ended=late)

    def _late(self, tx: Tx, over: Container[str]) -> Problem | None:
        late: Problem | None = None
        for c in tx.challenges.issued(self.handle, EMAIL_LINK):
            if c.key_id not in tx.seals.ids:
                continue  # its key was taken out of the ring, so nothing can be right any more
            key = tx.seals.derive(ch.key_purpose(c.method), c.key_id)
            # What follows is asked for the right code only, so a wrong one costs the same for every handle.
            if tokens.same(ch.mail_code(key, c.nonce), self.code) and c.person_id not in over:
                late = _problem(tx, c) or (None if tx.now < c.code_until else "expired")
        return late

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        """Whatever mailbox of theirs it went to."""
        own = [c for c in holder.contacts if c.channel == "mail" and c.role != "recovery"]
        return [Target(c.id, channel_of(c, own)) for c in own]


def _left(tx: Tx, handle: str) -> int:
    intake = tx.intakes.get(handle)
    return max(0, TRIES_SHOWN - intake.tries) if intake else 0


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
