"""Whether somebody really got in, where Keyback couldn't set the password: the system is asked now and then.

Looks come further and further apart. Only a sign-in that the system tells of makes it `done`; else the person is
reminded after a day, and told after three to ask an administrator again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from keyback.application.ports.connectors import Capabilities, Connector, Means, Unavailable
from keyback.application.ports.storage import Database, Tx
from keyback.application.ports.tasks import Task, TaskRules
from keyback.application.tasks import lifecycle as tasks
from keyback.domain.errors import Refusal
from keyback.domain.recovery import case as dc
from keyback.domain.units import HOUR, MINUTE

log = structlog.get_logger("keyback.watch")
LONGEST_WAIT = 4 * HOUR  # between two looks; the first are minutes apart
REMIND_AFTER = 24 * HOUR
GIVE_UP_AFTER = 72 * HOUR
AT_ONCE = 8  # looks side by side: one slow system doesn't hold up the others'
LOOK_S = 20.0  # for one look
LEASE = 2 * MINUTE


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a system says of somebody. `at` is their last sign-in since the watch began (ms), None: none yet."""

    tells: bool
    at: int | None = None


async def look(db: Database, connectors: Mapping[str, Connector], rules: TaskRules) -> int:
    """Asks the systems of those tasks whose turn it is; how many ended. One that cannot be asked is asked later."""
    due = await db.write(lambda tx: [(t, tasks.view_of(tx, t)) for t in tx.tasks.claim(AT_ONCE, LEASE)])
    sightings = await asyncio.gather(
        *(_sighting(connectors.get(t.system), t, view.username, view.external_id) for t, view in due)
    )
    pairs = [(task.id, sighting) for (task, _), sighting in zip(due, sightings, strict=True)]
    ended: list[bool] = []
    if pairs:
        ended = await db.write(lambda tx: [_conclude(tx, rules, t, s) for t, s in pairs])
    return sum(ended)


async def _sighting(connector: Connector | None, task: Task, username: str, external_id: str) -> Sighting | None:
    """What the system says; None when it cannot be asked now."""
    if connector is None:
        return Sighting(tells=False)
    try:
        async with asyncio.timeout(LOOK_S):
            return await seen(connector, username, external_id, task.watch_from)
    except (Unavailable, TimeoutError):
        return None
    except Exception as e:  # of a plug-in; the others are still looked at
        log.error("watch_failed", system=task.system, error=type(e).__name__)
        return None


def can_tell(c: Capabilities) -> bool:
    """Whether a system may say that somebody signed in; with one that can't, the person has to."""
    return any(means in (Means.NATIVE, Means.COMPOSED) for means in (c.activity, c.lookup))


async def seen(connector: Connector, username: str, external_id: str, since: int) -> Sighting:
    """The last sign-in since then (ms), by the sign-ins that a system lists, else by what it says of the account.

    Raises:
        Unavailable: the system cannot be asked.
    """
    c = connector.capabilities
    if c.activity in (Means.NATIVE, Means.COMPOSED):
        happened = await connector.activity(external_id)
        if happened is not None:
            return Sighting(True, max((s.at for s in happened.sign_ins if s.ok and s.at >= since), default=None))
    if c.lookup not in (Means.NATIVE, Means.COMPOSED):
        return Sighting(tells=False)
    account = next((a for a in await connector.find(username) if a.external_id == external_id), None)
    if account is None or account.last_sign_in_at is None:
        return Sighting(tells=False)
    return Sighting(True, account.last_sign_in_at if account.last_sign_in_at >= since else None)


def _conclude(tx: Tx, rules: TaskRules, task_id: str, sighting: Sighting | None) -> bool:
    """Whether the watch is over."""
    task = tx.tasks.get(task_id)
    if task is None or not task.look_at:
        return False  # somebody ended it meanwhile
    if sighting is not None and sighting.at is not None and sighting.at >= task.watch_from:
        task = tasks.end_by_watch(tx, replace(task, watch="seen", seen_at=sighting.at, look_at=0))
        _settle(tx, task)
        tasks.tell(tx, task, "seen")
        return True
    if sighting is not None:
        task = replace(task, watch="looking" if sighting.tells else "blind")
    age = tx.now - task.watch_from
    if age >= GIVE_UP_AFTER:
        task = tx.tasks.save(replace(task, watch="unseen", look_at=0))
        tasks.record_end(tx, task)
        tasks.tell(tx, task, "again")
        return True
    if age >= REMIND_AFTER and not task.reminded:
        task = replace(task, reminded=True)
        tasks.tell(tx, task, "remind_blind" if task.watch == "blind" else "remind")
        if task.state == "open" and not task.asks:
            task = tasks.ask_now(tx, rules, task)
    tx.tasks.save(replace(task, look_at=tx.now + _wait(task), looks=task.looks + 1))
    return False


def _wait(task: Task) -> int:
    return min(LONGEST_WAIT, tasks.FIRST_LOOK << min(task.looks + 1, 10))


def _settle(tx: Tx, task: Task) -> None:
    """The recovery's own result, while it is not closed."""
    case = tx.cases.get(task.case_id) if task.case_id else None
    if case is None:
        return
    try:
        tx.cases.act(case, dc.decide(case, dc.Settle(task.account_id, "done"), tx.now))
    except Refusal:
        return
