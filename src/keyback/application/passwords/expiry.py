"""Passwords that come of age, where the rules say so: reminders before the day, each sent once."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports.storage import Credential, Job, Tx
from keyback.domain.passwords.rules import DAY, Rules
from keyback.domain.recovery.events import Note

# Days before the day on which a reminder goes out. The last one is for who was never reminded: the rule was switched on
# when the password was old already, or a person was active again after a long time.
STEPS = (14, 7, 1, 0)
LETTER_LIFE = DAY


def remind(tx: Tx, rules: Rules, limit: int = 200) -> int:
    """Mails the owners of passwords that are due soon; the number of letters. For upkeep; a call costs by what is due.

    The most urgent reminder only: whoever was missed for a week gets one letter, not three.
    """
    if rules.max_age_days is None:
        return 0
    sent = 0
    for step in range(len(STEPS), 0, -1):
        ahead = min(STEPS[step - 1], rules.max_age_days // 2) * DAY
        found = tx.people.expiring(step, tx.now - rules.max_age_days * DAY + ahead, limit)
        if found:
            won = tx.people.mark_reminded({c.account_id: c.reminded for c in found}, step)
            told = [c for c in found if c.account_id in won and (step < len(STEPS) or c.reminded == 0)]
            sent += _tell(tx, told, rules)
            limit -= len(found)
        if limit <= 0:
            break
    return sent


def _tell(tx: Tx, found: Sequence[Credential], rules: Rules) -> int:
    jobs: list[Job] = []
    for c in found:
        account = tx.people.account(c.account_id)
        person = tx.people.person(account.person_id) if account else None
        due_at = rules.due_at(c.changed_at)
        if account is None or person is None or person.state != "active" or account.state == "disabled":
            continue
        if account.provider or due_at is None:
            continue
        contacts = tx.people.contacts([person.id]).get(person.id, ())
        for contact in contacts[:1]:  # the primary one: nothing happened that the others should know of
            body = {
                "letter": "rotation",
                "person": person.id,
                "contact": contact.id,
                "username": account.username,
                "due_at": due_at,
            }
            jobs.append(Job(tx.new_id(), "mail", body, tx.now, tx.now + LETTER_LIFE))
    tx.outbox.put(jobs)
    if jobs:
        tx.audit.record("rotation", [Note("password_reminded", {"letters": len(jobs)})])
    return len(jobs)
