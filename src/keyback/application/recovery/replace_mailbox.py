"""A lost mailbox is replaced, once the case allows it."""

from __future__ import annotations

from dataclasses import replace

from keyback.application.challenges.count import allowed
from keyback.application.challenges.issue import issue
from keyback.application.notifications.notify import as_job, username_of
from keyback.application.origin import where
from keyback.application.ports.messages import MailCodeMessage
from keyback.application.ports.storage import Tx
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.remedy import OpenRecovery, close_case, open_recovery
from keyback.application.showing import Fits, anything
from keyback.application.throttling.mail_quota import Ask, may_send
from keyback.domain import tokens
from keyback.domain.challenges.challenge import SHORT_LIFE, key_purpose, short_code
from keyback.domain.errors import Refusal
from keyback.domain.people.mail_address import read_mail_address
from keyback.domain.people.pasted import pasted
from keyback.domain.people.person import Contact, canonicalize
from keyback.domain.throttling.limits import MAILS_PER_HOUR


def other_mailboxes(tx: Tx, person_id: str) -> tuple[Contact, ...]:
    """Confirmed addresses that could take the place of the lost one."""
    own = tx.people.contacts([person_id]).get(person_id, ())
    return tuple(c for c in own if c.channel == "mail" and c.role == "backup" and c.usable_from <= tx.now)


def start_mailbox(tx: Tx, handle: str, address: str, here: Here) -> str:
    """Mails a code to a new address, which is used for nothing before it came back (N-R7); the challenge's id.

    Raises:
        BadInput: it cannot be a mail address.
        Refusal: as `opened`; `known` for one that is on record already, `too_many` codes. An address that got too many,
            whoever had them sent, gets no further one, and nothing tells so.
    """
    o = open_recovery(tx, handle, here, "mailbox")
    address = pasted(address)
    canonicalize(address)  # what cannot be an identifier is no address either
    read_mail_address(address)
    contact = Contact(tx.new_id(), o.person.id, "mail", address, "backup", "pending", "person", added_at=tx.now)
    allowed = may_send(tx, Ask(o.person.id, contact, "proven", code=True, typed=True))
    # Fewer than whoever is signed in gets: a recovery needs one.
    if allowed == "person" or tx.counters.get(f"mail/new/{o.person.id}").hour > MAILS_PER_HOUR:
        raise Refusal("too_many")
    if not tx.contacts.add(contact):
        raise Refusal("known")
    tx.challenges.end_where("replaced", person_id=o.person.id, method="new_mailbox")
    asked = issue(tx, o.person, "enrol", "new_mailbox", SHORT_LIFE, handle=handle, case_id=o.case.id, target=contact.id)
    if allowed == "yes":
        code = MailCodeMessage(
            asker="proven",
            username=username_of(tx, o.person.id),
            asked_at=tx.now,
            **where(here.origin.source, ""),
        )
        tx.outbox.put([as_job(tx, code, contact, asked.expires_at, challenge=asked.id)])
    return asked.id


def waiting_mailbox(tx: Tx, handle: str) -> Contact | None:
    """The new address whose code this page waits for."""
    live = [p for p in tx.challenges.issued(handle, "new_mailbox") if p.waits(tx.now)]
    return tx.contacts.many([live[-1].target]).get(live[-1].target) if live else None


def confirm_mailbox(tx: Tx, handle: str, typed: str, here: Here, fits: Fits = anything) -> bool:
    """Takes the code of the new address and puts it in place of the lost one; False for a wrong code.

    Args:
        fits: whether the address whose code is waited for is the one that was shown.

    Raises:
        Refusal: as `opened`; `over` when no code is waited for, `wrong_state` when it is that of another address.
    """
    o = open_recovery(tx, handle, here, "mailbox")
    live = [p for p in tx.challenges.issued(handle, "new_mailbox") if p.waits(tx.now)]
    new = tx.contacts.many([live[-1].target]).get(live[-1].target) if live else None
    if new is not None and not fits(new.address):
        raise Refusal("wrong_state")
    if not live or not allowed(tx, f"new_mailbox/{o.person.id}"):
        raise Refusal("over")
    p = live[-1]
    digits = "".join(c for c in typed if not c.isspace() and c != "-")
    if p.key_id not in tx.seals.ids or not tokens.same(
        short_code(tx.seals.derive(key_purpose(p.method), p.key_id), p.nonce), digits
    ):
        return False
    if not tx.challenges.end(p.id, "used") or not tx.contacts.confirm(p.target, tx.now):
        raise Refusal("over")
    _move(tx, o, handle, p.target, here)
    return True


def choose_mailbox(tx: Tx, handle: str, contact_id: str, here: Here) -> None:
    """Puts an address that was confirmed long ago in place of the lost one.

    Raises:
        Refusal: as `opened`; `not_found` for an address that is not the person's.
    """
    o = open_recovery(tx, handle, here, "mailbox")
    if contact_id not in {c.id for c in other_mailboxes(tx, o.person.id)}:
        raise Refusal("not_found")
    _move(tx, o, handle, contact_id, here)


def _move(tx: Tx, o: OpenRecovery, handle: str, contact_id: str, here: Here) -> None:
    own = tx.people.contacts([o.person.id]).get(o.person.id, ())
    lost = [c for c in own if c.channel == "mail" and c.role == "primary"]
    for c in lost:
        tx.contacts.remove(c.id)
    tx.contacts.make_primary(contact_id)
    new = tx.contacts.many([contact_id])[contact_id]
    local, _, domain = new.address.rpartition("@")
    told = [replace(c, state="removed") for c in lost]
    close_case(tx, o, handle, "mailbox_replaced", here, f"{local[:1]}•••@{domain}", told)
