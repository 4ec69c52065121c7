"""What changes about how an account is protected: recorded, and told to everybody who was a contact before (N-R12, F1).

Each notice has a link of its own by which its reader locks the account ("this wasn't me"). A contact that was added
lately has none: who planted it must not be able to undo what the owner does. One that was taken away has it for as long
as what a thief changes can be taken back: it may have been the owner's, or that of somebody they no longer trust.
"""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.notifications.notify import username_of
from keyback.application.notifications.stop_link import stop_link
from keyback.application.origin import Origin
from keyback.application.ports.storage import Job, Tx
from keyback.domain.people.person import Contact, Person
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

LETTER = "account_changed"
METHOD = "account"  # of the challenges behind these links
LETTER_LIFE = 3 * 24 * HOUR
LINK_LIFE = 7 * 24 * HOUR
DAYS_BACK = 72 * HOUR  # what a lockdown may take back
GONE_LINK_LIFE = DAYS_BACK  # of a contact that was taken away


def notify_account_change(
    tx: Tx,
    person_id: str,
    what: str,
    origin: Origin,
    *,
    detail: str = "",
    also: Sequence[Contact] = (),
    but: str = "",
    data: dict[str, object] | None = None,
) -> None:
    """Records a change and tells every contact.

    Args:
        what: a code, such as `totp_added`; the letters have a sentence for each.
        detail: masked address or the owner's own label.
        also: contacts that are confirmed no longer, such as the one just removed.
        but: id of a contact that is not told, such as the one just added.
        data: more for the audit log.
    """
    where = record(tx, person_id, what, origin, data)
    send_notice(tx, person_id, what, {**where, "detail": detail}, also=also, but=but)


def record(
    tx: Tx, person_id: str, what: str, origin: Origin, data: dict[str, object] | None = None
) -> dict[str, object]:
    """Records a change without telling anybody; where it was made, in words for a letter."""
    where: dict[str, object] = {"source": origin.source[:45], "device": origin.agent}
    tx.audit.record(person_id, [Note(what, {**(data or {}), **where})])
    return where


def send_notice(
    tx: Tx, person_id: str, what: str, facts: dict[str, object], *, also: Sequence[Contact] = (), but: str = ""
) -> None:
    """One letter to each contact, with a link that locks the account."""
    person = tx.people.person(person_id)
    contacts, gone = [*tx.people.contacts([person_id]).get(person_id, ()), *also], {c.id for c in also}
    if person is None:
        return
    body = {
        "letter": LETTER,
        "person": person_id,
        "username": username_of(tx, person_id),
        "what": what,
        "at": tx.now,
        "detail": "",
        "source": "",
        "device": "",
        **facts,
    }
    jobs = []
    for c in contacts:
        if c.id == but:
            continue
        more = link_of(tx, person, c, GONE_LINK_LIFE if c.id in gone else LINK_LIFE)
        jobs.append(Job(tx.new_id(), "mail", {**body, "contact": c.id, **more}, tx.now, tx.now + LETTER_LIFE))
    tx.outbox.put(jobs)


def link_of(tx: Tx, person: Person, contact: Contact, life: int = LINK_LIFE) -> dict[str, object]:
    """What a notice to this contact gets beside its facts: a link that locks the account, if it may have one."""
    return {"prompt": lock_link(tx, person, contact.id, life)} if trusted(contact, tx.now) else {}


def trusted(contact: Contact, now: int) -> bool:
    """Whether a contact was ever confirmed, and has been there long enough to stop things."""
    return contact.state != "pending" and contact.usable_from <= now


def lock_link(tx: Tx, person: Person, contact_id: str, life: int) -> str:
    """A link by which the reader of one contact locks the account; the id of its challenge."""
    link = stop_link(tx, person, METHOD, tx.now + life, target=contact_id)
    tx.challenges.issue([link])
    return link.id


def masked(contact: Contact) -> str:
    """A contact as a hint to its owner, or to another of their contacts."""
    address = contact.address
    if contact.channel == "sms":
        return f"{address[:3]} ••• {address[-2:]}"
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}•••{at}{domain}" if at else f"{address[:1]}•••"
