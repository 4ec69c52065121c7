"""Once a year people are asked to look at who may vouch for them (NIST SP 800-63B-4 section 4.2.1.3, N-R8), and at
their phones and backup addresses (F4).

For each recovery contact a job waits in the outbox until the anniversary of its being added. Doing it plans the next
one in the same transaction, so that a crash neither loses nor repeats a year. Only the oldest one's writes a mail.
"""

from __future__ import annotations

from typing import Final

from keyback.application.notifications.notify import mailboxes_of, notify, username_of
from keyback.application.ports.messages import ReminderMessage
from keyback.application.ports.storage import Job, Tx
from keyback.domain.people.ages import Ages
from keyback.domain.people.person import Contact
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

DAY = 24 * HOUR
YEAR = 365 * DAY
KIND: Final = "remind"
LEASE = HOUR  # of no weight: a job is claimed and done in one transaction
LATE = 30 * DAY  # after the anniversary; who is later still waits for the next one
MESSAGE_LIFE = 7 * DAY


def plan(tx: Tx, helper: Contact) -> None:
    """Plans the next reminder of a recovery contact that was just confirmed, or was just reminded of."""
    due = helper.added_at + (max(0, tx.now - helper.added_at) // YEAR + 1) * YEAR
    body = {"person": helper.person_id, "contact": helper.id}
    tx.outbox.put([Job(tx.new_id(), KIND, body, due, due + YEAR, due_at=due)])  # no backlog until then


def remind(tx: Tx, limit: int = 200) -> int:
    """Does the reminders that are due; the number of mails. For upkeep; a call costs by what is due."""
    jobs = tx.outbox.claim(KIND, limit, LEASE)
    helpers = tx.contacts.many([str(j.body.get("contact")) for j in jobs])
    sent = 0
    for job in jobs:
        helper = helpers.get(str(job.body.get("contact")))
        if helper is None or helper.state != "confirmed" or helper.role != "recovery":
            continue
        if 0 <= (tx.now - helper.added_at) % YEAR < LATE and tx.now - helper.added_at >= YEAR:
            sent += _tell(tx, helper)
        plan(tx, helper)
    tx.outbox.done(jobs)
    return sent


def ask_about_contacts(tx: Tx, ages: Ages, limit: int = 200) -> int:
    """Asks owners of contacts that were not confirmed for long whether they still are theirs; the number of mails.
    One for each person, whatever they have; a call costs by what is due."""
    sent = 0
    for step, age in reversed(tuple(enumerate(ages.steps, 1))):
        due = tx.contacts.take_up(step, tx.now - age, limit)
        for person_id in dict.fromkeys(c.person_id for c in due):
            sent += _ask(tx, person_id, "contacts" if step == 1 else "contacts_last")
    return sent


def _ask(tx: Tx, person_id: str, what: str) -> int:
    person = tx.people.person(person_id)
    if person is None or person.state != "active":
        return 0
    return _remind(tx, person_id, what)


def _remind(tx: Tx, person_id: str, what: str) -> int:
    """One mail to the primary mailbox; 0 where there is none."""
    mails = mailboxes_of(tx, person_id)[:1]
    told = ReminderMessage(username=username_of(tx, person_id), what=what, path="/account/contacts")
    if notify(tx, told, mails, life=MESSAGE_LIFE):
        tx.audit.record(person_id, [Note("contacts_reminded", {"contact": mails[0].id})])
    return len(mails)


def _tell(tx: Tx, helper: Contact) -> int:
    """A mail to the person whose oldest recovery contact this is; 0 where it is a younger one's turn, or nobody's."""
    person = tx.people.person(helper.person_id)
    own = [c for c in tx.contacts.of_person(helper.person_id) if c.role == "recovery"]
    if person is None or person.state != "active" or own[0].id != helper.id:
        return 0
    return _remind(tx, person.id, "helpers")
