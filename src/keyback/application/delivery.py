"""Sending what the outbox holds: letters in batches, retried until they expire; SMS within their budgets.

A crash between commit and sending loses nothing (the row is there), one between sending and marking sends the same
bytes again under the same Message-ID (Q1, Q2, K9). Whoever was stopped past the end of its lease sends no more (Q24).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keyback.application.leases import BatchLease, Stopping, steady_clock, write_when_up
from keyback.application.ports.channels import LEASE_OVER, Channel, Message, MessageKind, Receipt
from keyback.application.ports.storage import Database, Job, Seals, Tx
from keyback.application.recovery import aftercare
from keyback.application.signin import alerts
from keyback.application.throttling.mail_quota import asker_of, lately
from keyback.domain.challenges import challenge as ch
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.person import Contact, Person
from keyback.domain.recovery.events import Note
from keyback.domain.secret import Secret
from keyback.domain.throttling.sms_quota import SpendRules, quotas, ruling
from keyback.domain.units import MINUTE

LEASE = 2 * MINUTE
BACKOFF = (5_000, 15_000, 45_000, 120_000, 300_000, 600_000)
MAX_ATTEMPTS = 60
BAD_LETTER = Receipt("permanent", "bad_letter")
TOO_LATE = Receipt("permanent", "expired")
CODES = ("mail_code", "sms_code", "im_code")
CARRY = frozenset(
    {"recovery", "hold", "asked", "vouch", "invited", *CODES}
)  # nobody needs them once their challenge is over
PAID_FOR = frozenset({"reply_lost", "timeout"})  # may have been sent, so it may have cost
NO_SMS = SpendRules(())


@dataclass(frozen=True, slots=True)
class Sent:
    sent: int = 0
    again: int = 0
    dropped: int = 0
    withheld: Mapping[str, int] = field(default_factory=dict)  # SMS by the budget that was used up
    lost: Mapping[str, int] = field(default_factory=dict)  # those dropped, by reason


async def send_batch(
    db: Database,
    channel: Channel,
    titles: Mapping[str, str],
    public_url: str,
    jitter: Callable[[], float],
    limit: int = 100,
    spend: SpendRules = NO_SMS,
    clock: Callable[[], float] = steady_clock,
    stopping: Stopping = lambda: False,
) -> Sent:
    """Claims up to `limit` letters, hands them to the channel, marks each by its receipt.

    Args:
        titles: system name to what people call it.
        jitter: 0 to 1, spreads retries.
        spend: where SMS may go and how many; what is over is dropped, which no page shows.
        clock: seconds, by which leases end.
        stopping: whether the process ends: then nothing waits for a database that is away.
    """
    lease = BatchLease(clock(), LEASE, clock)
    jobs = await db.write(lambda tx: tx.outbox.claim("mail", limit, LEASE))
    if not jobs:
        return Sent()
    letters = await db.read(lambda tx: _letters(tx, jobs, titles, public_url))
    void = [j for j in jobs if letters[j.id] is None]
    over = [(j, r) for j in jobs if isinstance(r := letters[j.id], Receipt)]
    ready = [(j, replace(letter, lease=lease)) for j in jobs if isinstance(letter := letters[j.id], Message)]
    counted: dict[str, Sequence[str]] = {}
    withheld: dict[str, int] = {}
    if any(letter.channel == "sms" for _, letter in ready):
        counted, dear = await db.write(lambda tx: _count(tx, ready, spend))
        over += [(j, dear[j.id]) for j, _ in ready if j.id in dear]
        ready = [(j, letter) for j, letter in ready if j.id not in dear]
        withheld = dict(Counter(r.code for r in dear.values()))
    receipts = await _send(db, channel, lease, jobs, [letter for _, letter in ready])
    answered = [*over, *zip((j for j, _ in ready), receipts, strict=True)]
    unspent = [counted[j.id] for j, r in answered if j.id in counted and _cost_nothing(r)]
    done = await write_when_up(db, lambda tx: _mark(tx, answered, void, jitter, unspent), stopping)
    return replace(done, withheld=withheld)


async def _send(
    db: Database, channel: Channel, lease: BatchLease, jobs: Sequence[Job], ready: Sequence[Message]
) -> Sequence[Receipt]:
    """Sends what is still ours, and keeps it so meanwhile."""
    if lease.old():
        await lease.renew(db, jobs, LEASE)
    if lease.over():
        return [LEASE_OVER] * len(ready)
    async with lease.kept(db, jobs, LEASE):
        return await channel.send(ready)


def _count(
    tx: Tx, ready: Sequence[tuple[Job, Message]], spend: SpendRules
) -> tuple[dict[str, Sequence[str]], dict[str, Receipt]]:
    """Counts each SMS before it is sent, so that no crash sends uncounted ones; the counters of each, and a receipt for
    those that are over."""
    counted: dict[str, Sequence[str]] = {}
    dear: dict[str, Receipt] = {}
    for job, letter in ready:
        if letter.channel != "sms":
            continue
        limits = quotas(letter.to, str(job.body["person"]), spend, asker_of(job.body))
        keys = [q.key for q in limits]
        counts = tx.counters.add(keys)
        why = ruling([(q, *lately(counts[q.key], flow=q.why == "prefix_spent")) for q in limits])
        if why is None:
            counted[job.id] = keys
        else:
            dear[job.id] = Receipt("permanent", why)
            tx.counters.take_back(keys)
    return counted, dear


def _cost_nothing(r: Receipt) -> bool:
    return r.status == "temporary" and r.code not in PAID_FOR


def _mark(
    tx: Tx,
    answered: Sequence[tuple[Job, Receipt]],
    void: Sequence[Job],
    jitter: Callable[[], float],
    unspent: Sequence[Sequence[str]] = (),
) -> Sent:
    for keys in unspent:
        tx.counters.take_back(keys)
    over = [*void, *(j for j, r in answered if r.status == "sent")]
    tx.outbox.done(over)
    again = 0
    lost: Counter[str] = Counter()
    for job, r in answered:
        if r.status == "sent":
            continue
        wait = int(BACKOFF[min(job.attempts, len(BACKOFF)) - 1] * (0.75 + jitter() / 2))
        if r.status == "temporary" and job.attempts < MAX_ATTEMPTS and tx.now + wait < job.expires_at:
            again += tx.outbox.retry(job, tx.now + wait, r.code)
            continue
        if tx.outbox.give_up(job, r.code):
            lost[r.code] += 1
            facts = {"letter": job.body.get("letter"), "contact": job.body.get("contact"), "code": r.code}
            tx.audit.record(str(job.body.get("person", "outbox")), [Note("letter_dropped", facts)])
    dropped = lost.total()
    return Sent(len(answered) - again - dropped, again, dropped, lost=dict(lost))


def _letters(
    tx: Tx, jobs: Sequence[Job], titles: Mapping[str, str], public_url: str
) -> Mapping[str, Message | Receipt | None]:
    """The letter of each job; None for one that nobody needs any more (its challenge is over, its contact is gone), a
    receipt for one that cannot be written or is too late."""
    people_ids = sorted({str(j.body["person"]) for j in jobs if "person" in j.body})
    people = tx.people.people(people_ids)
    contacts = tx.contacts.many(sorted({str(j.body["contact"]) for j in jobs if "contact" in j.body}))
    challenges = tx.challenges.many([_challenge_of(j) for j in jobs if _challenge_of(j)])
    out: dict[str, Message | Receipt | None] = {}
    for j in jobs:
        out[j.id] = None
        person, contact = people.get(str(j.body.get("person"))), contacts.get(str(j.body.get("contact")))
        if not {"person", "contact", "letter"} <= set(j.body):
            out[j.id] = BAD_LETTER
        if person is None or contact is None or contact.person_id != person.id:
            continue
        if not _may_get(contact, j, challenges) or not _still_due(tx, j):
            continue
        if tx.now >= j.expires_at:
            out[j.id] = TOO_LATE
            continue
        try:
            facts = _facts(tx.seals, j, challenges, titles, public_url)
            if facts is not None:
                out[j.id] = _letter(j, person, contact, facts)
        except (LookupError, TypeError, ValueError):  # one bad row never holds up the others (Q10)
            out[j.id] = BAD_LETTER
    return out


def _still_due(tx: Tx, job: Job) -> bool:
    """Whether a letter that was planned still has anything to tell."""
    if "sign_in" in job.body:
        return not alerts.taken(tx, str(job.body["sign_in"]))
    return job.body.get("what") != "aftercare" or bool(aftercare.open_steps(tx, str(job.body["person"])))


def _may_get(contact: Contact, job: Job, challenges: Mapping[str, Challenge]) -> bool:
    """Whether a contact is told: secrets go to confirmed ones only, a code to the one it was made for (F2, F3).

    One that waits to be confirmed gets the code that confirms it, and nothing else.
    """
    letter = job.body.get("letter")
    if letter not in CODES:
        if letter == "invited":
            return contact.state == "pending"
        return contact.state == "confirmed" or letter != "recovery"
    p = challenges.get(_challenge_of(job))
    if p is None or p.target != contact.id or p.person_id != contact.person_id:
        return False
    return contact.state == ("pending" if p.purpose == "enrol" else "confirmed")


def _letter(job: Job, person: Person, contact: Contact, facts: Mapping[str, Any]) -> Message:
    return Message(
        id=job.id,
        kind=MessageKind(str(job.body["letter"])),
        to=contact.address,
        name=contact.name if contact.role == "recovery" else person.name,
        locale=person.locale,
        written_at=job.created_at,
        expires_at=job.expires_at,
        facts=facts,
        channel=contact.channel,
    )


def _challenge_of(job: Job) -> str:
    """The id of the challenge that a message carries; empty where it carries none. Two names in what is stored."""
    return str(job.body.get("challenge") or job.body.get("prompt") or "")


def _facts(
    seals: Seals,
    job: Job,
    challenges: Mapping[str, Challenge],
    titles: Mapping[str, str],
    public_url: str,
) -> dict[str, Any] | None:
    body = dict(job.body)
    kind = body.pop("letter")
    body.pop("prompt", None)
    wanted, key, link = _challenge_of(job), b"", Secret("")
    c = challenges.get(wanted)
    if kind in CARRY and not wanted:
        raise LookupError("no challenge")
    if wanted:
        if c is None or (c.ended is not None and kind in CARRY) or c.key_id not in seals.ids:
            return None
        key = seals.derive(ch.key_purpose(c.method), c.key_id)
        link = Secret(f"{public_url}/l/{ch.link_token(key, c)}")
    if kind == "recovery" and c is not None:
        body["link"] = link
        body["stop_link"] = Secret(f"{public_url}/l/{ch.stop_token(key, c.nonce)}")
        body["code"] = Secret(ch.mail_code(key, c.nonce))
        body["link_expires_at"], body["code_expires_at"] = c.expires_at, c.code_until
    elif kind in ("hold", "asked"):
        body["stop_link"] = link
    elif kind in ("account_changed", "signed_in", "moving", "changed"):
        if c is not None:
            body["stop_link"] = link
        if kind == "changed":
            body["systems"] = tuple((titles.get(s, s), r) for s, r in body["systems"])
            body["help_url"] = f"{public_url}/help#stop"
        body["account_url"] = f"{public_url}/account"
    elif kind in ("reminder", "tries"):
        body["account_url"] = f"{public_url}{body['path']}"
    elif kind in ("vouch", "invited") and c is not None:
        body["link"] = link
        body["expires_at"] = c.expires_at
    elif kind in CODES and c is not None:
        body["code"] = Secret(ch.short_code(key, c.nonce))
        body["expires_at"], body["purpose"] = c.expires_at, c.purpose
    elif kind == "logins":
        body["logins"] = tuple((titles.get(s, s), u) for s, u in body["logins"])
        body["sign_in_url"] = f"{public_url}/sign-in"
    return body
