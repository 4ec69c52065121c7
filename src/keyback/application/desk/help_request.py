"""Somebody for whom nothing else works asks the help desk for help, from the page of their recovery.

Nothing is looked up, so a page about nobody asks like any other, and operators answer it too. The address that is typed
says where to write and proves nothing. What operators do with a request is in `help_answers`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from keyback.application.notifications.notify import notify_requester
from keyback.application.origin import where
from keyback.application.ports.help_requests import HelpLine, HelpRequest
from keyback.application.ports.messages import HelpCodeMessage
from keyback.application.ports.storage import Intake, Tx
from keyback.application.throttling.mail_quota import NO_LIMIT, Ask, InstallationQuota, MailQuota
from keyback.domain import tokens
from keyback.domain.challenges.typed import digits
from keyback.domain.characters import is_shown
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.calls import DIGITS, HELP_CODE_LIFE, help_code
from keyback.domain.operators.plain_words import leak
from keyback.domain.people.mail_address import read_mail_address
from keyback.domain.people.person import Contact
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR, MINUTE

MAX_REASON = 1000
MAX_TEXT = 2000
MAX_LINES = 60
MAX_TRIES = 5  # wrong codes, whichever of them
RESEND = 2 * MINUTE
LINES_AN_HOUR = 10  # that one page writes
REOPEN_WITHIN = 30 * 24 * HOUR
MANY = 500  # up to where a place is counted
ENOUGH = 5  # answers before a usual time is named
USUAL = 20  # the newest answers that it is made of
Confirmed = Literal["confirmed", "wrong", "over"]


@dataclass(frozen=True, slots=True)
class Status:
    """What the page of a request shows.

    Args:
        place: in the queue, from 1; 0 where it doesn't wait.
        usual_ms: how long people waited lately for a first answer; 0 where too few did.
        tried: what was tried on this page, in words of ours: `mails`, `codes` and proofs that were shown.
        may_reopen: it was closed a short time ago, and never opened again.
    """

    request: HelpRequest
    now: int
    place: int = 0
    usual_ms: int = 0
    may_reopen: bool = False
    code_seconds_left: int = 0
    resend_in: int = 0
    names: tuple[tuple[str, str], ...] = ()


def look(tx: Tx, handle: str) -> Status | None:
    """Reads; None where this page has not asked."""
    q = tx.help_requests.get(handle)
    if q is None:
        return None
    place = 1 + tx.help_requests.ahead(q, MANY) if q.state == "open" else 0
    may_reopen = q.state == "closed" and not q.reopened and tx.now < q.closed_at + REOPEN_WITHIN
    waits = q.state == "unconfirmed"
    left = max(0, q.code_at + HELP_CODE_LIFE - tx.now) // 1000 if waits else 0
    names = tuple((o.id, o.name) for o in tx.operators.many(sorted({x.by for x in q.lines if x.by})).values())
    resend = -(-max(0, q.code_at + RESEND - tx.now) // 1000) if waits else 0
    return Status(q, tx.now, place, usual(tx) if place else 0, may_reopen, left, resend, names)


def usual(tx: Tx) -> int:
    """The median time (ms) to a first answer lately; 0 while too few were answered to say."""
    times = sorted(tx.help_requests.answer_times(USUAL))
    return times[len(times) // 2] if len(times) >= ENOUGH else 0


def ask(tx: Tx, intake: Intake, reason: str, contact: str, whole: InstallationQuota = NO_LIMIT) -> None:
    """Writes a request down, and a code to the address that was typed; the same whoever the page is about.

    Raises:
        BadInput: `reason_empty`, `reason_long` or what `leak` says; `not_mail`.
        Refusal: `asked` when this page has asked already; `over` when the recovery was stopped.
    """
    text = tidy(reason, MAX_REASON, "reason_empty", "reason_long")
    address = address_of(contact)
    if intake.state == "stopped":
        raise Refusal("over")
    q = HelpRequest(
        intake.handle, intake.subject, intake.identifier, address, text, intake.locale, code_at=tx.now,
        created_at=tx.now,
    )  # fmt: skip
    if not tx.help_requests.add(q):
        raise Refusal("asked")
    tx.audit.record(intake.handle, [Note("help_asked", {"intake_id": intake.handle})])
    _send_code(tx, q, intake, whole)


def address_of(contact: str) -> str:
    """A typed address as it is written to.

    Raises:
        BadInput: `not_mail`.
    """
    return read_mail_address(contact.strip()).spec


def _send_code(tx: Tx, q: HelpRequest, intake: Intake, whole: InstallationQuota) -> None:
    to = Contact("", "", "mail", q.contact, "backup")
    quota = MailQuota(tx, [wanted := Ask(f"page-{q.handle}", to, code=True, plain=True, source=intake.source)], whole)
    allowed = quota.allows(wanted)
    quota.settle()
    if not allowed:
        return  # nobody outside sees when a quota is used up
    asked = HelpCodeMessage(asker="stranger", asked_at=tx.now, **where(intake.source, intake.agent))
    notify_requester(tx, asked, q.handle, HELP_CODE_LIFE)


def send_again(tx: Tx, intake: Intake, whole: InstallationQuota = NO_LIMIT) -> bool:
    """Sends a new code, which ends the one before; False where it is too soon, or none is waited for."""
    q = tx.help_requests.get(intake.handle, lock=True)
    if q is None or q.state != "unconfirmed" or tx.now < q.code_at + RESEND or q.tries >= MAX_TRIES:
        return False
    q = replace(q, code_at=tx.now)
    tx.help_requests.save(q)
    _send_code(tx, q, intake, whole)
    return True


def count_try(tx: Tx, handle: str) -> bool:
    """Counts one code before it is compared, in a commit of its own; False when there is none left."""
    q = tx.help_requests.get(handle, lock=True)
    if q is None or q.state != "unconfirmed" or q.tries >= MAX_TRIES or tx.now >= q.code_at + HELP_CODE_LIFE:
        return False
    tx.help_requests.save(replace(q, tries=q.tries + 1))
    return True


def confirm(tx: Tx, handle: str, typed: str) -> Confirmed:
    """Takes the code, once it was counted: from now on the request waits for the desk."""
    q = tx.help_requests.get(handle, lock=True)
    if q is None or q.state != "unconfirmed" or tx.now >= q.code_at + HELP_CODE_LIFE:
        return "over"
    number = digits(typed, DIGITS)
    if number is None or not tokens.same(help_code(tx.seals.derive("help"), handle, q.code_at), number):
        return "wrong"
    tx.help_requests.save(replace(q, state="open", since=tx.now, created_at=tx.now))
    tx.audit.record(handle, [Note("help_confirmed", {"intake_id": handle})])
    return "confirmed"


def write(tx: Tx, handle: str, text: str) -> None:
    """A message of the person to the desk.

    Raises:
        BadInput: `text_empty`, `text_long`, or what `leak` says.
        Refusal: `not_found`; `over` when it is closed; `too_many` in one hour, or in all.
    """
    text = tidy(text, MAX_TEXT, "text_empty", "text_long")
    q = tx.help_requests.get(handle, lock=True)
    if q is None or q.state == "unconfirmed":
        raise Refusal("not_found")
    if q.state == "closed":
        raise Refusal("over")
    _count(tx, q)
    since = q.since if q.state == "open" else tx.now
    tx.help_requests.save(replace(q, state="open", since=since, lines=(*q.lines, HelpLine(tx.now, "", text))))
    tx.audit.record(handle, [Note("help_written", {"intake_id": handle})])


def reopen(tx: Tx, handle: str, text: str) -> None:
    """Opens a closed request again, once: another operator than the one who closed it looks at it (the appeal).

    Raises:
        BadInput, Refusal: as `write`; `over` when it isn't closed, was opened again before, or is too long ago.
    """
    text = tidy(text, MAX_TEXT, "text_empty", "text_long")
    q = tx.help_requests.get(handle, lock=True)
    if q is None:
        raise Refusal("not_found")
    if q.state != "closed" or q.reopened or tx.now >= q.closed_at + REOPEN_WITHIN:
        raise Refusal("over")
    _count(tx, q)
    lines = (*q.lines, HelpLine(tx.now, "", text))
    tx.help_requests.save(replace(q, state="open", since=tx.now, reopened=True, operator_id="", lines=lines))
    tx.audit.record(handle, [Note("help_reopened", {"intake_id": handle})])


def _count(tx: Tx, q: HelpRequest) -> None:
    key = f"ask/help/{q.handle}"
    if len(q.lines) >= MAX_LINES:
        raise Refusal("too_many")
    if tx.counters.add([key])[key].hour > LINES_AN_HOUR:
        tx.counters.take_back([key])
        raise Refusal("too_many")


def tidy(text: str, most: int, empty: str, long: str) -> str:
    """What can be shown of a text, and gives nothing away.

    Raises:
        BadInput: `empty` or `long`, or what `leak` says.
    """
    text = "\n".join(shown_of(line) for line in text.splitlines()).strip()
    if not text:
        raise BadInput(empty)
    if len(text) > most:
        raise BadInput(long)
    found = leak(text)
    if found:
        raise BadInput(found)
    return text


def shown_of(line: str) -> str:
    """What can be shown of one line."""
    return "".join(c for c in " ".join(line.split()) if is_shown(c))
