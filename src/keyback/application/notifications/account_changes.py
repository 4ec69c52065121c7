"""What changes about how an account is protected: recorded, and told to everybody who was a contact before (N-R12, F1).

Each notice has a link of its own by which its reader locks the account ("this wasn't me"). A contact that was added
lately has none: who planted it must not be able to undo what the owner does. One that was taken away has it for as long
as what a thief changes can be taken back: it may have been the owner's, or that of somebody they no longer trust.
"""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.notifications.notify import contacts_of, notify, username_of
from keyback.application.notifications.stop_link import stop_link
from keyback.application.origin import Origin
from keyback.application.ports.messages import AccountChangedMessage
from keyback.application.ports.storage import Tx
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.person import Contact, Person
from keyback.domain.people.phone import is_e164, shown
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

METHOD = "account"  # of the challenges behind these links
LINK_LIFE = 7 * 24 * HOUR
DAYS_BACK = 72 * HOUR  # what a lockdown may take back
GONE_LINK_LIFE = DAYS_BACK  # of a contact that was taken away
NOBODY = Origin("", "")  # no browser of anybody's


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
        what: a code, such as `totp_added`; the messages have a sentence for each.
        detail: masked address or the owner's own label.
        also: contacts that are confirmed no longer, such as the one just removed.
        but: id of a contact that is not told, such as the one just added.
        data: more for the audit log.
    """
    record(tx, person_id, what, origin, data)
    send_notice(tx, person_id, what, origin, detail=detail, also=also, but=but)


def record(tx: Tx, person_id: str, what: str, origin: Origin, data: dict[str, object] | None = None) -> None:
    """Records a change without telling anybody."""
    tx.audit.record(person_id, [Note(what, {**(data or {}), **origin.where})])


def send_notice(
    tx: Tx,
    person_id: str,
    what: str,
    origin: Origin = NOBODY,
    *,
    detail: str = "",
    also: Sequence[Contact] = (),
    but: str = "",
) -> None:
    """One message to each contact, with a link that locks the account; records nothing."""
    person = tx.people.person(person_id)
    if person is None:
        return
    told = AccountChangedMessage(
        username=username_of(tx, person_id), what=what, at=tx.now, detail=detail, **origin.where
    )
    gone = {c.id for c in also}

    def lock(c: Contact) -> Challenge | None:
        return lock_link(tx, person, c, GONE_LINK_LIFE if c.id in gone else LINK_LIFE)

    contacts = [c for c in (*contacts_of(tx, person_id), *also) if c.id != but]
    notify(tx, told, contacts, link_for=lock)


def trusted(contact: Contact, now: int) -> bool:
    """Whether a contact was ever confirmed, and has been there long enough to stop things."""
    return contact.state != "pending" and contact.usable_from <= now


def lock_link(tx: Tx, person: Person, contact: Contact, life: int = LINK_LIFE) -> Challenge | None:
    """A link by which the reader of one contact locks the account, not issued yet; None where it is not `trusted`."""
    return stop_link(tx, person, METHOD, tx.now + life, target=contact.id) if trusted(contact, tx.now) else None


def masked(contact: Contact) -> str:
    """A contact as a hint to its owner, or to another of their contacts."""
    address = contact.address
    return f"{address[:3]} ••• {address[-2:]}" if contact.channel == "sms" else masked_name(address)


def masked_name(name: str) -> str:
    """A user name or address as a hint."""
    if is_e164(name):
        return shown(name)
    local, at, domain = name.rpartition("@")
    return f"{local[:1]}•••{at}{domain}" if at else f"{name[:1]}•••" if name else ""
