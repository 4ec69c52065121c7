"""Once a year people are asked to look at who may vouch for them (NIST SP 800-63B-4 section 4.2.1.3, N-R8), and at
their phones and backup addresses (F4).

For each recovery contact a job waits in the outbox until the anniversary of its being added. Doing it plans the next
one in the same transaction, so that a crash neither loses nor repeats a year. Only the oldest one's writes a letter.
"""

from __future__ import annotations

from typing import Final

from keyback.application.notifications.notify import username_of
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
LETTER_LIFE = 7 * DAY


def plan(tx: Tx, helper: Contact) -> None:
    """Plans the next reminder of a recovery contact that was just confirmed, or was just reminded of."""
    due = helper.added_at + (max(0, tx.now - helper.added_at) // YEAR + 1) * YEAR
    body = {"person": helper.person_id, "contact": helper.id}
    tx.outbox.put([Job(tx.new_id(), KIND, body, due, due + YEAR, due_at=due)])  # no backlog until then


def remind(tx: Tx, limit: int = 200) -> int:
    """Does the reminders that are due; the number of letters. For upkeep; a call costs by what is due."""
    jobs = tx.outbox.claim(KIND, limit, LEASE)
    helpers = tx.contacts.many([str(j.body.get("contact")) for j in jobs])
    letters = 0
    for job in jobs:
        helper = helpers.get(str(job.body.get("contact")))
        if helper is None or helper.state != "confirmed" or helper.role != "recovery":
            continue
        if 0 <= (tx.now - helper.added_at) % YEAR < LATE and tx.now - helper.added_at >= YEAR:
            letters += _tell(tx, helper)
        plan(tx, helper)
    tx.outbox.done(jobs)
    return letters


def ask_about_contacts(tx: Tx, ages: Ages, limit: int = 200) -> int:
    """Asks owners of contacts that were not confirmed for long whether they still are theirs; the number of letters.
    One for each person, whatever they have; a call costs by what is due."""
    letters = 0
    for step, age in reversed(tuple(enumerate(ages.steps, 1))):
        due = tx.contacts.take_up(step, tx.now - age, limit)
        for person_id in dict.fromkeys(c.person_id for c in due):
            letters += _ask(tx, person_id, "contacts" if step == 1 else "contacts_last")
    return letters


def _ask(tx: Tx, person_id: str, what: str) -> int:
    person = tx.people.person(person_id)
    mails = [c for c in tx.people.contacts([person_id]).get(person_id, ()) if c.channel == "mail"]
    if person is None or person.state != "active" or not mails:
        return 0
    _letter(tx, person_id, mails[0].id, what)
    return 1


def _letter(tx: Tx, person_id: str, contact_id: str, what: str) -> None:
    body = {
        "letter": "reminder",
        "person": person_id,
        "contact": contact_id,
        "username": username_of(tx, person_id),
        "what": what,
        "path": "/account/contacts",
    }
    tx.outbox.put([Job(tx.new_id(), "mail", body, tx.now, tx.now + LETTER_LIFE)])
    tx.audit.record(person_id, [Note("contacts_reminded", {"contact": contact_id})])


def _tell(tx: Tx, helper: Contact) -> int:
    """A letter to the person whose oldest recovery contact this is; 0 where it is a younger one's turn, or nobody's."""
    person = tx.people.person(helper.person_id)
    own = [c for c in tx.contacts.of_person(helper.person_id) if c.role == "recovery"]
    mails = [c for c in tx.people.contacts([helper.person_id]).get(helper.person_id, ()) if c.channel == "mail"]
    if person is None or person.state != "active" or not mails or own[0].id != helper.id:
        return 0
    _letter(tx, person.id, mails[0].id, "helpers")
    return 1
