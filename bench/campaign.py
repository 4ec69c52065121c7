"""A campaign over everybody: people counted, asked, and handed to the mail server, and what others notice of it."""

from __future__ import annotations

import secrets
import socket
import statistics
import threading
import time

from sqlalchemy import text

from bench import seed, traffic
from bench.machine import Meter, calibrate, peak_mib
from bench.measures import Run
from bench.report import Line, judged, spread
from bench.stage import App, Base, Sink
from keyback.application.clock import wall_clock

LEAST, SLOWER = 1000, 2.0  # people in a CPU second; p99 of /forgot against a quiet one
MEMORY_MIB = 200.0  # of pages and worker in one process, however many people
EVERY_S = 0.02  # between requests of others: as an installation of 100,000 people has on its worst morning
BODY = (
    '{"selection":{"system":"","tier":"","older_days":0,"listed":false},'
    '"pacing":{"per_minute":0,"quiet_from":0,"quiet_until":0},"end_sessions":false,"must_renew":false}'
)
ADD = """INSERT INTO campaigns (id, name, state, reason, body, drafted_by, drafted_at, version)
 VALUES (:id, 'bench', 'collecting', 'incident', :body, 'bench', :at, 1)"""
GO = "UPDATE campaigns SET state = 'running', decided_at = :at, paced_at = :at, looked_at = :at WHERE id = :id"
STATE = "SELECT state FROM campaigns WHERE id = :id"


def campaign(run: Run) -> list[Line]:
    """Two campaigns of everybody a round: one by itself, for what a person costs, and one with a request of somebody
    else every 20 ms meanwhile, for what those notice."""
    n = 10_000 if run.quick else 100_000
    base, rates, mixed, ratios, figures = run.stage.database("postgres", n, "camp_"), [], [], [], []
    with run.stage.sink() as sink, run.stage.app(base, worker=True, mail_port=sink.port) as app:
        _others(app, 2.0, 0)  # warms up
        for r in range(run.rounds):
            run.speeds.append(calibrate())
            quiet = _others(app, run.secs, (r + 1) * 1000)
            traffic.drain(base, sink)
            alone = _measured(app, base, sink, n)
            took, stop = list[float](), threading.Event()
            beside = threading.Thread(target=lambda: took.extend(_others(app, 600, (r + 1) * 5000, stop)))  # noqa: B023
            beside.start()
            try:
                shared = _measured(app, base, sink, n)
            finally:
                stop.set()
                beside.join()
            rates.append(1e6 / alone["cpu_us"])
            mixed.append(1e6 / shared["cpu_us"])
            ratios.append(_p99(took) / _p99(quiet))
            figures += [alone, {**shared, "others": len(took)}]
            traffic.drain(base, sink)
        memory = peak_mib(app.child.pid)
    rate, ratio = statistics.median(rates), statistics.median(ratios)
    told = (
        f"{spread(rates)} a CPU second; {spread(mixed)} with others' requests; {n:,} in {figures[0]['seconds']:.0f} s"
    )
    return [
        judged("campaign: people to mail", rate, told, f"≥ {LEAST}", rate >= LEAST, scaled=run.quick, rounds=figures),
        judged(
            "campaign: p99 of /forgot to quiet",
            ratio,
            f"{spread(ratios)}×",
            f"≤ {SLOWER}×",
            ratio <= SLOWER,
            scaled=run.quick,
        ),
        judged(
            f"campaign: memory, {n:,} people",
            memory,
            f"{memory:.0f} MiB",
            f"≤ {MEMORY_MIB:.0f} MiB",
            memory <= MEMORY_MIB,
            scaled=run.quick,
        ),
    ]


def _measured(app: App, base: Base, sink: Sink, n: int) -> dict[str, float]:
    """What a whole campaign cost: CPU for each person, and seconds."""
    before, meter, begun = sink.count, Meter([app.child.pid], base.pids), time.monotonic()
    _whole(base)
    done, mails = meter.read(n), sink.count - before
    if mails < n:
        raise SystemExit(f"{n - mails} people were not mailed")
    return {**done, "seconds": time.monotonic() - begun, "mails": mails}


def _whole(base: Base) -> None:
    """Drafts, lets it count, lets it go, and waits until the last one is asked."""
    name = secrets.token_urlsafe(16)
    with base.connect() as conn:
        conn.execute(text(ADD), {"id": name, "body": BODY, "at": wall_clock()})
    _wait(base, name, "drafted")
    with base.connect() as conn:
        conn.execute(text(GO), {"id": name, "at": wall_clock()})
    _wait(base, name, "done")


def _wait(base: Base, name: str, state: str) -> None:
    until = time.monotonic() + 600
    while time.monotonic() < until:
        with base.connect() as conn:
            if conn.execute(text(STATE), {"id": name}).scalar_one() == state:
                return
        time.sleep(0.5)
    raise SystemExit(f"the campaign was not {state} after ten minutes")


def _others(app: App, seconds: float, first: int, stop: threading.Event | None = None) -> list[float]:
    """What requests took, one every 20 ms over one connection, half of them for somebody; ms."""
    took: list[float] = []
    end = time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", app.port), 30) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        n = first
        while time.monotonic() < end and not (stop and stop.is_set()):
            n += 1
            begun = time.monotonic()
            s.sendall(traffic.form(app.port, seed.known(n) if n % 2 else seed.unknown(n)))
            answer = s.recv(65_536)
            took.append((time.monotonic() - begun) * 1000)
            if not answer.startswith(b"HTTP/1.1 303"):
                raise SystemExit(f"refused: {answer[:60]!r}")
            time.sleep(max(0.0, EVERY_S - (time.monotonic() - begun)))
    return took


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]
