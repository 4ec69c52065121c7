"""Sending what the outbox holds: messages in batches, retried until they expire; SMS within their budgets.

A crash between commit and sending loses nothing (the row is there), one between sending and marking sends the same
bytes again under the same Message-ID (Q1, Q2, K9). Whoever was stopped past the end of its lease sends no more (Q24).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from types import MappingProxyType

from keyback.application.campaigns import run as campaign_run
from keyback.application.leases import BatchLease, Stopping, steady_clock, write_when_up
from keyback.application.notifications import other_recipients, returned_mail
from keyback.application.notifications.other_recipients import BAD_MESSAGE, TOO_LATE
from keyback.application.ports.channels import LEASE_OVER, Channel, Message, Receipt
from keyback.application.ports.messages import (
    CONTENTS,
    AskedMessage,
    ChangedMessage,
    ChooseAgainMessage,
    CodeMessage,
    ConfirmationMessage,
    Content,
    HoldMessage,
    LoginsMessage,
    MessageKind,
    RecoveryMessage,
    RotationMessage,
    SecurityContent,
    SystemMessage,
)
from keyback.application.ports.storage import Database, Job, Seals, Tx
from keyback.application.recovery import aftercare
from keyback.application.reports import deliveries
from keyback.application.signin import alerts
from keyback.application.throttling.mail_quota import asker_of, lately
from keyback.application.tracing import span
from keyback.domain.challenges import challenge as ch
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.person import Contact, Person
from keyback.domain.recovery.events import Note
from keyback.domain.recovery.results import SESSIONS_OPEN
from keyback.domain.secret import Secret
from keyback.domain.throttling.sms_quota import SpendRules, quotas, ruling
from keyback.domain.units import HOUR, MINUTE

LEASE = 2 * MINUTE
BACKOFF = (5_000, 15_000, 45_000, 120_000, 300_000, 600_000)
MAX_ATTEMPTS = 60
LINKS = ("recovery", "choose_again")  # which let their reader go on
CODES = ("mail_code", "sms_code", "im_code")
LOCKS = (ChangedMessage, SecurityContent)  # sent whatever became of their links, which lock the account
OPENED = frozenset({"done", "seen", "turned_on", "remind", "remind_blind"})  # news of a system that can be opened
PAID_FOR = frozenset({"reply_lost", "timeout"})  # may have been sent, so it may have cost
NO_SMS = SpendRules(())
NO_URLS: Mapping[str, str] = MappingProxyType({})


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
    urls: Mapping[str, str] = NO_URLS,
    kind: str = "mail",
    zone: tzinfo = UTC,
) -> Sent:
    """Claims up to `limit` messages, hands them to the channel, marks each by its receipt.

    Args:
        titles: system name to what people call it.
        jitter: 0 to 1, spreads retries.
        spend: where SMS may go and how many; what is over is dropped, which no page shows.
        clock: seconds, by which leases end.
        stopping: whether the process ends: then nothing waits for a database that is away.
        urls: system name to where people sign in to it.
        kind: of job; those of a campaign go beside the others, so that nobody's own message waits for it.
        zone: by whose clock days begin, for reports.
    """
    lease = BatchLease(clock(), LEASE, clock)
    jobs = await db.write(lambda tx: tx.outbox.claim(kind, limit, LEASE))
    if not jobs:
        return Sent()
    messages = await db.read(lambda tx: _messages(tx, jobs, titles, public_url, urls))
    void = [j for j in jobs if messages[j.id] is None]
    over = [(j, r) for j in jobs if isinstance(r := messages[j.id], Receipt)]
    ready = [(j, replace(message, lease=lease)) for j in jobs if isinstance(message := messages[j.id], Message)]
    counted: dict[str, Sequence[str]] = {}
    withheld: dict[str, int] = {}
    if any(m.channel == "sms" for _, m in ready):
        counted, dear = await db.write(lambda tx: _count(tx, ready, spend))
        over += [(j, dear[j.id]) for j, _ in ready if j.id in dear]
        ready = [(j, m) for j, m in ready if j.id not in dear]
        withheld = dict(Counter(r.code for r in dear.values()))
    with span("keyback.send") as traced:
        traced.set("keyback.count", len(ready))
        receipts = await _send(db, channel, lease, jobs, [m for _, m in ready])
    answered = [*over, *zip((j for j, _ in ready), receipts, strict=True)]
    unspent = [counted[j.id] for j, r in answered if j.id in counted and _cost_nothing(r)]
    channels = {j.id: m.channel for j, m in ready}
    done = await write_when_up(db, lambda tx: _mark(tx, answered, void, jitter, unspent, channels, zone), stopping)
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
    for job, message in ready:
        if message.channel != "sms":
            continue
        limits = quotas(message.to, str(job.body["person"]), spend, asker_of(job.body))
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
    channels: Mapping[str, str] = NO_URLS,
    zone: tzinfo = UTC,
) -> Sent:
    for keys in unspent:
        tx.counters.take_back(keys)
    over = [*void, *(j for j, r in answered if r.status == "sent")]
    sent = [j for j, r in answered if r.status == "sent"]
    campaign_run.note_sent(tx, sent, void)
    returned_mail.note_sent(tx, sent)
    tx.outbox.done(over)
    again = 0
    lost: Counter[str] = Counter()
    failed: list[Job] = []
    refused: list[tuple[Job, str]] = []
    for job, r in answered:
        if r.status == "sent":
            continue
        wait = int(BACKOFF[min(job.attempts, len(BACKOFF)) - 1] * (0.75 + jitter() / 2))
        if r.status == "temporary" and job.attempts < MAX_ATTEMPTS and tx.now + wait < job.expires_at:
            again += tx.outbox.retry(job, tx.now + wait, r.code)
            continue
        if _gone(tx, job, r):
            lost[r.code] += 1
            failed.append(job)
            refused.append((job, r.code))
            campaign_run.note_failed(tx, job)
            facts = {"letter": job.body.get("letter"), "contact": job.body.get("contact"), "code": r.code}
            tx.audit.record(str(job.body.get("person", "outbox")), [Note("letter_dropped", facts)])
    returned_mail.note_refused(tx, refused)
    deliveries.count(tx, sent, failed, channels, zone)
    dropped = lost.total()
    return Sent(len(answered) - again - dropped, again, dropped, lost=dict(lost))


def _gone(tx: Tx, job: Job, r: Receipt) -> bool:
    """Takes a message out of the way; whether it was still ours. One that nobody tried to send in its time, or that was
    over long ago, as after a backup was put back, is nothing that anybody has to look at: it is forgotten, not kept as
    dead."""
    last = "to" in job.body  # its address is all that is left of somebody who was erased
    if not last and (r != TOO_LATE or (job.attempts > 1 and tx.now - job.expires_at < HOUR)):
        return tx.outbox.give_up(job, r.code)
    held = tx.outbox.holds(job)
    tx.outbox.done([job])
    return held


def _messages(
    tx: Tx, jobs: Sequence[Job], titles: Mapping[str, str], public_url: str, urls: Mapping[str, str]
) -> Mapping[str, Message | Receipt | None]:
    """The message of each job; None for one that nobody needs any more (its challenge is over, its contact is gone), a
    receipt for one that cannot be written or is too late."""
    people_ids = sorted({str(j.body["person"]) for j in jobs if "person" in j.body})
    people = tx.people.people(people_ids)
    contacts = tx.contacts.many(sorted({str(j.body["contact"]) for j in jobs if "contact" in j.body}))
    challenges = tx.challenges.many([_challenge_of(j) for j in jobs if _challenge_of(j)])
    stopped = campaign_run.stopped(tx, jobs)
    out: dict[str, Message | Receipt | None] = {}
    for j in jobs:
        out[j.id] = None
        if j.body.get("campaign") in stopped:
            continue
        if "administrator" in j.body:
            out[j.id] = other_recipients.to_administrator(j, tx.now, titles)
            continue
        if "to" in j.body:
            out[j.id] = other_recipients.to_the_erased(j, tx.now)
            continue
        if "request" in j.body:
            out[j.id] = other_recipients.to_requester(tx, j)
            continue
        person, contact = people.get(str(j.body.get("person"))), contacts.get(str(j.body.get("contact")))
        if not {"person", "contact", "letter"} <= set(j.body):
            out[j.id] = BAD_MESSAGE
        if person is None or contact is None or contact.person_id != person.id:
            continue
        if not _may_get(contact, j, challenges) or not _still_due(tx, j):
            continue
        if tx.now >= j.expires_at:
            out[j.id] = TOO_LATE
            continue
        try:
            content = _content(tx.seals, j, challenges, titles, public_url, urls)
            if content is not None:
                out[j.id] = _message(tx.seals, j, person, contact, content)
        except (LookupError, TypeError, ValueError):  # one bad row never holds up the others (Q10)
            out[j.id] = BAD_MESSAGE
    return out


def _still_due(tx: Tx, job: Job) -> bool:
    """Whether a message that was planned still has anything to tell."""
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
        return contact.state == "confirmed" or letter not in LINKS
    p = challenges.get(_challenge_of(job))
    if p is None or p.target != contact.id or p.person_id != contact.person_id:
        return False
    return contact.state == ("pending" if p.purpose == "enrol" else "confirmed")


def _message(seals: Seals, job: Job, person: Person, contact: Contact, content: Content) -> Message:
    return Message(
        id=job.id,
        to=contact.address,
        name=contact.name if contact.role == "recovery" else person.name,
        locale=person.locale,
        written_at=job.created_at,
        expires_at=job.expires_at,
        content=content,
        channel=contact.channel,
        return_token=returned_mail.token_for(seals, contact, job.created_at),
    )


def _challenge_of(job: Job) -> str:
    """The id of the challenge that a message carries; empty where it carries none. Two names in what is stored."""
    return str(job.body.get("challenge") or job.body.get("prompt") or "")


def _content(
    seals: Seals,
    job: Job,
    challenges: Mapping[str, Challenge],
    titles: Mapping[str, str],
    public_url: str,
    urls: Mapping[str, str],
) -> Content | None:
    """What the row says, with the links and codes that no row holds; None once nobody needs it any more."""
    content = CONTENTS[MessageKind(str(job.body["letter"]))].read(job.body)
    match content:
        case LoginsMessage():
            logins = tuple((titles.get(s, s), u) for s, u in content.logins)
            unasked = tuple((titles.get(s, s), u) for s, u in content.unasked)
            content = replace(content, logins=logins, unasked=unasked)
        case RotationMessage() if content.system:
            content = replace(content, system=titles.get(content.system, content.system))
        case ChooseAgainMessage():
            content = replace(content, systems=tuple((titles.get(s, s), u) for s, u in content.systems))
        case ChangedMessage():
            done = {s for s, r in content.systems if r in ("done", SESSIONS_OPEN)}
            opens = tuple((titles.get(s, s), url) for s, url in urls.items() if s in done)
            content = replace(content, opens=opens, systems=tuple((titles.get(s, s), r) for s, r in content.systems))
        case SystemMessage():
            opened = content.what in OPENED and content.system in urls
            title = titles.get(content.system, content.system)
            content = replace(content, opens=((title, urls[content.system]),) if opened else (), system=title)
    if not _challenge_of(job):
        return content  # what cannot go without a link or code is refused by whoever composes it
    c = challenges.get(_challenge_of(job))
    if c is None or c.key_id not in seals.ids or (c.ended is not None and not isinstance(content, LOCKS)):
        return None
    key = seals.derive(ch.key_purpose(c.method), c.key_id)
    link = Secret(f"{public_url}/l/{ch.link_token(key, c)}")
    match content:
        case RecoveryMessage():
            return replace(
                content,
                link=link,
                stop_link=Secret(f"{public_url}/l/{ch.stop_token(key, c.nonce)}"),
                code=Secret(ch.mail_code(key, c.nonce)),
                link_expires_at=c.expires_at,
                code_expires_at=c.code_until,
            )
        case HoldMessage() | AskedMessage() | ChangedMessage() | SecurityContent():
            return replace(content, stop_link=link)
        case ConfirmationMessage() | ChooseAgainMessage():
            return replace(content, link=link, expires_at=c.expires_at)
        case CodeMessage():
            code = Secret(ch.short_code(key, c.nonce))
            return replace(content, code=code, expires_at=c.expires_at, purpose=c.purpose)
    return content
