"""Contacts that a signed-in person keeps: a backup mailbox, a phone, a work chat, somebody who vouches.

Nothing is used before it was confirmed: an address by the code sent to it (N-R7, F2), another person by their own word
(N-R8). A confirmed one is told about everything at once and may recover after 72 hours (F1). Codes go to the stored
address of the contact that the challenge names; no request ever carries an address to send to (F3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from keyback.application.challenges import verify
from keyback.application.challenges.count import Counted, allowed
from keyback.application.challenges.issue import issue
from keyback.application.challenges.verify import FreshCode
from keyback.application.enrolment import reminders
from keyback.application.notifications.account_changes import masked, notify_account_change
from keyback.application.notifications.notify import as_job, username_of
from keyback.application.origin import Origin, device_words
from keyback.application.people import address_changes
from keyback.application.ports.messages import (
    CodeMessage,
    Content,
    ImCodeMessage,
    InvitationMessage,
    MailCodeMessage,
    SmsCodeMessage,
)
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Proof, Target, Verdict
from keyback.application.ports.storage import Database, Tx
from keyback.application.throttling.mail_quota import Ask, may_send
from keyback.domain.challenges.challenge import CONTACT_LIFE, SHORT_LIFE, Challenge, key_purpose
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.people.mail_address import read_mail_address
from keyback.domain.people.pasted import pasted
from keyback.domain.people.person import Contact, ContactChannel, Person, canonicalize
from keyback.domain.people.phone import e164
from keyback.domain.policy.rules import Policy
from keyback.domain.recovery.events import Note

Kind = Literal["mail", "sms", "im", "helper"]
PROOF_OF: Mapping[Kind, str] = {
    "mail": "backup_email", "sms": "sms_code", "im": "im_message", "helper": "recovery_contact",
}  # fmt: skip
CODE_OF: Mapping[Kind, type[CodeMessage]] = {"mail": MailCodeMessage, "sms": SmsCodeMessage, "im": ImCodeMessage}
WORD_OF: Mapping[Kind, str] = {"mail": "mail", "sms": "phone", "im": "im", "helper": "helper"}
MAX_CONTACTS = 5  # of each kind
PER_COLLEAGUE: Final = Policy().per_colleague
IM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}\Z")
INVITED = "recovery_contact"
ConfirmAnswer = Literal["confirmed", "wrong", "not_a_code", "no_tries"]


def kind_of(contact: Contact) -> Kind:
    return "helper" if contact.role == "recovery" else contact.channel


def read_address(kind: Kind, typed: str, region: str = "") -> str:
    """The one form of an address.

    Raises:
        BadInput: of `pasted`; `not_mail`, `phone_not_understood`, `phone_without_messages` or `not_im`.
    """
    text = typed.strip()
    if kind == "sms":
        return e164(text, region)
    if kind == "im":
        text = pasted(text)
        if not IM_ID.match(text):
            raise BadInput("not_im")
        return text
    text = pasted(text)
    canonicalize(text)
    read_mail_address(text)
    return text


def start(
    tx: Tx, person: Person, kind: Kind, address: str, name: str, origin: Origin, per_colleague: int = PER_COLLEAGUE
) -> str:
    """Writes a contact down and sends it what confirms it; the contact's id.

    Args:
        address: from `read_address`.
        name: of somebody who is to vouch; empty otherwise.

    Raises:
        Refusal: `known`, `own_address`, `too_many`, `too_many_people` for somebody who confirms for many already, or
            `too_often` when codes were asked for without end.
    """
    tx.people.lock(person.id)
    mine = tx.contacts.of_person(person.id, states=("confirmed", "pending"))
    check_room(mine, kind)
    own = {canonicalize(c.address) for c in mine if c.channel == "mail" and c.role != "recovery"}
    if kind == "helper" and canonicalize(address) in own:
        raise Refusal("own_address")  # nobody vouches for themselves
    if kind == "helper" and tx.contacts.vouched_by(address, person.id) >= per_colleague:
        raise Refusal("too_many_people")
    channel: ContactChannel = "mail" if kind == "helper" else kind
    role: Literal["recovery", "backup"] = "recovery" if kind == "helper" else "backup"
    contact = Contact(tx.new_id(), person.id, channel, address, role, "pending", "person", name, tx.now)
    if not tx.contacts.add(contact):
        raise Refusal("known")
    send(tx, person, contact, origin)
    return contact.id


def check_room(mine: Sequence[Contact], kind: Kind) -> None:
    """Raises `Refusal` `too_many` where there are as many of a kind as there may be."""
    if sum(kind_of(c) == kind and c.state == "confirmed" for c in mine) >= MAX_CONTACTS:
        raise Refusal("too_many")


def send(tx: Tx, person: Person, contact: Contact, origin: Origin) -> None:
    """A new code or invitation in place of the last. An address that got too many, whoever had them sent, gets no
    further one, and nothing tells so.

    Raises:
        Refusal: `too_often`.
    """
    tx.people.lock(person.id)
    allowed = may_send(tx, Ask(person.id, contact, "proven", code=True, typed=True))
    if allowed == "person":
        raise Refusal("too_often")
    kind = kind_of(contact)
    tx.challenges.end_where("replaced", person_id=person.id, target=contact.id, purpose="enrol")
    life = CONTACT_LIFE if kind == "helper" else SHORT_LIFE
    asked = issue(tx, person, "enrol", PROOF_OF[kind], life, target=contact.id)
    if allowed == "yes":
        tx.outbox.put([as_job(tx, _message(tx, kind, person, origin), contact, asked.expires_at, challenge=asked.id)])


def _message(tx: Tx, kind: Kind, person: Person, origin: Origin) -> Content:
    if kind == "helper":
        return InvitationMessage(asker="proven", person_name=person.name, asked_at=tx.now, **origin.where)
    content = CODE_OF[kind]
    return content(asker="proven", username=username_of(tx, person.id), asked_at=tx.now, **origin.where)


def pending(tx: Tx, person_id: str, contact_id: str) -> tuple[Contact, Challenge | None] | None:
    """A contact that waits to be confirmed, with the question that is out; None for anything else."""
    c = tx.contacts.many([contact_id]).get(contact_id)
    if c is None or c.person_id != person_id or c.state != "pending":
        return None
    live = [p for p in tx.challenges.live(person_id=person_id, purpose="enrol") if p.target == c.id]
    return c, live[-1] if live else None


async def confirm(
    db: Database, proofs: Mapping[str, Proof], person: Person, contact_id: str, typed: str, origin: Origin
) -> ConfirmAnswer:
    """Takes the code that came to a new address.

    Raises:
        Refusal: `over` when nothing waits for it, `too_many` when others were confirmed first.
    """
    waiting = await db.read(lambda tx: pending(tx, person.id, contact_id))
    proof = proofs.get(waiting[1].method) if waiting is not None and waiting[1] is not None else None
    if proof is None or proof.name == INVITED:
        raise Refusal("over")
    found, again = await verify.answer(db, proof, _Page(person, contact_id, origin), typed[:64])
    if again:
        raise Refusal("over")
    return found


@dataclass(frozen=True, slots=True)
class _Page:
    """The page of a contact that waits to be confirmed (`challenges.verify.Page`)."""

    person: Person
    contact_id: str
    origin: Origin

    @property
    def names(self) -> tuple[str, ...]:
        return "enrol", self.person.id, self.contact_id

    def is_right(self, found: ConfirmAnswer) -> bool:
        return found == "confirmed"

    def count(self, tx: Tx) -> Counted | ConfirmAnswer:
        found = pending(tx, self.person.id, self.contact_id)
        if found is None or found[1] is None:
            raise Refusal("over")
        contact, waiting = found[0], found[1]
        if not allowed(tx, f"enrol/{self.person.id}") or waiting.key_id not in tx.seals.ids:
            return "no_tries"
        holder = Enrolments(tx.people.person(self.person.id) or self.person, (contact,))
        key = tx.seals.derive(key_purpose(waiting.method), waiting.key_id)
        return Counted([PendingChallenge(waiting, holder, Target(contact.id, ""), key)], tx.now)

    def take(self, tx: Tx, counted: Counted, verdict: Verdict, _: FreshCode | None) -> ConfirmAnswer:
        if verdict.right is None:
            return "not_a_code" if verdict.code == "not_a_code" else "wrong"
        mark_confirmed(tx, verdict.right.challenge, self.origin)
        return "confirmed"


def mark_confirmed(tx: Tx, asked: Challenge, origin: Origin) -> None:
    person, contact = tx.people.lock(asked.person_id), tx.contacts.many([asked.target]).get(asked.target)
    if person is None or contact is None or person.security_version != asked.security_version:
        raise Refusal("over")
    check_room(tx.contacts.of_person(person.id), kind_of(contact))  # many may have been waiting for their codes
    if not tx.challenges.end(asked.id, "used") or not tx.contacts.confirm(contact.id, tx.now + COOLING_OFF):
        raise Refusal("over")
    tx.counters.take_back([f"enrol/{person.id}"])
    if contact.role == "recovery":
        reminders.plan(tx, contact)
    what, detail = f"{WORD_OF[kind_of(contact)]}_added", contact.name or masked(contact)
    notify_account_change(tx, person.id, what, origin, detail=detail, but=contact.id, data={"contact": contact.id})


def remove(tx: Tx, person_id: str, contact_id: str, origin: Origin) -> Contact:
    """Takes a contact away; it hears about it like all others. What it was asked is void (N-R8).

    Raises:
        Refusal: `not_found`, or `imported` for one that the company keeps and that is no longer new.
    """
    tx.people.lock(person_id)
    c = tx.contacts.many([contact_id]).get(contact_id)
    if c is None or c.person_id != person_id or c.state == "removed":
        raise Refusal("not_found")
    if address_changes.refusable(c, tx.now):
        if address_changes.refuse(tx, c.id, origin) is None:
            raise Refusal("not_found")
        return c
    if c.origin == "import" or c.role == "primary":
        raise Refusal("imported")
    was = c.state
    if not tx.contacts.remove(c.id):
        raise Refusal("not_found")
    tx.challenges.end_where("stopped", target=c.id)
    if was == "confirmed":
        also = () if c.role == "recovery" else (c,)
        detail = c.name or masked(c)
        what = f"{WORD_OF[kind_of(c)]}_removed"
        notify_account_change(tx, person_id, what, origin, detail=detail, also=also, data={"contact": c.id})
    return c


def still_mine(tx: Tx, person_id: str, contact_id: str, origin: Origin) -> None:
    """Its owner, who has just shown who they are, says that a contact is still right: it weighs fully again.

    Raises:
        Refusal: `not_found`.
    """
    c = tx.contacts.many([contact_id]).get(contact_id)
    if c is None or c.person_id != person_id or c.role == "primary" or not tx.contacts.renew(contact_id):
        raise Refusal("not_found")
    where = {"source": origin.source[:45], "device": device_words(origin.agent)}
    tx.audit.record(person_id, [Note("contact_confirmed", {"contact": contact_id, **where})])
