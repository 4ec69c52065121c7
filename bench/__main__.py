"""`scripts/bench [--quick] [--only NAME] [--people N] [--json FILE]`: the budgets, and this machine's figures."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from bench.breach import breach
from bench.campaign import campaign
from bench.complete import complete
from bench.desk import desk
from bench.jobs import jobs
from bench.measures import MEASURES, Run
from bench.overload import overload
from bench.pages import pages
from bench.people import people
from bench.report import Line, as_json, show
from bench.stage import Stage
from bench.start import start

ALL = {
    **MEASURES,
    "complete": complete,
    "breach": breach,
    "people": people,
    "desk": desk,
    "campaign": campaign,
    "jobs": jobs,
    "pages": pages,
    "start": start,
    "overload": overload,
}


def main() -> None:
    p = argparse.ArgumentParser(prog="scripts/bench", description="Measures Keyback against its budgets.")
    p.add_argument(
        "--quick", action="store_true", help="fewer rounds and pairs: minutes instead of a quarter of an hour"
    )
    p.add_argument("--only", action="append", choices=sorted(ALL), help="this measure only; may be repeated")
    p.add_argument("--people", type=int, default=1_000_000, help="how many are many (default 1000000)")
    p.add_argument("--json", type=Path, help="write every figure of every round to this file")
    p.add_argument("--list", action="store_true", help="name the measures")
    args = p.parse_args()
    if args.list:
        for name, measure in ALL.items():
            print(f"{name:10} {(measure.__doc__ or '').splitlines()[0]}")
        return
    lines: list[Line] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="keyback-bench-") as folder:
        Path(folder).chmod(0o711)  # the embedded PostgreSQL runs as a user of its own
        with Stage(Path(folder)) as stage:
            run = Run(stage, args.quick, args.people)
            for name in args.only or ALL:
                print(f"measuring {name} …", end=" ", flush=True)
                begun = time.monotonic()
                try:
                    lines += ALL[name](run)
                except (SystemExit, OSError) as e:  # the other figures are not lost with it
                    failed.append(f"{name}: {e}")
                print(f"{time.monotonic() - begun:.0f} s", flush=True)
    show(lines, run.noise())
    if args.json:
        args.json.write_text(json.dumps({"lines": as_json(lines), "speeds_ms": run.speeds}, indent=1), encoding="utf-8")
    if failed:
        raise SystemExit("not measured: " + "; ".join(failed))


if __name__ == "__main__":
    main()
