"""Telling people what happens to their accounts: every confirmed contact, old ones included (N-R12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from keyback.application.notifications.stop_link import stop_link
from keyback.application.origin import device_words
from keyback.application.ports.storage import Intake, Job, Tx
from keyback.domain.people.person import Contact
from keyback.domain.recovery.events import Note
from keyback.domain.throttling.limits import MAILS_PER_DAY, MAILS_PER_HOUR
from keyback.domain.units import HOUR

LIFE = 3 * 24 * HOUR


def username_of(tx: Tx, person_id: str) -> str:
    """The login that people know best: one whose password lives in a system of ours, else any."""
    accounts = tx.people.accounts([person_id]).get(person_id, ())
    return next((a.username for a in accounts if not a.provider), accounts[0].username if accounts else "")


def notify_contacts(
    tx: Tx,
    person_id: str,
    letter: str,
    facts: dict[str, object],
    *,
    cancels: str = "",
    until: int = 0,
    also: Sequence[Contact] = (),
    more: Callable[[Contact], Mapping[str, object]] | None = None,
) -> None:
    """One letter to every confirmed contact of a person.

    Args:
        cancels: id of the case that a link in each letter cancels; empty: no such link.
        until: ms until when that link works.
        also: contacts that are confirmed no longer, such as the one just removed.
        more: facts of one contact's letter alone, such as a link that locks the account.
    """
    body = {"letter": letter, "person": person_id, "username": username_of(tx, person_id), **facts}
    contacts = [*tx.people.contacts([person_id]).get(person_id, ()), *also]
    person = tx.people.person(person_id) if cancels else None
    jobs, links = [], []
    for c in contacts:
        if cancels and c.usable_from > tx.now:
            continue  # who planted a contact must not be able to stop the owner
        own = more(c) if more else {}
        if person is not None:  # a link of its own for each contact, so that the audit log knows who said stop
            links.append(stop_link(tx, person, "notice", until, target=c.id, case_id=cancels))
            own = {"prompt": links[-1].id}
        jobs.append(Job(tx.new_id(), "mail", {**body, "contact": c.id, **own}, tx.now, tx.now + LIFE))
    tx.challenges.issue(links)
    tx.outbox.put(jobs)


def tell_asked(tx: Tx, person_id: str, what: str, case_id: str, until: int, intake: Intake) -> None:
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
    facts: dict[str, object] = {
        "what": what,
        "at": tx.now,
        "source": intake.source,
        "device": device_words(intake.agent),
    }
    notify_contacts(tx, person_id, "asked", facts, cancels=case_id, until=until)
    tx.audit.record(case_id, [Note("owner_told", {"what": what, "intake_id": intake.handle})])
