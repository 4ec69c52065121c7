"""CPU time of processes and how fast and how quiet the machine is just now (Linux: /proc)."""

from __future__ import annotations

import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HZ = os.sysconf("SC_CLK_TCK")


def parent(pid: int) -> int:
    """The parent of a process, 0 when it is gone."""
    found = _stat(pid)
    return found[0] if found else 0


def _stat(pid: int) -> tuple[int, int] | None:
    """Parent, and clock ticks used by the process and its reaped children."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    f = raw[raw.rindex(b")") + 2 :].split()
    return int(f[1]), sum(int(x) for x in f[11:15])


def tree_cpu(roots: Sequence[int]) -> float:
    """CPU seconds (user and system) that these processes and all their descendants have used so far."""
    stats = {int(d): s for d in os.listdir("/proc") if d.isdigit() and (s := _stat(int(d)))}
    children: dict[int, list[int]] = defaultdict(list)
    for pid, (up, _) in stats.items():
        children[up].append(pid)
    todo, seen, ticks = list(roots), set[int](), 0
    while todo:
        pid = todo.pop()
        if pid in seen or pid not in stats:
            continue
        seen.add(pid)
        ticks += stats[pid][1]
        todo += children[pid]
    return ticks / HZ


def memory_mib(pid: int) -> float:
    """Proportional set size of one process, MiB; 0 when the kernel does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def peak_mib(pid: int) -> float:
    """The most memory that one process ever had, MiB, what it shares included; 0 when the kernel does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def busy() -> float:
    """CPU seconds that the whole machine has worked so far."""
    f = [int(x) / HZ for x in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    return f[0] + f[1] + f[2] + f[5] + f[6]


def calibrate() -> float:
    """CPU ms of a fixed piece of work, best of three: other tenants slow a shared machine by a quarter and more."""
    best = float("inf")
    block = b"x" * 65536
    for _ in range(3):
        start, x = time.process_time(), 0
        for i in range(300_000):
            x += i * i & 255
        for _ in range(150):
            hashlib.sha256(block).digest()
        best = min(best, time.process_time() - start)
    return round(best * 1e3, 2)


@dataclass
class Meter:
    """CPU of the application and of the database between two moments.

    Args:
        app: pids of the application's processes.
        db: pids of the database's, empty for SQLite (its work is the application's).
    """

    app: Sequence[int]
    db: Sequence[int] = ()

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._app, self._db, self._busy, self._at = tree_cpu(self.app), tree_cpu(self.db), busy(), time.monotonic()

    def read(self, n: int) -> dict[str, float]:
        """Microseconds a request since `start`, of both; `machine_s`: what everything on the machine used."""
        app, db = tree_cpu(self.app) - self._app, tree_cpu(self.db) - self._db
        n = max(1, n)
        return {
            "app_us": round(app / n * 1e6, 1),
            "db_us": round(db / n * 1e6, 1),
            "cpu_us": round((app + db) / n * 1e6, 1),
            "app_s": app,
            "db_s": db,
            "machine_s": busy() - self._busy,
            "wall_s": time.monotonic() - self._at,
        }
