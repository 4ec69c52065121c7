"""Writing messages down, and telling people what happens to their accounts: every contact, old ones included (N-R12).

Nothing else makes a row of the outbox that is a message. Whoever calls `notify` or `as_job` says in
`tests/throttling/test_message_quotas` what bounds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from keyback.application.notifications.stop_link import stop_link
from keyback.application.origin import where
from keyback.application.ports.messages import AskedMessage, Content, ErasedMessage
from keyback.application.ports.storage import Intake, Job, Tx
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.person import Account, Contact, Person
from keyback.domain.recovery.events import Note
from keyback.domain.throttling.limits import MAILS_PER_DAY, MAILS_PER_HOUR
from keyback.domain.units import HOUR

NOTICE_LIFE = 3 * 24 * HOUR


def as_job(
    tx: Tx, content: Content, to: Contact, expires_at: int, *, challenge: str = "", due_at: int = 0, turn: int = 0
) -> Job:
    """The row of the outbox by which a contact gets a message. Instants are ms.

    Args:
        challenge: id of the one that its code or link is made of.
        due_at: when it goes out, and what it is dated by; 0: now.
        turn: of those that are due it is sent in this order; 0: when it is due.
    """
    body = content.body() | {"person": to.person_id, "contact": to.id} | ({"prompt": challenge} if challenge else {})
    return Job(tx.new_id(), "mail", body, due_at or tx.now, expires_at, due_at=due_at, turn=turn)


def notify(
    tx: Tx,
    content: Content,
    contacts: Iterable[Contact],
    *,
    life: int = NOTICE_LIFE,
    due_at: int = 0,
    link_for: Callable[[Contact], Challenge | None] | None = None,
) -> int:
    """Writes one message down for each contact; the number of them.

    Args:
        life: ms for which it is worth sending, from `due_at` on.
        due_at: ms; 0: now.
        link_for: the challenge behind a contact's own link, which is issued here; None: it gets none.
    """
    told = [(c, link_for(c) if link_for else None) for c in contacts]
    tx.challenges.issue([link for _, link in told if link])
    until = (due_at or tx.now) + life
    jobs = [as_job(tx, content, c, until, challenge=link.id if link else "", due_at=due_at) for c, link in told]
    tx.outbox.put(jobs)
    return len(jobs)


def notify_administrators(tx: Tx, content: Content, addresses: Iterable[str], locale: str) -> int:
    """Writes one message down for each address of the settings; the number of them."""
    body = content.body() | {"locale": locale}
    jobs = [
        Job(tx.new_id(), "mail", {**body, "administrator": a}, tx.now, tx.now + NOTICE_LIFE, due_at=tx.now)
        for a in dict.fromkeys(addresses)
    ]
    tx.outbox.put(jobs)
    return len(jobs)


def notify_requester(tx: Tx, content: Content, handle: str, life: int) -> None:
    """Writes one message down for the address that a request for help named; `life` in ms. The address is in no row."""
    body = content.body() | {"request": handle}
    tx.outbox.put([Job(tx.new_id(), "mail", body, tx.now, tx.now + life, due_at=tx.now)])


def last_notices(tx: Tx, person: Person) -> list[Job]:
    """What tells every contact of a person that everything about them was erased, to be put into the outbox by whoever
    erases it. Each has its address in it, and is forgotten when it was sent, or never can be."""
    content = ErasedMessage(username=username_of(tx, person.id), at=tx.now)
    shared = content.body() | {"person": person.id, "name": person.name, "locale": person.locale}
    return [
        Job(tx.new_id(), "mail", {**shared, "channel": c.channel, "to": c.address}, tx.now, tx.now + NOTICE_LIFE)
        for c in contacts_of(tx, person.id)
    ]


def contacts_of(tx: Tx, person_id: str) -> tuple[Contact, ...]:
    """Confirmed contacts of a person, the primary one first."""
    return tuple(tx.people.contacts([person_id]).get(person_id, ()))


def mailboxes_of(tx: Tx, person_id: str) -> tuple[Contact, ...]:
    """Those of them that are mailboxes."""
    return tuple(c for c in contacts_of(tx, person_id) if c.channel == "mail")


def username_of(tx: Tx, person_id: str) -> str:
    """The login that people know best: one whose password lives in a system of ours, else any."""
    return best_known(tx.people.accounts([person_id]).get(person_id, ()))


def best_known(accounts: Sequence[Account]) -> str:
    """The same, of the person's accounts."""
    return next((a.username for a in accounts if not a.provider), accounts[0].username if accounts else "")


def notify_contacts(tx: Tx, person_id: str, content: Content, *, cancels: str = "", until: int = 0) -> None:
    """One message to every contact of a person.

    Args:
        cancels: id of the case that a link in each message cancels; empty: no such link.
        until: ms until when that link works.
    """
    person, contacts = tx.people.person(person_id) if cancels else None, contacts_of(tx, person_id)
    if person is None:
        notify(tx, content, contacts)
        return

    def link(c: Contact) -> Challenge:  # of its own for each, so that the audit log knows who canceled
        return stop_link(tx, person, "notice", until, target=c.id, case_id=cancels)

    # Whoever planted a contact must not be able to stop the owner.
    notify(tx, content, [c for c in contacts if c.usable_from <= tx.now], link_for=link)


def notify_started(tx: Tx, person_id: str, what: str, case_id: str, until: int, intake: Intake) -> None:
    """Tells the owner at once of a recovery that gets along without a message to them (F8), with a link that stops it.
    As often as recovery mails go out at most: what strangers start must not fill mailboxes.

    Args:
        what: `helper_asked`, `part_shown`.
        until: ms until when that link works.
    """
    key = f"mail/told/{person_id}"
    count = tx.counters.add([key])[key]
    if count.hour > MAILS_PER_HOUR or count.day > MAILS_PER_DAY:
        tx.counters.take_back([key])  # or whoever goes on asking would keep the owner from ever hearing again
        return
    told = AskedMessage(username=username_of(tx, person_id), what=what, at=tx.now, **where(intake.source, intake.agent))
    notify_contacts(tx, person_id, told, cancels=case_id, until=until)
    tx.audit.record(case_id, [Note("owner_told", {"what": what, "intake_id": intake.handle})])
