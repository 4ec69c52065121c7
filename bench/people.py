"""Bringing in people, by a file and from a system: how many a CPU second takes, and with how much memory."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from bench.machine import tree_cpu
from bench.measures import Run
from bench.report import Line, judged
from bench.stage import ROOT
from keyback.application.people.import_csv import Systems, import_people
from keyback.application.people.saving import Changes
from keyback.application.people.sync import sync_people
from keyback.application.people.sync_batch import SyncRules
from keyback.application.ports.connectors import FoundAccount
from keyback.connectors.base import ConnectorBase
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring

PEOPLE = 100_000
PAGE = 200
LEAST = 4000  # people in a CPU second
MOST_MIB = 200


def people(run: Run) -> list[Line]:
    """Bringing in 100,000 people, by `import` and by `sync`: new ones, and the same ones again.

    On PostgreSQL its server's CPU is counted too; the rate of our own process alone stands beside it.
    """
    return [line for kind in ("sqlite", "postgres") for how in ("import", "sync") for line in _of(run, kind, how)]


def _of(run: Run, kind: str, how: str) -> list[Line]:
    base = run.stage.database(kind, 0, f"{how}_")
    # A process of its own: its memory is what the command takes.
    said = [base.url, str(run.stage.folder), ",".join(map(str, base.pids))]
    command = [sys.executable, "-m", "bench.people", how, *said]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-500:])
    figures: dict[str, Any] = json.loads(done.stdout)
    lines = []
    for what in ("new", "same"):
        rate, name = figures[what], f"{how}, {kind}, {PEOPLE} people, {what}"
        alone = f", {figures[what + '_alone']:.0f} without the server" if base.pids else ""
        lines.append(judged(name, rate, f"{rate:.0f} a CPU second{alone}", f"≥ {LEAST}", rate >= LEAST))
    most = figures["peak_mib"]
    name = f"{how}, {kind}, peak memory"
    lines.append(judged(name, most, f"{most:.0f} MiB", f"≤ {MOST_MIB} MiB", most <= MOST_MIB))
    return lines


class Listing(ConnectorBase):
    """A system that answers at once, so that nothing but our own part is measured."""

    name, title = "crm", "CRM"

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        for a in range(0, PEOPLE, PAGE):
            yield [
                FoundAccount(f"id-{n}", f"user{n}", f"user{n}@example.com", f"Person {n}") for n in range(a, a + PAGE)
            ]


async def _measure(how: str, url: str, folder: Path, pids: Sequence[int]) -> dict[str, float]:
    file = folder / "people.csv"
    if how == "import":
        with file.open("w", encoding="utf-8") as f:
            f.write("key,name,email,username,system,external_id\n")
            f.writelines(f"{n},Person {n},user{n}@example.com,user{n},crm,id-{n}\n" for n in range(PEOPLE))
    db = SqlDatabase(url, Keyring.load(Keyring.fresh_line()))
    out = {}
    for what in ("new", "same"):
        before, server = time.process_time(), tree_cpu(pids)
        done: Changes
        if how == "import":
            systems = Systems({"crm": "CRM"}, frozenset({"crm"}), default_system="crm")
            done = await import_people(db, file, systems, on_bad=print)
        else:
            done = await sync_people(db, Listing(), what, SyncRules())
        alone = time.process_time() - before
        out[what], out[f"{what}_alone"] = PEOPLE / (alone + tree_cpu(pids) - server), PEOPLE / alone
        if (done.added, done.same) != ((PEOPLE, 0) if what == "new" else (0, PEOPLE)):
            raise SystemExit(f"{how} came to something else: {done.added} added, {done.same} the same")
    await db.close()
    return {**out, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    server = [int(pid) for pid in sys.argv[4].split(",") if pid]
    print(json.dumps(asyncio.run(_measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]), server))))
