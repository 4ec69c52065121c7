"""Connected systems and how they are, from what storage knows: nobody calls a vendor to show a page.

The worker notes, now and then, how its calls went. Calls of other processes are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from keyback.application.ports.connectors import Capabilities, Connector
from keyback.application.ports.storage import Database, Tx
from keyback.application.ports.syncs import SyncRun
from keyback.application.ports.system_states import SystemHealth, SystemWork
from keyback.domain.units import HOUR, MINUTE

COUNTED = 1000  # of changes and of tasks: beyond, the page says that there are more
EVERY = 5 * MINUTE  # how exact the last good call is while all is well
CHECK_OLD = 7 * 24 * HOUR

Face = Literal["ok", "care", "stop", "unknown"]


@dataclass(frozen=True, slots=True)
class SystemLine:
    """A connected system.

    Args:
        face: `stop`: it can't be reached, or its last check failed; `care`: something waits for somebody;
            `unknown`: nobody has called or checked it yet.
        tasks: open tasks of administrators by their kind; `oldest_task` since when (ms), 0 for none.
        own: Keyback keeps its passwords, so there is nothing to reach.
        guided: people change their password there themselves.
        check_old: the last check is more than a week ago.
    """

    name: str
    title: str
    face: Face
    state: SystemHealth
    work: SystemWork
    tasks: Mapping[str, int]
    oldest_task: int
    sync: SyncRun | None
    capabilities: Capabilities
    own: bool
    guided: bool
    check_old: bool


@dataclass(frozen=True, slots=True)
class SystemsSeen:
    """All of them in the order of the settings. `full`: more waits than was counted. `now`: ms."""

    lines: tuple[SystemLine, ...]
    full: bool
    now: int


def look(tx: Tx, connectors: Mapping[str, Connector], titles: Mapping[str, str]) -> SystemsSeen:
    """Every connected system, with what waits for it."""
    states, runs = tx.system_states.all(), {r.system: r for r in tx.syncs.runs()}
    work, more_work = tx.system_states.work(COUNTED)
    tasks, more_tasks = tx.system_states.open_tasks(COUNTED)
    counts: dict[str, dict[str, int]] = {}
    oldest: dict[str, int] = {}
    for system, kind, at in tasks:
        kinds = counts.setdefault(system, {})
        kinds[kind] = kinds.get(kind, 0) + 1
        oldest.setdefault(system, at)
    lines = []
    for name, connector in connectors.items():
        state, jobs, run = states.get(name, SystemHealth(name)), work.get(name, SystemWork()), runs.get(name)
        waits, own = counts.get(name, {}), name == "builtin"
        lines.append(
            SystemLine(
                name,
                titles.get(name, name),
                _face(state, jobs, run, bool(waits), own),
                state,
                jobs,
                waits,
                oldest.get(name, 0),
                run,
                connector.capabilities,
                own,
                connector.capabilities.set_password.value == "guided",
                0 < state.checked_at < tx.now - CHECK_OLD,
            )
        )
    return SystemsSeen(tuple(lines), more_work or more_tasks, tx.now)


def _face(state: SystemHealth, work: SystemWork, run: SyncRun | None, tasks: bool, own: bool) -> Face:
    if state.failing_since or (state.check_status == "bad" and state.checked_at >= state.good_at):
        return "stop"
    stuck = run is not None and run.state in ("held", "broken")
    if work.failing or work.dead or stuck or tasks or state.check_status in ("warn", "bad"):
        return "care"
    return "ok" if own or state.good_at or state.check_status else "unknown"


async def note(db: Database, connectors: Mapping[str, Connector]) -> int:
    """Writes down how this process's calls went, where that is news: how many systems that were."""
    seen = {n: h for n, c in connectors.items() if (h := c.health).reached_ago_ms is not None or h.missing_for_ms}
    if not seen:
        return 0

    def due(tx: Tx) -> dict[str, tuple[int, int]]:
        states, out = tx.system_states.all(), {}
        for name, h in seen.items():
            before = states.get(name, SystemHealth(name))
            good = max(before.good_at, tx.now - h.reached_ago_ms if h.reached_ago_ms is not None else 0)
            since = tx.now - h.missing_for_ms if h.missing_for_ms is not None else 0
            # What another node reached since then is no failure any more.
            since = 0 if since < before.good_at and since else since
            turned = bool(since) != bool(before.failing_since)
            if turned or (not since and good - before.good_at >= EVERY):
                out[name] = (good, since)
        return out

    news = await db.read(due)

    def put(tx: Tx) -> None:
        for name, (good, since) in due(tx).items():
            tx.system_states.reached(name, good, since)

    if news:
        await db.write(put)
    return len(news)
