"""What waits in the outbox, what failed and what was given up, as an operator sees it: kinds, ages and codes, no secret
and no address in full. A message that was given up can be sent again: it is composed again from what its row says, so a
link or code in it is the one that was made for it, and works no longer than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keyback.application.desk.cases import obstacle
from keyback.application.desk.operators import STREAM
from keyback.application.desk.sessions import Actor
from keyback.application.notifications.account_changes import masked, masked_name
from keyback.application.notifications.notify import NOTICE_LIFE
from keyback.application.ports.messages import CONTENTS
from keyback.application.ports.outbox_search import HEAPS, Heap, OutboxRow
from keyback.application.ports.storage import Tx
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.errors import Refusal
from keyback.domain.operators.roles import Permission
from keyback.domain.people.person import Contact, Person
from keyback.domain.recovery.events import Note

SHOWN = 50
COUNTED = 1000  # of each heap: beyond, a summary says that there are more
MESSAGES = ("mail", "bulk")
SENDS_AGAIN_AN_HOUR = 60  # by one operator
SENDS_AGAIN_A_DAY = 3  # of one message


@dataclass(frozen=True, slots=True)
class Line:
    """A job of the outbox.

    Args:
        what: kind of message; of other work, the kind of job.
        channel: how a message travels; empty for other work.
        to: whom it goes to, masked; empty where that is not known any more.
        person_id, name: whose it is, for operators who may find people; empty for others.
        since: when it was written down (ms).
        again: whether it can be sent again; `reason` is why not: not_a_message, over (its link or code).
    """

    id: str
    what: str
    channel: str
    to: str
    person_id: str
    name: str
    since: int
    next_at: int
    attempts: int
    code: str
    again: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sum:
    """Of one channel, or of one kind of other work: how many there are in a heap, and since when the oldest (ms)."""

    channel: str
    counts: Mapping[Heap, int]
    oldest: int


@dataclass(frozen=True, slots=True)
class OutboxPage:
    """`more`: where the next page begins; None at the end. `full`: heaps with more than were counted."""

    lines: tuple[Line, ...]
    sums: tuple[Sum, ...]
    full: frozenset[Heap]
    more: tuple[int, str] | None
    now: int


def look(tx: Tx, actor: Actor, heap: Heap, after: tuple[int, str] = (0, "")) -> OutboxPage:
    """One page of a heap, and how much lies in all of them."""
    found = list(tx.outbox.rows(heap, after, SHOWN + 1))
    shown = found[:SHOWN]
    last = shown[-1] if len(found) > SHOWN else None
    more = ((last.due_at if heap == "waiting" else last.created_at), last.id) if last else None
    sums, full = _sums(tx)
    return OutboxPage(tuple(_lines(tx, actor, shown)), sums, full, more, tx.now)


def _sums(tx: Tx) -> tuple[tuple[Sum, ...], frozenset[Heap]]:
    counts: dict[str, dict[Heap, int]] = {}
    oldest: dict[str, int] = {}
    full: set[Heap] = set()
    for heap in HEAPS:
        rows = tx.outbox.rows(heap, (0, ""), COUNTED + 1)
        if len(rows) > COUNTED:
            full.add(heap)
        contacts = _contacts(tx, rows[:COUNTED])
        for r in rows[:COUNTED]:
            name = _channel(r, contacts) or r.kind
            counts.setdefault(name, dict.fromkeys(HEAPS, 0))[heap] += 1
            oldest[name] = min(oldest.get(name, r.created_at), r.created_at)
    return tuple(Sum(n, counts[n], oldest[n]) for n in sorted(counts)), frozenset(full)


def _contacts(tx: Tx, rows: Sequence[OutboxRow]) -> Mapping[str, Contact]:
    return tx.contacts.many(sorted({str(r.body["contact"]) for r in rows if "contact" in r.body}))


def _channel(row: OutboxRow, contacts: Mapping[str, Contact]) -> str:
    """How a message travels; empty for other work."""
    if row.kind not in MESSAGES:
        return ""
    contact = contacts.get(str(row.body.get("contact")))
    return contact.channel if contact else str(row.body.get("channel", "mail"))


def _lines(tx: Tx, actor: Actor, rows: Sequence[OutboxRow]) -> list[Line]:
    contacts, challenges = _contacts(tx, rows), tx.challenges.many([c for r in rows if (c := _challenge_of(r))])
    people: Mapping[str, Person] = {}
    if actor.operator.may(Permission.PEOPLE_VIEW):
        people = tx.people.people(sorted({str(r.body["person"]) for r in rows if "person" in r.body}))
    out = []
    for r in rows:
        person, reason = people.get(str(r.body.get("person"))), _reason(r, challenges, tx.now)
        out.append(
            Line(
                r.id,
                _what(r),
                _channel(r, contacts),
                _to(tx, r, contacts),
                person.id if person else "",
                person.name if person else "",
                r.created_at,
                r.due_at,
                r.attempts,
                r.code,
                r.state == "dead" and not reason,
                reason if r.state == "dead" else "",
            )
        )
    return out


def _what(row: OutboxRow) -> str:
    kind = str(row.body.get("letter", ""))
    return kind if row.kind in MESSAGES and kind in {k.value for k in CONTENTS} else row.kind


def _to(tx: Tx, row: OutboxRow, contacts: Mapping[str, Contact]) -> str:
    contact = contacts.get(str(row.body.get("contact")))
    if contact:
        return masked(contact)
    if "request" in row.body:
        asked = tx.help_requests.get(str(row.body["request"]))
        return masked_name(asked.contact) if asked else ""
    return masked_name(str(row.body.get("administrator") or row.body.get("to") or ""))


def _challenge_of(row: OutboxRow) -> str:
    """The id of the challenge that a message carries; two names in what is stored."""
    return str(row.body.get("challenge") or row.body.get("prompt") or "")


def _reason(row: OutboxRow, challenges: Mapping[str, Challenge], now: int) -> str:
    """What keeps a message from being sent again; empty for nothing."""
    if row.kind not in MESSAGES or row.code == "bad_letter":
        return "not_a_message"
    return "" if _until(row, challenges, now) > now else "over"


def _until(row: OutboxRow, challenges: Mapping[str, Challenge], now: int) -> int:
    """Until when (ms) it is worth sending: with a link or code as long as that lives, else as long as at first."""
    carried = _challenge_of(row)
    if carried:
        c = challenges.get(carried)
        return 0 if c is None or c.ended is not None else min(c.expires_at, now + NOTICE_LIFE)
    if row.body.get("letter") == "help_code":
        return row.expires_at
    return now + min(row.expires_at - row.created_at, NOTICE_LIFE)


def send_again(tx: Tx, actor: Actor, job_id: str) -> None:
    """Has a message that was given up sent once more, to where it went before.

    Raises:
        Refusal: `not_found`; `wrong_state` when it is not given up any more; `not_a_message`, or `over` for a link or
            code; `yourself` or `rank` where it is to somebody on whom this operator may not act; `too_many` in an hour,
            or of this message in a day.
    """
    me, row = actor.operator.id, tx.outbox.row(job_id)
    if row is None:
        raise Refusal("not_found")
    person = tx.people.person(str(row.body["person"])) if "person" in row.body else None
    stopped = obstacle(tx, actor.operator, person) if person else ""
    if stopped:
        raise Refusal(stopped)
    if row.state != "dead":
        raise Refusal("wrong_state")
    challenges = tx.challenges.many([c for c in [_challenge_of(row)] if c])
    reason = _reason(row, challenges, tx.now)
    if reason:
        raise Refusal(reason)
    keys = [f"op/g/again/{me}", f"op/g/again/of/{row.id}"]
    counts = tx.counters.add(keys)
    if counts[keys[0]].hour > SENDS_AGAIN_AN_HOUR or counts[keys[1]].day > SENDS_AGAIN_A_DAY:
        raise Refusal("too_many")
    if not tx.outbox.revive(row.id, _until(row, challenges, tx.now)):
        raise Refusal("wrong_state")
    told = {"operator": me, "job": row.id, "letter": _what(row), "code": row.code}
    tx.audit.record(person.id if person else STREAM, [Note("message_sent_again", told)])
