"""(d) Completing a reset against the bare argon2id rate of the machine, at the same parameters and threads."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

from bench import bare, seed, traffic
from bench.load import fire, write_requests
from bench.machine import Meter, calibrate
from bench.measures import Run
from bench.report import Line, judged, spread
from bench.stage import SENDER, App, Base, Sink, Stage
from keyback.application.clock import wall_clock
from keyback.application.origin import Origin
from keyback.application.ports.storage import Tx
from keyback.application.recovery import mailed_link, start
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.start import Started
from keyback.bootstrap import build, close
from keyback.domain.challenges import challenge as ch
from keyback.settings import Settings

T, M_KIB, P, THREADS = 3, 65536, 1, 4
AT_ONCE = 12


def complete(run: Run) -> list[Line]:
    """(d) Completing a reset, with either database: throughput against bare argon2id, and the share that is hashing."""
    return [line for kind in ("postgres", "sqlite") for line in _complete(run, kind)]


def _complete(run: Run, kind: str) -> list[Line]:
    stage, n = run.stage, 20 if run.quick else 60
    base = stage.database(kind, 10_000)
    rates, costs, servers, bare_rates, bare_costs, rest = [], [], [], [], [], []
    password = {"argon2_t": T, "argon2_m_kib": M_KIB, "argon2_p": P, "memory_budget_mib": THREADS * M_KIB // 1024}
    with stage.sink() as sink, stage.app(base, worker=True, mail_port=sink.port, password=password) as app:
        for r in range(2 if run.quick else 3):
            run.speeds.append(calibrate())
            held = asyncio.run(proven(stage, base, r * n, n))
            traffic.drain(base, sink)
            file = stage.folder / "passwords.bin"
            write_requests(file, ((0, choose(app.port, started)) for started in held))
            rest.append(_idle(app, base, 2.0 if run.quick else 16.0))
            # Half of the bare hashes before and half behind, so that a slow spell of the machine is in both.
            before = bare.hashes(THREADS, n // 2, T, M_KIB, P)
            mailed, meter, begun = sink.count, Meter([app.child.pid], base.pids), time.monotonic()
            done = fire(app.port, AT_ONCE, 120.0, file)
            took = time.monotonic() - begun
            if set(done["status"]) - {"200", "202"} or done["n"] != n:
                raise SystemExit(f"not every password was taken: {done['status']}")
            _mailed(sink, mailed + n)
            cost = meter.read(n)
            after = bare.hashes(THREADS, n - n // 2, T, M_KIB, P)
            bare_rates.append((before[0] + after[0]) / 2)
            bare_costs.append((before[1] + after[1]) / 2)
            costs.append((cost["cpu_us"] - rest[-1] * cost["wall_s"] / n * 1e6) / 1000)
            servers.append(cost["db_us"] / 1000)
            rates.append(n / took)
            traffic.drain(base, sink)
    ratio = statistics.median(a / b for a, b in zip(rates, bare_rates, strict=True))
    work = statistics.median(b / a for a, b in zip(costs, bare_costs, strict=True))
    raw: dict[str, Any] = {"rates": rates, "bare_rates": bare_rates, "cpu_ms": costs, "bare_cpu_ms": bare_costs}
    raw |= {"db_ms": servers, "idle_cpu_per_s": rest}
    server = f", of it database {statistics.median(servers):.0f}" if base.pids else ""
    told = f"{spread(costs)} ms{server}, bare hash {spread(bare_costs)} ms"
    told += f"; idle, taken off, {1000 * statistics.median(rest):.0f} ms a second"
    return [
        judged(
            f"reset completed, bare argon2id to its CPU, {kind}", work, f"{work:.2f}", "≥ 0.92", work >= 0.92, **raw
        ),
        Line(f"reset completed, CPU, {kind}", told),
        Line(f"reset completed, rate to bare, {kind}", f"{ratio:.2f} of {statistics.median(bare_rates):.1f}/s"),
    ]


def _idle(app: App, base: Base, seconds: float) -> float:
    """CPU seconds a second of an installation that nobody asks anything: no part of what a reset costs."""
    meter = Meter([app.child.pid], base.pids)
    time.sleep(seconds)
    used = meter.read(1)
    return (used["app_s"] + used["db_s"]) / used["wall_s"]


def _mailed(sink: Sink, count: int) -> None:
    """Waits until so many mails have come, without asking the database, whose CPU is being counted."""
    until = time.monotonic() + 60
    while sink.count < count:
        if time.monotonic() > until:
            raise SystemExit("not every notice was mailed")
        time.sleep(0.05)
    time.sleep(0.5)  # what is noted down behind the last one


def choose(port: int, started: Started) -> bytes:
    body = json.dumps({"new_password": f"supper ladder teapot {started.handle[:4]}"}).encode()
    path = f"/api/v1/recoveries/{started.handle}/password"
    return traffic.http(port, path, body, "application/json", f"Authorization: Bearer {started.secret}\r\n")


async def proven(stage: Stage, base: Base, first: int, n: int) -> list[Started]:
    """Recoveries of `n` people whose proof is accepted, made without faces."""
    mail = {"host": "127.0.0.1", "port": 1, "security": "plain", "sender": SENDER}
    services = build(Settings(database_url=base.url, keyring=stage.keyring_line, data_dir=stage.folder, mail=mail))
    db, seals, out = services.db, services.seals, []
    here = Origin("127.0.0.1", traffic.AGENT)
    for i in range(first, first + n):
        asked = {"journey": "password", "system": "", "locale": "en", "origin": here, "now": wall_clock()}
        out.append(await start.write_down(db, seals, seed.known(i), **asked))  # type: ignore[arg-type]

    def code_of(tx: Tx, handle: str) -> str | None:
        put = tx.challenges.issued(handle, "email_link")
        return ch.mail_code(seals.derive("challenge", put[-1].key_id), put[-1].nonce) if put else None

    until = time.monotonic() + 60
    for started in out:
        while (code := await db.read(lambda tx, h=started.handle: code_of(tx, h))) is None:  # the app's worker puts it
            if time.monotonic() > until:
                raise SystemExit("no mail was written for a recovery")
            await asyncio.sleep(0.05)
        mailed, where = services.proofs["email_link"], Here(here, services.policy)
        answer, _ = await mailed_link.try_code(db, mailed, started.handle, code, where)
        if answer != "accepted":
            raise SystemExit(f"a proof was not accepted: {answer}")
    await close(services)
    return out
