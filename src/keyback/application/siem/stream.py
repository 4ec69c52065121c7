"""The worker's part: sends the rows of the audit log to the SIEM, in order and at least once.

The audit log itself is the spool, so an outage loses nothing. Syslog has no receipts: a row counts as taken once the
other machine has acknowledged its bytes and the connection has lived on for a while; after a break everything since
then is sent again. One worker sends at a time, under a lease. Whoever is more than `max_behind` rows behind goes on
with the newest of them, and a row of the audit log says what was left out (ADR 52).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from keyback.application.audit_log import log_of
from keyback.application.ports.siem import Away, LoggedRow, Position, Siem, SiemRules
from keyback.application.ports.storage import Database, Tx
from keyback.application.siem.lines import framed, line
from keyback.domain.recovery.events import Note
from keyback.domain.units import MINUTE

STREAM = "siem"  # of the audit log
LEASE = MINUTE
PIECE = 500  # rows at a time
ROUNDS = 10  # pieces in one step
SETTLED_S = 2.0  # how long the connection has to live on until a row counts as taken
FIRST_REST, MAX_REST = 1_000, MINUTE
JITTER = 0.2


class SiemStream:
    """Sends from one process.

    Args:
        rand: a number from 0 to 1, so that what failed together does not come back together.
    """

    def __init__(self, db: Database, siem: Siem, rand: Callable[[], float]) -> None:
        self._db, self._link, self._rules, self._rand = db, siem.link, siem.rules, rand
        self._fence = 0
        self._lease_ends = 0.0  # loop time after which it has to be renewed
        self._sent: int | None = None  # up to which row this connection had everything; None: it has to be asked
        self._acknowledged: deque[tuple[int, float]] = deque()  # rows that may count as taken soon, and since when
        self.taken = 0

    async def step(self) -> int:
        """Sends what there is, as far as a few pieces go; how many rows went."""
        now = asyncio.get_running_loop().time
        count = 0
        if self._sent is not None and not self._link.is_open:
            self._rewind()
        for _ in range(ROUNDS):
            if now() >= self._lease_ends or self._sent is None:
                position = await self._db.write(lambda tx: take(tx, self._rules, self._fence))
                if position is None:
                    await self._let_go()
                    return count
                self._fence, self._lease_ends = position.fence, now() + LEASE / 2000
                if self._sent is None:
                    self._sent = position.read_to
            after = self._sent
            rows = await self._db.read(lambda tx: tx.siem.rows(after, PIECE))  # noqa: B023 - awaited at once
            try:
                await self._hand_over(rows)
            except Away as e:
                self._rewind()
                fence, self._fence, self._lease_ends = self._fence, 0, 0.0
                pause = 1 + JITTER * (2 * self._rand() - 1)
                code = e.code
                await self._db.write(lambda tx: failed(tx, fence, code, pause))  # noqa: B023
                return count
            count += len(rows)
            if rows:
                self._sent = rows[-1].event.seq
                self._acknowledged.append((self._sent, now()))
            await self._settle(now() - SETTLED_S)
            if len(rows) < PIECE:
                break
        return count

    async def finish(self) -> None:
        """Ends the connection in order. What was acknowledged over one that still stood counts as taken."""
        if self._link.is_open and self._fence:
            await self._settle(float("inf"))
        await self._let_go()

    async def _hand_over(self, rows: Sequence[LoggedRow]) -> None:
        rules = self._rules
        if rows:
            await self._link.send([framed(line(r, rules.host, rules.form)) for r in rows])
        else:
            await self._link.check()

    async def _settle(self, until: float) -> None:
        """Writes down what has been acknowledged since `until` or before it (loop time)."""
        seq = 0
        while self._acknowledged and self._acknowledged[0][1] <= until:
            seq = self._acknowledged.popleft()[0]
        if seq and await self._db.write(lambda tx: settle(tx, self._fence, seq)):
            self.taken = seq
        elif seq:
            await self._let_go()

    def _rewind(self) -> None:
        self._sent = None
        self._acknowledged.clear()

    async def _let_go(self) -> None:
        self._rewind()
        await self._link.close()
        if self._fence:
            fence, self._fence, self._lease_ends = self._fence, 0, 0.0
            await self._db.write(lambda tx: _release(tx, fence))


def take(tx: Tx, rules: SiemRules, fence: int) -> Position | None:
    """Takes the stream, or goes on with it; None while another worker has it or nobody is to connect.

    What is more than `rules.max_behind` rows back is left out, and the audit log says so.
    """
    head = log_of(tx).head()[0]
    if tx.siem.position() is None:
        tx.siem.begin(head)
    position = tx.siem.lease(LEASE, fence)
    if position is None:
        return None
    behind = head - position.read_to
    if behind <= rules.max_behind:
        return position
    count = behind - rules.max_behind
    first, last = position.read_to + 1, position.read_to + count
    tx.audit.record(STREAM, [Note("siem_skipped", {"first": first, "last": last, "count": count})])
    position = replace(position, read_to=last, skipped=position.skipped + count)
    tx.siem.save(position)
    return position


def settle(tx: Tx, fence: int, seq: int) -> bool:
    """Everything up to `seq` was taken. False where another worker has the stream by now."""
    position = tx.siem.lease(LEASE, fence)
    if position is None:
        return False
    read_to = max(position.read_to, seq)
    return tx.siem.save(replace(position, read_to=read_to, failures=0, failing_since=0, sent_at=tx.now, last_code=""))


def failed(tx: Tx, fence: int, code: str, stretch: float) -> None:
    """Nothing was taken: the SIEM is left alone for a growing pause.

    Args:
        stretch: by which the pause is longer or shorter.
    """
    position = tx.siem.lease(LEASE, fence)
    if position is None:
        return
    failures = position.failures + 1
    pause = round(min(FIRST_REST << min(failures - 1, 10), MAX_REST) * stretch)
    changed = replace(position, failures=failures, failing_since=position.failing_since or tx.now, last_code=code)
    tx.siem.save(replace(changed, rest_until=tx.now + pause, lease_until=0))


def send_again(tx: Tx, since: int) -> int:
    """Goes back, so that everything from row `since` on is sent once more; how many rows that is."""
    head = log_of(tx).head()[0]
    position = tx.siem.position()
    if position is None:
        tx.siem.begin(head)
        position = Position(head)
    read_to = max(0, min(since - 1, position.read_to))
    # Another fence: a worker that is sending notices that the stream isn't its own any more, and begins from here.
    moved = replace(position, read_to=read_to, fence=position.fence + 1, lease_until=0, rest_until=0)
    tx.siem.move(moved)
    tx.audit.record(STREAM, [Note("siem_sent_again", {"first": read_to + 1, "count": head - read_to})])
    return head - read_to


def _release(tx: Tx, fence: int) -> None:
    position = tx.siem.lease(0, fence)
    if position is not None:
        tx.siem.save(replace(position, lease_until=0))
