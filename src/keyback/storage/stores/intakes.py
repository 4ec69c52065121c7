"""Requests as they were written down, before anyone looked up who they are about (ADR 1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import ColumnElement, bindparam, case, func, select, update

from keyback.application.ports.storage import Intake
from keyback.application.throttling.fairness import FRESH
from keyback.storage.keys.keyring import Unsealable
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement, marked, rows_of
from keyback.storage.sql.schema import intakes
from keyback.storage.sql.statements import in_order, insert_many
from keyback.storage.wakes import INTAKES

log = structlog.get_logger("keyback.storage")
PURPOSE = "intake"
# By name: a node of the version before meets a table that has one column more.
COLUMNS = [intakes.c[f.name] for f in dataclasses.fields(Intake)]
# Not `AND state = 'new'` once more: that would invite to read all that wait, and the picks have made sure of it.
CLAIM = f"""UPDATE intakes SET state = 'done' WHERE handle {{pick}}
 RETURNING {", ".join(c.name for c in COLUMNS)}"""  # noqa: S608 - our own names
# Most by turn, some of the newest; where few wait these are the same ones. Each pick goes along an index.
NEXT = "SELECT handle FROM intakes WHERE state = 'new' ORDER BY turn LIMIT :n"
NEWEST = "SELECT handle FROM intakes WHERE state = 'new' ORDER BY asked_at DESC LIMIT :newest"
LOCK = "FOR UPDATE SKIP LOCKED"
PICK_PG = f"= ANY(ARRAY({NEXT} {LOCK}) || ARRAY({NEWEST} {LOCK}))"
PICK_SQLITE = f"IN (SELECT * FROM ({NEXT}) UNION SELECT * FROM ({NEWEST}))"  # noqa: S608 - our own words
CLAIM_PG, CLAIM_SQLITE = marked(CLAIM.format(pick=PICK_PG), n="int", newest="int"), CLAIM.format(pick=PICK_SQLITE)
NAMES = [c.name for c in COLUMNS]
ONE = select(*COLUMNS).where(intakes.c.handle == bindparam("handle"))
BY_HANDLE, LOCKED = Statement(ONE), Statement(ONE.with_for_update())
OLDEST = Statement(select(intakes.c.asked_at).where(intakes.c.state == "new").order_by(intakes.c.asked_at).limit(1))


class IntakeStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def add(self, new: Sequence[Intake], *, notify: str = "") -> None:
        """Writes new ones down.

        Args:
            notify: what to tell other processes in the same statement (PostgreSQL).
        """
        sealed = self._tx.seals.seal_all([(i.identifier.encode(), i.handle) for i in new], PURPOSE)
        rows = [
            {
                "handle": i.handle,
                "identifier": identifier,
                "subject": i.subject,
                "journey": i.journey,
                "system": i.system,
                "locale": i.locale,
                "source": i.source,
                "agent": i.agent,
                # A node's own clock may be off (Q14): when it was asked is when the database took it.
                "asked_at": self._tx.now,
                "expires_at": self._tx.now + i.expires_at - i.asked_at,
                "state": i.state,
                "device": i.device,
                "turn": self._tx.turns.take(i.source, self._tx.now),
            }
            for i, identifier in zip(new, sealed, strict=True)
        ]
        insert_many(self._tx.conn, intakes, rows, ignore=True, notify=notify)
        self._tx.wakes.add(INTAKES)

    def _load(self, values: Mapping[str, Any]) -> Intake:
        plain = self._tx.seals.open(bytes(values["identifier"]), PURPOSE, values["handle"])
        device = bytes(values["device"]) if values["device"] is not None else None
        return Intake(**{**values, "identifier": plain.decode(), "subject": bytes(values["subject"]), "device": device})

    def get(self, handle: str, *, lock: bool = False) -> Intake | None:
        if lock:
            self._tx.alone()
        return self._tx.once(("intake", handle), lambda: self._get(handle, lock=lock))

    def _get(self, handle: str, *, lock: bool) -> Intake | None:
        row = (LOCKED if lock else BY_HANDLE).first(self._tx.conn, {"handle": handle})
        return self._load(row._mapping) if row else None

    def claim(self, limit: int) -> Sequence[Intake]:
        """Takes up to `limit` new ones by their turn, with some of the newest among them; no other node gets them. The
        plan must not be one that was made for an empty queue, hence `= ANY(ARRAY(…))` (design, section 13)."""
        if not self._tx.pg and self.oldest() is None:
            return []
        newest = limit // FRESH
        with in_order(self._tx.conn):
            rows = rows_of(
                self._tx.conn, CLAIM_PG if self._tx.pg else CLAIM_SQLITE, {"n": limit - newest, "newest": newest}
            )
        return [i for r in rows if (i := self._load_if_readable(dict(zip(NAMES, r, strict=True)))) is not None]

    def _load_if_readable(self, row: Mapping[str, Any]) -> Intake | None:
        try:
            return self._load(row)
        except Unsealable:  # sealed by a key that was taken out; it must not hold up the others (Q10)
            log.warning("intake_unreadable")
            return None

    def count_try(self, handle: str, limit: int) -> int | None:
        ok = (intakes.c.handle == handle) & (intakes.c.tries < limit) & (intakes.c.state != "stopped")
        ok &= intakes.c.expires_at > self._tx.now
        q = update(intakes).where(ok).values(tries=intakes.c.tries + 1).returning(intakes.c.tries)
        return self._tx.conn.execute(q).scalar()

    def give_try_back(self, handle: str) -> None:
        q = update(intakes).where((intakes.c.handle == handle) & (intakes.c.tries > 0))
        self._tx.conn.execute(q.values(tries=intakes.c.tries - 1))

    def ask_again(self, handle: str, asked_before: int) -> bool:
        """Puts it back into the queue, unless it was asked after `asked_before` or is over."""
        ok = (intakes.c.handle == handle) & (intakes.c.asked_at <= asked_before) & (intakes.c.state != "stopped")
        ok &= intakes.c.expires_at > self._tx.now
        return self._queue(ok, None)

    def fetch(self, handle: str, person_id: str) -> bool:
        ok = (intakes.c.handle == handle) & (intakes.c.state != "stopped") & intakes.c.case_id.is_(None)
        return self._queue(ok & (intakes.c.expires_at > self._tx.now), person_id)

    def _queue(self, ok: ColumnElement[bool], fetched_for: str | None) -> bool:
        late = intakes.c.turn - intakes.c.asked_at  # as far behind as before: it is the same network
        again = {
            "state": "new",
            "asked_at": self._tx.now,
            "turn": self._tx.now + case((late > 0, late), else_=0),
            "sends": intakes.c.sends + 1,
            "fetched_for": fetched_for,
        }
        done = self._tx.conn.execute(update(intakes).where(ok).values(**again)).rowcount == 1
        if done:
            self._tx.wakes.add(INTAKES)
        return done

    def stop(self, handle: str) -> bool:
        q = update(intakes).where((intakes.c.handle == handle) & (intakes.c.state != "stopped"))
        return self._tx.conn.execute(q.values(state="stopped")).rowcount == 1

    def bind(self, handle: str, case_id: str) -> None:
        self._tx.conn.execute(update(intakes).where(intakes.c.handle == handle).values(case_id=case_id))

    def oldest(self) -> int | None:
        """When the oldest that waits was asked for (ms); None where none waits."""
        row = OLDEST.first(self._tx.conn, {})
        return row.asked_at if row else None

    def waiting(self) -> int:
        return int(self._tx.conn.execute(select(func.count()).where(intakes.c.state == "new")).scalar_one())
