"""The five budgets, each as one function from a stage to lines of the report."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench import bare, seed, traffic
from bench.load import fire, write_requests
from bench.machine import Meter, calibrate
from bench.report import Line, auc, judged, spread
from bench.stage import App, Base, Sink, Stage

# Plain Django with an index, median of three rounds side by side with Keyback (bench/peers_target.py), and what
# `calibrate` took in the same rounds. Both belong together: measure them anew together or not at all.
PEER_US, PEER_MS = 2552.0, 29.0
CONNECTIONS = 32
PEOPLE = 20_000
TIMING_LIMIT = 0.01


@dataclass
class Run:
    """How much to measure, and how fast the machine was meanwhile."""

    stage: Stage
    quick: bool = False
    people: int = 1_000_000
    speeds: list[float] = field(default_factory=list)

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 5

    @property
    def secs(self) -> float:
        return 2.0 if self.quick else 4.0

    def budget(self, share: float) -> float:
        """A share of what the peer takes, in microseconds, at the speed that this machine has just now."""
        return PEER_US / share * statistics.median(self.speeds) / PEER_MS

    def noise(self) -> str:
        """How fast the machine was, and how steady."""
        least, most = min(self.speeds, default=0), max(self.speeds, default=0)
        return f"A fixed piece of work took {least:.1f} to {most:.1f} ms of CPU during the run: so much of it is noise."

    def burst(self, app: App, base: Base, requests: Iterator[tuple[int, bytes]], sink: Sink | None) -> dict[str, Any]:
        """One burst and, with a sink, the drain behind it; CPU microseconds a request over both."""
        self.speeds.append(calibrate())
        file = self.stage.folder / "requests.bin"
        write_requests(file, requests)
        meter = Meter([app.child.pid], base.pids)
        before = sink.count if sink else 0
        done = fire(app.port, CONNECTIONS, self.secs, file)
        done["drain_s"] = traffic.drain(base, sink) if sink else 0.0
        done |= meter.read(done["n"])
        done["mails"] = sink.count - before if sink else 0
        refused = {s: n for s, n in done["status"].items() if s not in ("202", "303")}
        if refused or done["lost"]:
            raise SystemExit(f"requests were refused or lost: {refused}, {done['lost']}")
        return done


def accept(run: Run) -> list[Line]:
    """(a) Accepting a request, by API and page, on PostgreSQL and SQLite."""
    lines, medians = [], dict[str, float]()
    for kind in ("postgres", "sqlite"):
        base = run.stage.database(kind, PEOPLE)
        with run.stage.app(base) as app:
            for make in (traffic.api, traffic.form):
                figures = []
                for r in range(run.rounds + 1):
                    load = traffic.mixed(app.port, PEOPLE, int(run.secs * 6000), r * 100_000, make)
                    figures.append(run.burst(app, base, load, None))
                figures = figures[1:]  # the first one warms up
                cpu = [f["cpu_us"] for f in figures]
                medians[f"{kind} {make.__name__}"] = median = statistics.median(cpu)
                most = run.budget(16)
                budget, kept = ("", True) if kind == "sqlite" else (f"≤ {most:.0f} µs", median <= most)
                text = f"{spread(cpu)} µs, of it database {statistics.median(f['db_us'] for f in figures):.0f}"
                name = f"accept, {make.__name__}, {kind}"
                raw = {"value": median, "rounds": figures}
                lines.append(Line(name, text, budget, ("kept" if kept else "broken") if budget else "-", raw))
    ratio = medians["sqlite api"] / medians["postgres api"]
    lines.append(judged("accept, SQLite to PostgreSQL", ratio, f"{ratio:.2f}×", "≤ 1.0×", ratio <= 1.0))
    return lines


def limits(run: Run) -> list[Line]:
    """What the same things cost with nothing around them."""
    stage = run.stage
    asgi = bare.answer(stage, run.secs, CONNECTIONS)
    lines = [Line("bare: ASGI answer", f"{asgi:.0f} µs", raw={"value": asgi})]
    for kind in ("postgres", "sqlite"):
        figure = bare.inserts(stage.database(kind, 10), run.secs / 2, CONNECTIONS // 2)
        lines.append(Line(f"bare: durable row, 16 a commit, {kind}", f"{figure:.0f} µs", raw={"value": figure}))
    with stage.sink() as sink:
        figure = bare.mails(sink)
    lines.append(Line("bare: mail handed over", f"{figure:.0f} µs", raw={"value": figure}))
    sync = bare.fsync_ms(stage.folder)
    lines.append(Line("bare: 8 KiB made durable", f"{sync:.2f} ms", raw={"value": sync}))
    return lines


def chain(run: Run) -> list[Line]:
    """(b) Request, resolved, mail handed over, with everything drained."""
    base, stage = run.stage.database("postgres", 100_000), run.stage
    figures = []
    with stage.sink() as sink, stage.app(base, worker=True, mail_port=sink.port) as app:
        for r in range(run.rounds + 1):
            base.clear()
            load = traffic.mixed(app.port, 100_000, int(run.secs * 2500), r * 7919)
            figures.append(run.burst(app, base, load, sink))
    figures = figures[1:]
    cpu = [f["cpu_us"] for f in figures]
    median, mails = statistics.median(cpu), sum(f["mails"] for f in figures) / sum(f["n"] for f in figures)
    text = (
        f"{spread(cpu)} µs, of it database {statistics.median(f['db_us'] for f in figures):.0f}; {mails:.2f} mails each"
    )
    most = run.budget(7)
    return [judged("chain: request to mail", median, text, f"≤ {most:.0f} µs", median <= most, rounds=figures)]


def timing(run: Run) -> list[Line]:
    """(c) Known and unknown, told apart by nothing but the time of the answer."""
    pairs, stage, lines = 1500 if run.quick else 10_000, run.stage, []
    base = stage.database("postgres", 100_000)
    with stage.sink() as sink, stage.app(base, worker=True, mail_port=sink.port) as app:
        for n, condition in enumerate(("idle", "under load", "SMTP stalled")):
            run.speeds.append(calibrate())
            base.clear()
            sink.stall(condition == "SMTP stalled")
            stop = threading.Event()
            noise = threading.Thread(target=_background, args=(stage, app, stop))
            if condition == "under load":
                noise.start()
            value, error, gap = _told_apart(run, app, pairs, n)
            stop.set()
            if condition == "under load":
                noise.join()
            kept = abs(value - 0.5) <= TIMING_LIMIT + (2 * error if run.quick else 0)
            text = f"AUC {value:.3f}, standard error {error:.3f}, medians {gap:+.0f} µs apart"
            budget = f"0.50 ± {TIMING_LIMIT}" + (", two errors" if run.quick else "")
            name = f"timing, {condition}, {pairs} pairs"
            lines.append(judged(name, value, text, budget, kept, scaled=run.quick, error=error))
            sink.stall(False)
            traffic.drain(base, sink)
    return lines


def _told_apart(run: Run, app: App, pairs: int, n: int) -> tuple[float, float, float]:
    import random

    rng, folder, items = random.Random(n), run.stage.folder, list[tuple[int, bytes]]()
    for i in range(pairs + 100):
        who = (n * (pairs + 100) + i) % 100_000
        pair = [(1, traffic.api(app.port, seed.known(who))), (0, traffic.api(app.port, seed.unknown(who)))]
        rng.shuffle(pair)
        items += [(9 if i < 100 else tag, raw) for tag, raw in pair]
    write_requests(folder / "pairs.bin", items)
    fire(app.port, 1, 600.0, folder / "pairs.bin", folder / "pairs.txt")
    took: dict[str, list[float]] = {"0": [], "1": [], "9": []}
    for line in (folder / "pairs.txt").read_text(encoding="ascii").splitlines():
        tag, ns, status = line.split()
        if status != "202":
            raise SystemExit(f"a request was answered with {status}")
        took[tag].append(int(ns) / 1000)
    value, error = auc(took["1"], took["0"])
    return value, error, statistics.median(took["1"]) - statistics.median(took["0"])


def _background(stage: Stage, app: App, stop: threading.Event) -> None:
    """Requests over four other connections until told to stop."""
    file, first = stage.folder / "background.bin", 0
    while not stop.is_set():
        first += 10_000
        write_requests(file, traffic.mixed(app.port, 100_000, 4000, 50_000 + first))
        fire(app.port, 4, 1.0, file)


def scale(run: Run) -> list[Line]:
    """(e) Many people against few: what a request costs, from accepting to mail, must not grow with them."""
    stage, medians, lines = run.stage, dict[int, float](), []
    few, many = 10_000, 200_000 if run.quick and run.people > 200_000 else run.people
    sizes = sorted({few, many} if run.quick else {1000, few, 100_000, many})
    bases = {n: stage.database("postgres", n, f"p{n}_") for n in sizes}
    figures: dict[int, list[float]] = {n: [] for n in sizes}
    for r in range(run.rounds + 1):  # interleaved: a slow spell of the machine hits both
        for n, base in bases.items():
            base.clear()
            with stage.sink() as sink, stage.app(base, worker=True, mail_port=sink.port) as app:
                load = traffic.mixed(app.port, n, 6000, r * 101)
                done = run.burst(app, base, load, sink)
                if r:
                    figures[n].append(done["cpu_us"])
    for n in sizes:
        medians[n] = statistics.median(figures[n])
        raw = {"value": medians[n], "people": n, "rounds": figures[n]}
        lines.append(Line(f"chain, {n:,} people", f"{spread(figures[n])} µs", raw=raw))
    ratio = medians[many] / medians[few]
    name = f"people: {many:,} to {few:,}"
    lines.append(judged(name, ratio, f"{ratio:.2f}×", "≤ 1.1×", ratio <= 1.1, scaled=run.quick))
    return lines


MEASURES: dict[str, Callable[[Run], list[Line]]] = {
    "limits": limits,
    "accept": accept,
    "chain": chain,
    "timing": timing,
    "scale": scale,
}
