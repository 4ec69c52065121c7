"""Once a day security officers are mailed how often operators did what: a number that is unlike other days' stands out,
whoever hid behind a single act of it."""

from __future__ import annotations

from typing import Final

from keyback.application.desk.notices import tell_digest
from keyback.application.ports.storage import Tx
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

DAY: Final = 24 * HOUR
BACK = 3  # days that a worker that was away makes up for
COUNTED: Final = (
    "approved",
    "declined",
    "task_done",
    "task_declined",
    "act_start",
    "act_unlock",
    "act_hold",
    "act_lock",
    "act_end_sessions",
    "act_cancel",
    "glass_broken",
    "caller_passed",
    "caller_failed",
    "operator_added",
    "operator_invited",
)
"""In the order of the mail; each has its words in `channels.mail.kinds.DIGEST`."""


def tell(tx: Tx) -> int:
    """Mails the digest of every whole day (UTC) that has none yet; the number of mails. For upkeep, on any number of
    nodes: whoever counts a day's digest first sends it, in the same transaction."""
    today = tx.now // DAY
    sent = 0
    for day in range(today - BACK, today):
        key = f"ask/digest/{day}"
        if tx.counters.get(key).total or tx.counters.add([key])[key].total != 1:
            continue
        counted = tx.counters.many([of_day(day, what) for what in COUNTED])
        rows = tuple(
            (what, str(counted[of_day(day, what)].total))
            for what in COUNTED
            if of_day(day, what) in counted and counted[of_day(day, what)].total
        )
        if rows:
            told = tell_digest(tx, day * DAY, rows)
            tx.audit.record("operators", [Note("digest_sent", {"day": day, "count": told})])
            sent += told
    return sent


def of_day(day: int, what: str) -> str:
    """Under what an act of a day is counted."""
    return f"ask/desk/{day}/{what}"


def count(tx: Tx, what: str) -> None:
    """Counts an act for today's digest."""
    tx.counters.add([of_day(tx.now // DAY, what)])
