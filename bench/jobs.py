"""(h) What the worker costs for each password that it sets in a system, beside what the system itself takes."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Sequence
from dataclasses import replace

from bench import seed, traffic
from bench.machine import Meter, calibrate
from bench.measures import Run
from bench.report import Line
from bench.stage import SENDER, Base, Stage
from keyback.application.clock import wall_clock
from keyback.application.origin import Origin
from keyback.application.ports.connectors import Capabilities, Means, Outcome, Plan, Step
from keyback.application.ports.storage import Tx
from keyback.application.recovery import mailed_link, new_password, resolve, start
from keyback.application.recovery.evidence import Here
from keyback.application.services import Services
from keyback.bootstrap import build, close
from keyback.connectors.base import ConnectorBase
from keyback.domain.challenges import challenge as ch
from keyback.domain.secret import Secret
from keyback.settings import Settings
from keyback.worker import Worker

PEOPLE = 10_000


class AtOnce(ConnectorBase):
    """A system that answers at once, so that only Keyback's own work is measured."""

    name, title = "builtin", "Keyback"
    capabilities = Capabilities(set_password=Means.NATIVE)

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        return [Outcome(Step.SET, "done"), Outcome(Step.CONFIRM, "done")]


def jobs(run: Run) -> list[Line]:
    """(h) Jobs applied per CPU second, with a system that answers at once."""
    lines, n = [], 200 if run.quick else 1000
    for kind in ("postgres", "sqlite"):
        base = run.stage.database(kind, PEOPLE, "j_")
        rates = []
        for r in range(run.rounds):
            run.speeds.append(calibrate())
            cpu_us = asyncio.run(_apply(run.stage, base, r * n, n))
            base.clear()
            rates.append(1e6 / cpu_us)
        text = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        lines.append(Line(f"jobs applied per CPU second, {kind}", text, raw={"per_cpu_second": rates}))
    return lines


async def _apply(stage: Stage, base: Base, first: int, n: int) -> float:
    """CPU microseconds of ours and the database's for each of `n` jobs."""
    mail = {"host": "127.0.0.1", "port": 1, "security": "plain", "sender": SENDER}
    built = build(Settings(database_url=base.url, keyring=stage.keyring_line, data_dir=stage.folder, mail=mail))
    s = replace(built, connectors={"builtin": AtOnce()})
    try:
        await _chosen(s, first, n)
        worker = Worker(s)
        meter = Meter([os.getpid()], base.pids)
        while await worker._apply():
            pass
        if worker.tally.applies != {"done": n}:
            raise SystemExit(f"not every password was set: {worker.tally.applies}")
        return float(meter.read(n)["cpu_us"])
    finally:
        await close(built)


async def _chosen(s: Services, first: int, n: int) -> None:
    """Recoveries of `n` people who have chosen a new password, sealed into a job each."""
    origin = Origin("127.0.0.1", traffic.AGENT)
    here, started = Here(origin, s.policy), []
    for i in range(first, first + n):
        asked = {"journey": "password", "system": "", "locale": "en", "origin": origin, "now": wall_clock()}
        started.append(await start.write_down(s.db, s.seals, seed.known(i), **asked))  # type: ignore[arg-type]
    while await s.db.read(lambda tx: tx.intakes.waiting()):
        await s.db.write(resolve.resolve)

    def code_of(tx: Tx, handle: str) -> str:
        c = tx.challenges.issued(handle, "email_link")[-1]
        return ch.mail_code(s.seals.derive("challenge", c.key_id), c.nonce)

    def choose(tx: Tx, handle: str) -> None:
        intake = tx.intakes.get(handle)
        assert intake is not None
        assert intake.case_id is not None
        new_password.choose(tx, intake.case_id, handle, Secret("supper ladder teapot 7"), (), handle, here)

    for x in started:
        code = await s.db.read(lambda tx, h=x.handle: code_of(tx, h))
        answer, _ = await mailed_link.try_code(s.db, s.proofs["email_link"], x.handle, code, here)
        if answer != "accepted":
            raise SystemExit(f"a proof was not accepted: {answer}")
        await s.db.write(lambda tx, h=x.handle: choose(tx, h))
