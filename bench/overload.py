"""Three times the capacity, offered for a minute: who is sent away, what the others wait, and who goes on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from bench import traffic
from bench.complete import choose, proven
from bench.load import fire, write_requests
from bench.machine import calibrate
from bench.measures import CONNECTIONS, PEOPLE, Run
from bench.report import Line, judged

TIMES, SLOWER, UNDER_WAY = 3, 10.0, 6
CHEAP = {"argon2_t": 2, "argon2_m_kib": 19 * 1024}


def overload(run: Run) -> list[Line]:
    """(f) Far more than can be taken: the rest is told to come again, and what is under way goes on."""
    stage, secs = run.stage, 10.0 if run.quick else 60.0
    base = stage.database("postgres", PEOPLE)
    # The client stands for many networks; of one address no more than two hundred connections would be taken.
    many = {"password": CHEAP, "connections_per_address": 4000}
    with stage.sink() as sink, stage.app(base, worker=True, mail_port=sink.port, **many) as app:
        run.speeds.append(calibrate())
        file, times = stage.folder / "load.bin", stage.folder / "times.txt"
        write_requests(file, traffic.mixed(app.port, PEOPLE, 60_000, 0))
        fire(app.port, CONNECTIONS, 1.0, file)
        full = fire(app.port, CONNECTIONS, 3.0, file)
        capacity = full["n"] / full["secs"]
        traffic.drain(base, sink, 600.0)
        write_requests(file, traffic.mixed(app.port, PEOPLE, 300, 7))
        quiet = fire(app.port, 1, 20.0, file, times)["p99_ms"]
        held = asyncio.run(proven(stage, base, PEOPLE - 100, UNDER_WAY))
        offered = int(capacity * TIMES)
        write_requests(file, traffic.mixed(app.port, PEOPLE, int(offered * secs), 900_000))
        passwords = stage.folder / "passwords.bin"
        write_requests(passwords, ((0, choose(app.port, started)) for started in held))
        done: list[dict[str, Any]] = []
        beside = threading.Timer(secs / 4, lambda: done.append(fire(app.port, 2, 120.0, passwords)))
        beside.start()
        told = _offered(app.port, offered, secs, file)
        beside.join()
        traffic.drain(base, sink, 600.0)
    ratio = told["p99_ms"] / quiet
    went_on = sum(n for status, n in done[0]["status"].items() if status in ("200", "202"))
    shed, taken = told["status"].get("503", 0), told["status"].get("202", 0)
    others = {s: n for s, n in told["status"].items() if s not in ("202", "503")}
    name = f"{TIMES} times the capacity for {secs:.0f} s"
    text = f"{capacity:.0f}/s taken, {told['n']:,} of {told['meant']:,} sent: {taken:,} taken, {shed:,} sent away"
    fair = not others and told["without"] == 0 and told["lost"] == 0
    return [
        judged(name, float(shed), text, "503 with Retry-After", fair, scaled=run.quick, told=told, quiet_p99_ms=quiet),
        judged(f"{name}: p99 to quiet", ratio, f"{told['p99_ms']:.0f} ms, {ratio:.1f}×", f"≤ {SLOWER:.0f}×",
               ratio <= SLOWER, scaled=run.quick),
        judged(f"{name}: recoveries that went on", float(went_on), f"{went_on} of {UNDER_WAY}", "all",
               went_on == UNDER_WAY, scaled=run.quick),
    ]  # fmt: skip


def _offered(port: int, rate: int, secs: float, requests: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.offer", str(port), str(rate), str(secs), str(requests)]
    out: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=Path(__file__).parent.parent))
    return out
