"""A database whose time ran ahead of the real one, because a clock was wrong once: put right, and made safe.

The audit log is left as it is. A row of its own, the first with the right time again, says what happened.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, update

from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.recovery.events import Note
from keyback.storage.maintenance import restore
from keyback.storage.sql import schema as s
from keyback.storage.tx import SqlTx

STREAM, KIND = "clock", "clock_repaired"
TOTP_STEP_MS = 30_000


def repair(tx: SqlTx, newest: int, reason: str) -> dict[str, int]:
    """Ends whatever was given out, as after a restore, and takes instants that lie ahead to now; how many of each.

    Args:
        newest: the time of the newest audit row, ms.
    """
    ended = restore.end_all(tx)
    changed = 0
    for table in s.metadata.sorted_tables:
        if table is s.events:
            continue
        for column in table.columns:
            instant = column.name == "at" or column.name.endswith(("_at", "_from", "_until"))
            if not instant or not isinstance(column.type, BigInteger):
                continue
            most = tx.now + (COOLING_OFF if column.name == "usable_from" else 0)
            changed += tx.conn.execute(update(table).where(column > most).values({column.name: most})).rowcount
    step = tx.now // TOTP_STEP_MS
    ahead = (s.factors.c.kind == "totp") & (s.factors.c.counter > step + 1)
    tx.conn.execute(update(s.factors).where(ahead).values(counter=step))
    facts = {"newest": newest, "reason": reason, "instants": changed, **ended}
    tx.audit.record(STREAM, [Note(KIND, facts)])
    return {**ended, "instants": changed}
