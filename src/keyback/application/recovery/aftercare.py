"""After a recovery: a few steps that make the next one easy and a stranger's hard (E7, design section 7).

What was done is noted in the audit log; what was skipped comes back once by mail, three days later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from keyback.application.enrolment.recently_added import recent
from keyback.application.notifications.notify import notify
from keyback.application.ports.messages import ReminderMessage
from keyback.application.ports.storage import Tx
from keyback.application.signin import step_up
from keyback.domain.people.person import Contact
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

Care = Literal["contacts", "recent", "second_step", "manager", "activity", "systems"]
STEPS: tuple[Care, ...] = get_args(Care)
DAYS = 24 * HOUR
LOOK_BACK = 30 * DAYS  # how long ago something may have been planted
REMIND_AFTER = 3 * DAYS
NOTE = "step_done"
SEARCHED = 400  # events of a person that are looked at


def done(tx: Tx, person_id: str) -> frozenset[str]:
    """Steps that were ticked off since the last recovery; a second step counts where there is one."""
    since = tx.cases.last_recovery(person_id) or 0
    ticked = {
        str(h.data.get("step"))
        for h in tx.audit.of_person(person_id, 2**62, SEARCHED)
        if h.type == NOTE and h.at >= since
    }
    if step_up.has_second_step(tx.factors.of_person(person_id)):
        ticked.add("second_step")
    if not recent(tx, person_id, tx.now - LOOK_BACK):
        ticked.add("recent")
    if all(a.system == "builtin" or a.provider for a in tx.people.accounts([person_id]).get(person_id, ())):
        ticked.add("systems")  # there are none to look at
    return frozenset(ticked)


def open_steps(tx: Tx, person_id: str) -> tuple[Care, ...]:
    ticked = done(tx, person_id)
    return tuple(s for s in STEPS if s not in ticked)


def tick(tx: Tx, person_id: str, step: str) -> None:
    if step in STEPS:
        tx.audit.record(person_id, [Note(NOTE, {"step": step})])


def remind_later(tx: Tx, username: str, contacts: Sequence[Contact]) -> None:
    """One mail in three days to the primary mailbox; nothing is sent if nothing is left by then."""
    mailboxes = [c for c in contacts if c.channel == "mail"]
    told = ReminderMessage(username=username, what="aftercare", path="/account/after")
    due_at = tx.now + REMIND_AFTER
    notify(tx, told, mailboxes[:1], life=REMIND_AFTER, due_at=due_at)  # dated when it goes out
