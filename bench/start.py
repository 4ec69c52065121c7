"""From the command to the first answer, and the memory that is used after many requests."""

from __future__ import annotations

import statistics
import time

from bench import traffic
from bench.load import fire, write_requests
from bench.machine import calibrate, memory_mib, tree_cpu
from bench.measures import CONNECTIONS, PEOPLE, Run
from bench.report import Line, judged, spread
from bench.systems import every_system

START_S, MEMORY_MIB, REQUESTS = 2.0, 120.0, 20_000


def start(run: Run) -> list[Line]:
    """Start to ready, every connector configured, with what is kept of a start before; and memory after 20,000
    requests, mailed and all."""
    base, cpu, took, memory = run.stage.database("postgres", PEOPLE), [], [], 0.0
    many, systems = REQUESTS // 4 if run.quick else REQUESTS, every_system(run.stage.folder)
    with run.stage.sink() as sink:
        for r in range(run.rounds + 1):
            run.speeds.append(calibrate())
            begun = time.monotonic()
            with run.stage.app(base, worker=True, mail_port=sink.port, systems=systems) as app:
                if r:  # the first one compiles templates
                    cpu.append(tree_cpu([app.child.pid]))
                    took.append(time.monotonic() - begun)
                if r == run.rounds:
                    file = run.stage.folder / "many.bin"
                    write_requests(file, traffic.mixed(app.port, PEOPLE, many, 0))
                    fire(app.port, CONNECTIONS, 600.0, file)
                    traffic.drain(base, sink, 600.0)
                    memory = memory_mib(app.child.pid)
    ready = statistics.median(cpu)
    text = f"{ready:.1f} s of CPU, {spread([1000 * s for s in took])} ms by the clock"
    return [
        judged("start to ready", ready, text, f"≤ {START_S:.0f} s", ready <= START_S, cpu_s=cpu, took_s=took),
        judged(f"memory after {many:,} requests", memory, f"{memory:.0f} MiB", f"≤ {MEMORY_MIB:.0f} MiB",
               memory <= MEMORY_MIB, scaled=run.quick),
    ]  # fmt: skip
