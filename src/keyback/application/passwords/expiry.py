"""Passwords that come of age, where the rules say so: reminders before the day, each sent once."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.notifications.notify import contacts_of, notify
from keyback.application.ports.messages import RotationMessage
from keyback.application.ports.storage import Credential, Tx
from keyback.domain.passwords.rules import DAY, Rules
from keyback.domain.recovery.events import Note

# Days before the day on which a reminder goes out. The last one is for who was never reminded: the rule was switched on
# when the password was old already, or a person was active again after a long time.
STEPS = (14, 7, 1, 0)


def remind(tx: Tx, rules: Rules, limit: int = 200) -> int:
    """Mails the owners of passwords that are due soon; the number of mails. For upkeep; a call costs by what is due.

    The most urgent reminder only: whoever was missed for a week gets one mail, not three.
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
    sent = 0
    for c in found:
        account = tx.people.account(c.account_id)
        person = tx.people.person(account.person_id) if account else None
        due_at = rules.due_at(c.changed_at)
        if account is None or person is None or person.state != "active" or account.state == "disabled":
            continue
        if account.provider or due_at is None:
            continue
        primary = contacts_of(tx, person.id)[:1]  # nothing happened that the others should know of
        sent += notify(tx, RotationMessage(username=account.username, due_at=due_at), primary, life=DAY)
    if sent:
        tx.audit.record("rotation", [Note("password_reminded", {"letters": sent})])
    return sent
