"""Sending what the outbox holds: letters in batches, retried until they expire.

A crash between commit and sending loses nothing (the row is there), one between sending and marking sends the same
bytes again under the same Message-ID (Q1, Q2, K9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyback.application.ports import Channel, Letter, LetterKind, Receipt
from keyback.application.store import Database, Job, Seals, Tx
from keyback.domain import challenge as ch
from keyback.domain.events import Note
from keyback.domain.person import Contact, Person
from keyback.domain.prompt import Prompt, link_token
from keyback.domain.secret import Secret

LEASE = 2 * ch.MINUTE
BACKOFF = (5_000, 15_000, 45_000, 120_000, 300_000, 600_000)
MOST_ATTEMPTS = 60
BAD_LETTER = Receipt("permanent", "bad_letter")
TOO_LATE = Receipt("permanent", "expired")


@dataclass(frozen=True, slots=True)
class Sent:
    sent: int = 0
    again: int = 0
    dropped: int = 0


async def send_some(
    db: Database,
    channel: Channel,
    titles: Mapping[str, str],
    public_url: str,
    jitter: Callable[[], float],
    limit: int = 100,
) -> Sent:
    """Claims up to `limit` letters, hands them to the channel, marks each by its receipt.

    Args:
        titles: system name to what people call it.
        jitter: 0 to 1, spreads retries.
    """
    jobs = await db.write(lambda tx: tx.outbox.claim("mail", limit, LEASE))
    if not jobs:
        return Sent()
    letters = await db.read(lambda tx: _letters(tx, jobs, titles, public_url))
    void = [j for j in jobs if letters[j.id] is None]
    over = [(j, r) for j in jobs if isinstance(r := letters[j.id], Receipt)]
    ready = [(j, letter) for j in jobs if isinstance(letter := letters[j.id], Letter)]
    receipts = await channel.send([letter for _, letter in ready])
    answered = [*over, *zip((j for j, _ in ready), receipts, strict=True)]
    return await db.write(lambda tx: _mark(tx, answered, void, jitter))


def _mark(tx: Tx, answered: Sequence[tuple[Job, Receipt]], void: Sequence[Job], jitter: Callable[[], float]) -> Sent:
    over = [*void, *(j for j, r in answered if r.status == "sent")]
    tx.outbox.done(over)
    again = dropped = 0
    for job, r in answered:
        if r.status == "sent":
            continue
        wait = int(BACKOFF[min(job.attempts, len(BACKOFF)) - 1] * (0.75 + jitter() / 2))
        if r.status == "temporary" and job.attempts < MOST_ATTEMPTS and tx.now + wait < job.expires_at:
            again += tx.outbox.again(job, tx.now + wait, r.code)
            continue
        if tx.outbox.dead(job, r.code):
            dropped += 1
            facts = {"letter": job.body.get("letter"), "contact": job.body.get("contact"), "code": r.code}
            tx.audit.record(str(job.body.get("person", "outbox")), [Note("letter_dropped", facts)])
    return Sent(len(answered) - again - dropped, again, dropped)


def _letters(
    tx: Tx, jobs: Sequence[Job], titles: Mapping[str, str], public_url: str
) -> Mapping[str, Letter | Receipt | None]:
    """The letter of each job; None for one that nobody needs any more (its challenge is over, its contact is gone), a
    receipt for one that cannot be written or is too late."""
    people_ids = sorted({str(j.body["person"]) for j in jobs if "person" in j.body})
    people = tx.people.people(people_ids)
    contacts = tx.contacts.many(sorted({str(j.body["contact"]) for j in jobs if "contact" in j.body}))
    ids = [str(j.body["challenge"]) for j in jobs if "challenge" in j.body]
    challenges = tx.challenges.many(ids) if ids else {}
    key_ids = tx.challenges.key_ids(ids) if ids else {}
    prompts = tx.prompts.many([str(j.body["prompt"]) for j in jobs if "prompt" in j.body])
    out: dict[str, Letter | Receipt | None] = {}
    for j in jobs:
        out[j.id] = None
        person, contact = people.get(str(j.body.get("person"))), contacts.get(str(j.body.get("contact")))
        if not {"person", "contact", "letter"} <= set(j.body):
            out[j.id] = BAD_LETTER
        if person is None or contact is None or contact.person_id != person.id:
            continue
        if contact.state != "confirmed" and j.body.get("letter") == "recovery":
            continue
        if tx.now >= j.expires_at:
            out[j.id] = TOO_LATE
            continue
        try:
            facts = _facts(tx.seals, j, challenges, key_ids, prompts, titles, public_url)
            if facts is not None:
                out[j.id] = _letter(j, person, contact, facts)
        except (LookupError, TypeError, ValueError):  # one bad row never holds up the others (Q10)
            out[j.id] = BAD_LETTER
    return out


def _letter(job: Job, person: Person, contact: Contact, facts: Mapping[str, Any]) -> Letter:
    return Letter(
        id=job.id,
        kind=LetterKind(str(job.body["letter"])),
        to=contact.address,
        name=person.name,
        locale=person.locale,
        written_at=job.created_at,
        expires_at=job.expires_at,
        facts=facts,
    )


def _facts(
    seals: Seals,
    job: Job,
    challenges: Mapping[str, ch.Challenge],
    key_ids: Mapping[str, str],
    prompts: Mapping[str, Prompt],
    titles: Mapping[str, str],
    public_url: str,
) -> dict[str, Any] | None:
    body = dict(job.body)
    kind = body.pop("letter")
    if kind == "recovery":
        c = challenges.get(str(body["challenge"]))
        if c is None or c.ended is not None:
            return None
        key = seals.derive("challenge", key_ids[c.id])
        body["link"] = Secret(f"{public_url}/l/{ch.link_token(key, c.nonce)}")
        body["stop_link"] = Secret(f"{public_url}/l/{ch.stop_token(key, c.nonce)}")
        body["code"] = Secret(ch.mail_code(key, c.nonce))
        body["link_expires_at"], body["code_expires_at"] = c.link_expires_at, c.code_expires_at
    elif kind == "hold":
        p = prompts.get(str(body.pop("prompt")))
        if p is None or p.ended is not None or p.key_id not in seals.ids:
            return None
        token = link_token(seals.derive("prompt", p.key_id), p.nonce)
        body["stop_link"] = Secret(f"{public_url}/l/{token}")
    elif kind == "logins":
        body["logins"] = tuple((titles.get(s, s), u) for s, u in body["logins"])
        body["sign_in_url"] = f"{public_url}/sign-in"
    elif kind == "changed":
        body["systems"] = tuple((titles.get(s, s), r) for s, r in body["systems"])
        body["help_url"] = f"{public_url}/help#stop"
    return body
