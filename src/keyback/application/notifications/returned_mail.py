"""What is known of messages that did not arrive, and what it means for the contact they went to.

A contact whose messages come back is offered last and warns nobody, but it stays: whoever can make a mailbox refuse for
a while, by filling it, must not be able to take it away (ADR 49).
"""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports.proofs import PendingChallenge
from keyback.application.ports.returned_mail import ReturnedMail
from keyback.application.ports.storage import Job, Seals, Tx
from keyback.domain.people.person import Bounce, Contact
from keyback.domain.people.returned_mail import PURPOSE, make_token, read_token
from keyback.domain.recovery.events import Note

REFUSED = "refused_recipient"


def token_for(seals: Seals, contact: Contact, written_at: int) -> str:
    """What a mail to this contact carries."""
    return make_token(seals.derive(PURPOSE), contact.id, written_at) if contact.channel == "mail" else ""


def note_refused(tx: Tx, jobs: Sequence[tuple[Job, str]]) -> None:
    """Messages that will never be sent, with the reason; where that is the address, its contact is refused."""
    for job, code in jobs:
        contact_id = str(job.body.get("contact", ""))
        if code == REFUSED and contact_id and tx.contacts.bounced(contact_id, "refused", job.created_at):
            _record(tx, str(job.body.get("person", "")), contact_id, "refused", "")


def note_sent(tx: Tx, jobs: Sequence[Job]) -> None:
    """Messages that the next hop took."""
    tx.contacts.accepted([str(j.body["contact"]) for j in jobs if "contact" in j.body])


def note_reached(tx: Tx, contact: Contact) -> None:
    """Its owner has just answered by what was sent there."""
    if tx.contacts.reached(contact.id):
        tx.audit.record(contact.person_id, [Note("contact_reached", {"contact": contact.id})])


def undelivered(asked: Sequence[PendingChallenge]) -> Bounce:
    """What is known of the message with a question, for a page that has proven something: it never arrived."""
    found = ((a.challenge.created_at, c) for a in asked for c in a.holder.contacts if c.id == a.challenge.target)
    return next((c.bounce for asked_at, c in found if c.bounce and c.bounce_at >= asked_at), "")


def primary_undelivered(tx: Tx, person_id: str, asked_at: int) -> Bounce:
    """The same for the mail with the link that a page asked for at an instant (ms)."""
    own = tx.contacts.of_person(person_id)
    return next((c.bounce for c in own if c.role == "primary" and c.bounce and c.bounce_at >= asked_at), "")


def take(tx: Tx, news: Sequence[ReturnedMail]) -> int:
    """Believes what is said of mails of ours, and of no others; how many said something new."""
    keys = [tx.seals.derive(PURPOSE, kid) for kid in tx.seals.ids]
    new = 0
    for said in news:
        mail = next(filter(None, (read_token(keys, t, tx.now) for t in said.tokens)), None)
        contact = tx.contacts.many([mail.contact_id]).get(mail.contact_id) if mail else None
        if mail is None or contact is None:
            continue
        if said.fate == "arrived":
            if contact.bounce and contact.bounce_at <= mail.written_at:
                note_reached(tx, contact)
                new += 1
        elif tx.contacts.bounced(contact.id, "returned", mail.written_at):
            _record(tx, contact.person_id, contact.id, "returned", said.status)
            new += 1
    return new


def _record(tx: Tx, person_id: str, contact_id: str, how: str, status: str) -> None:
    facts = {"contact": contact_id, "how": how} | ({"status": status} if status else {})
    tx.audit.record(person_id, [Note("contact_bounced", facts)])
