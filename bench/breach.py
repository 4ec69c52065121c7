"""(g) The file of leaked passwords: what building it and looking into it cost, beside the bare limits."""

from __future__ import annotations

import hashlib
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.machine import calibrate
from bench.measures import Run
from bench.report import Line, judged
from keyback.storage.breach.lookup import BreachFile

ENTRIES, QUICK_ENTRIES = 10_000_000, 1_000_000
FP = 1e-4
LOOK_UPS, NEVER_LEAKED = 20_000, 1_000_000
LOOK_UP_US = 20.0  # the design says "a look-up in microseconds"; hashing the password takes a thousand times that
CHUNK = 1 << 14

# Builds as `keyback breach build` does, in a process of its own, so that its memory and CPU can be read.
BUILD = """
import json, resource, sys
from keyback.cli import main
main(["breach", "build", sys.argv[1], "--out", sys.argv[2], "--fp", sys.argv[3], "--json"], standalone_mode=False)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}))
"""


def password(n: int) -> str:
    return f"leaked {n}"


def write_list(path: Path, entries: int) -> None:
    """A list of SHA-1 as they are published, of invented passwords and of random hashes."""
    rng = random.Random(1)
    with path.open("wb") as f:
        for n in range(LOOK_UPS):
            f.write(hashlib.sha1(password(n).encode(), usedforsecurity=False).hexdigest().upper().encode() + b"\n")
        for start in range(LOOK_UPS, entries, CHUNK):
            some = rng.randbytes(20 * min(CHUNK, entries - start)).hex().upper()
            f.write("".join(f"{some[i : i + 40]}:3\n" for i in range(0, len(some), 40)).encode())


def breach(run: Run) -> list[Line]:
    """(g) A breach file of ten million entries: building it, its size, a look-up, false positives."""
    entries = QUICK_ENTRIES if run.quick else ENTRIES
    source, out = run.stage.folder / "leaked.txt", run.stage.folder / "leaked.kbl"
    run.speeds.append(calibrate())
    write_list(source, entries)
    args = [sys.executable, "-c", BUILD, str(source), str(out), str(FP)]
    done = subprocess.run(args, capture_output=True, text=True, check=True, timeout=1800)
    size = source.stat().st_size
    source.unlink()
    used = json.loads(done.stdout.strip().splitlines()[-1])
    file = BreachFile(out)
    try:
        bits = out.stat().st_size * 8 / len(file)
        known = [password(n) for n in range(LOOK_UPS)]
        took = _cpu_us(lambda: sum(p in file for p in known), LOOK_UPS)
        found = sum(p in file for p in known)
        sha1 = _cpu_us(lambda: [hashlib.sha1(p.encode(), usedforsecurity=False).digest() for p in known], LOOK_UPS)
        rng = random.Random(2)
        wrong = sum(file.holds(rng.getrandbits(64)) for _ in range(NEVER_LEAKED)) / NEVER_LEAKED
    finally:
        file.close()
    if found != LOOK_UPS:
        raise SystemExit(f"breach: {LOOK_UPS - found} leaked passwords were not found")
    slack = 4 * math.sqrt(FP / NEVER_LEAKED)
    name = f"breach, {entries:,} entries"
    cost = used["cpu_s"] / entries * 1e6
    built = f"{cost:.2f} s of CPU a million; {used['peak_mib']:.0f} MiB; list {size / 2**20:.0f} MiB"
    return [
        Line(f"{name}: building", built, raw=used),
        Line(f"{name}: size", f"{bits:.1f} bits an entry", f"bare limit {math.log2(1 / FP):.1f}", raw={"bits": bits}),
        judged(
            f"{name}: a look-up",
            took,
            f"{took:.1f} µs; bare SHA-1 {sha1:.1f}",
            f"{LOOK_UP_US:.0f} µs",
            took <= LOOK_UP_US,
        ),
        judged(f"{name}: false positives", wrong, f"{wrong:.2e}", f"{FP:.0e}", wrong <= FP + slack),
    ]


def _cpu_us(work: Callable[[], object], n: int) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) / n * 1e6
