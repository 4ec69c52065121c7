"""The worker's part: one lane for each receiver, so that those who hang, flood or lie delay nobody but themselves.

A lane holds its receiver under a lease. It makes deliveries of new audit rows, a window of them at a time, and calls
for what is due: of each case the oldest first, and what came after it once that was taken or given up. A receiver that
takes nothing is left alone for growing pauses and then asked with one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from keyback.application.audit_log import log_of
from keyback.application.ports.storage import Database, Tx
from keyback.application.ports.webhooks import Answer, Delivery, Posts, Receiver
from keyback.application.webhooks.catalogue import CATALOGUE
from keyback.application.webhooks.messages import message_of
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR, MINUTE

STREAM = "webhooks"  # of the audit log
AT_ONCE = 4  # messages under way to one receiver
LEASE = MINUTE  # more than a call may take
WINDOW = 1000  # deliveries of one receiver that wait in the database; all others wait in the audit log
PIECE = 500  # audit rows in one transaction
PATIENT = 3  # calls in a row without success before a receiver is left alone
FIRST_REST, MAX_REST = 5_000, 5 * MINUTE
SECOND = 1000
PAUSES = (
    5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR,
    24 * HOUR,
)  # fmt: skip
JITTER = 0.2
Rand = Callable[[], float]
Answered = tuple[Delivery, Answer]


@dataclass(frozen=True, slots=True)
class Turn:
    """What a lane does next: messages for a receiver; with neither, its receiver is let go."""

    receiver: Receiver | None = None
    deliveries: Sequence[Delivery] = ()
    more: bool = False


def due(tx: Tx) -> Sequence[str]:
    """Receivers that want something now and that no worker is at."""
    return tx.webhooks.due(log_of(tx).head()[0])


async def lane(db: Database, posts: Posts, receiver_id: str, rand: Rand, stopping: Callable[[], bool]) -> int:
    """Sends what one receiver is to get now; how many messages it took."""
    fence, taken = 0, 0
    answered: list[Answered] = []
    while True:
        turn = await db.write(lambda tx: next_turn(tx, receiver_id, fence, answered, rand, stopping()))  # noqa: B023
        if turn.receiver is None or not (turn.deliveries or turn.more):
            return taken
        receiver, fence = turn.receiver, turn.receiver.fence
        now = await db.read(lambda tx: tx.now)
        secrets = receiver.signing(now)
        messages = [message_of(receiver_id, d) for d in turn.deliveries]
        answers = await asyncio.gather(*(posts.post(receiver.url, x, secrets, now) for x in messages))
        answered = list(zip(turn.deliveries, answers, strict=True))
        taken += sum(a.code == "taken" for a in answers)


def next_turn(
    tx: Tx, receiver_id: str, fence: int, answered: Sequence[Answered], rand: Rand, stopping: bool = False
) -> Turn:
    """Writes down what came of the last messages, and gives the next.

    Args:
        fence: number of the lease; 0 to begin.
    """
    receiver = tx.webhooks.lease(receiver_id, LEASE, fence)
    if receiver is None:
        return Turn()  # removed, switched off, or another worker's by now: what was sent is sent again
    if answered:
        receiver = _settle(tx, receiver, answered, rand)
    if stopping or receiver.state == "off" or receiver.rest_until > tx.now:
        tx.webhooks.release(receiver_id)
        return Turn()
    receiver, more = _fill(tx, receiver)
    found = tx.webhooks.claim(receiver_id, AT_ONCE if receiver.failures < PATIENT else 1)
    if not found and not more:
        tx.webhooks.release(receiver_id)
    return Turn(receiver, found, more)


def _fill(tx: Tx, receiver: Receiver) -> tuple[Receiver, bool]:
    """Deliveries of the next audit rows while there is room; and whether there is more to look at."""
    undelivered = tx.webhooks.undelivered().get(receiver.id)
    room = WINDOW - (undelivered.ready if undelivered else 0)
    if room <= 0:
        return receiver, False
    rows = log_of(tx).rows(receiver.read_to, min(PIECE, room))
    if not rows:
        return receiver, False
    wanted = [(int(r["seq"]), str(r["stream"])) for r in rows if _wants(receiver, r["type"])]
    tx.webhooks.put(receiver.id, wanted)
    receiver = replace(receiver, read_to=int(rows[-1]["seq"]))
    tx.webhooks.save(receiver)
    return receiver, len(rows) == min(PIECE, room)


def _wants(receiver: Receiver, kind: str) -> bool:
    return kind in CATALOGUE and (not receiver.types or kind in receiver.types)


def _settle(tx: Tx, receiver: Receiver, answered: Sequence[Answered], rand: Rand) -> Receiver:
    tx.webhooks.done(receiver.id, [d.event.seq for d, a in answered if a.code == "taken"])
    wait = 0
    for d, a in answered:
        if a.code == "taken":
            continue
        wait = max(wait, a.wait_ms)
        if d.attempts >= len(PAUSES):
            tx.webhooks.give_up(receiver.id, d.event.seq, a.code)
        else:
            pause = max(_about(PAUSES[d.attempts], rand), a.wait_ms)
            tx.webhooks.again(receiver.id, d.event.seq, tx.now + pause, a.code)
    last = answered[-1][1].code
    if any(a.code == "taken" for _, a in answered):
        fine = replace(receiver, failures=0, failing_since=0, taken_at=tx.now, last_code="taken")
        receiver = replace(fine, rest_until=tx.now + wait if wait else 0)
    else:
        failures = receiver.failures + 1
        rest = max(wait, _rest(failures, rand))
        since = receiver.failing_since or tx.now
        receiver = replace(receiver, failures=failures, failing_since=since, last_code=last)
        receiver = replace(receiver, rest_until=tx.now + rest if rest else 0)
    if any(a.code == "gone" for _, a in answered):
        receiver = replace(receiver, state="off", last_code="gone")
        tx.audit.record(STREAM, [Note("webhook_gone", {"webhook": receiver.id})])
    tx.webhooks.save(receiver)
    return receiver


def _rest(failures: int, rand: Rand) -> int:
    """How long a receiver that takes nothing is left alone."""
    return _about(min(FIRST_REST << min(failures - PATIENT, 10), MAX_REST), rand) if failures >= PATIENT else 0


def _about(ms: int, rand: Rand) -> int:
    """A pause that is a little different each time, so that what failed together does not come back together."""
    return round(ms * (1 + JITTER * (2 * rand() - 1)))


class Lanes:
    """The lanes that run in this process.

    Args:
        told: called when one broke, with the error.
    """

    def __init__(
        self,
        db: Database,
        posts: Posts,
        rand: Rand,
        stopping: Callable[[], bool],
        told: Callable[[BaseException], None],
    ) -> None:
        self._db, self._posts, self._rand, self._stopping, self._told = db, posts, rand, stopping, told
        self._running: dict[str, asyncio.Task[int]] = {}
        self.taken = 0

    async def step(self) -> int:
        """Begins a lane for every receiver that wants something; how many began or ended."""
        ended = [i for i, task in self._running.items() if task.done()]
        for receiver_id in ended:
            self._end(self._running.pop(receiver_id))
        begun = [i for i in await self._db.read(due) if i not in self._running]
        for receiver_id in begun:
            work = lane(self._db, self._posts, receiver_id, self._rand, self._stopping)
            self._running[receiver_id] = asyncio.create_task(work)
        return len(begun) + len(ended)

    async def finish(self) -> None:
        """Waits for those that run: each ends with the messages that are under way."""
        running, self._running = self._running, {}
        await asyncio.gather(*running.values(), return_exceptions=True)
        for task in running.values():
            self._end(task)

    def _end(self, task: asyncio.Task[int]) -> None:
        error = task.exception()
        if error is None:
            self.taken += task.result()
        else:
            self._told(error)  # the lease runs out, and it begins again
