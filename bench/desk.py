"""The help desk's queue and its search: what they cost where a million cases are kept, against a table of those that
wait alone."""

from __future__ import annotations

import asyncio
import statistics
import time

from sqlalchemy import Connection, text

from bench import seed
from bench.machine import calibrate, tree_cpu
from bench.measures import Run
from bench.report import Line, judged, spread
from bench.stage import Base, settle_postgres
from keyback.application.clock import wall_clock
from keyback.application.desk import cases, records
from keyback.application.desk.sessions import Actor
from keyback.application.ports.desk_storage import OperatorSession, QueueQuery
from keyback.domain.operators.roles import Operator, Role
from keyback.domain.operators.service_hours import ServiceHours
from keyback.domain.passwords.rules import PRESETS
from keyback.domain.policy.rules import Policy
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring

WAITING = 1000  # cases that wait, in both
BUDGET = 1.2
BODY = '{"tier":"standard","accounts":[],"evidence":[],"results":[],"submission":""}'
HOURS = ServiceHours()


def desk(run: Run) -> list[Line]:
    """(f) The queue and its search with a million cases, and people among a million, against a thousand of each."""
    many = 200_000 if run.quick and run.people > 200_000 else run.people
    lines = []
    for kind in ("postgres", "sqlite"):
        bases = {n: run.stage.database(kind, n, f"d{n}_") for n in (WAITING, many)}
        for n, base in bases.items():
            with base.connect() as conn:
                write_cases(conn, n)
            if base.pids:
                settle_postgres(base.url)
        figures: dict[tuple[str, int], list[float]] = {(what, n): [] for what in ASKS for n in bases}
        for r in range(run.rounds + 1):  # interleaved: a slow spell of the machine hits both
            run.speeds.append(calibrate())
            for n, base in bases.items():
                for what, ask in ASKS.items():
                    cost = asyncio.run(ask(base, n, 100 if run.quick else 400))
                    if r:
                        figures[what, n].append(cost)
        for (what, n), costs in figures.items():
            lines.append(Line(f"{what}, {kind}, among {n:,}", f"{spread(costs)} µs"))
        for what in ASKS:
            ratio = statistics.median(figures[what, many]) / statistics.median(figures[what, WAITING])
            name = f"{what}, {kind}: {many:,} to {WAITING:,}"
            lines.append(judged(name, ratio, f"{ratio:.2f}×", f"≤ {BUDGET}×", ratio <= BUDGET, scaled=run.quick))
    return lines


def write_cases(conn: Connection, n: int) -> None:
    """A case for each of `n` seeded people; the first thousand wait, every tenth has a ticket."""
    pg = conn.dialect.name == "postgresql"
    ids, series = (seed.IDS_PG, seed.SERIES_PG) if pg else (seed.IDS_SQLITE, seed.SERIES_SQLITE)
    person, case, now = ids.format("p"), ids.format("k"), wall_clock()
    state = f"CASE WHEN i < {WAITING} THEN 'in_review' ELSE 'recovered' END"
    opened, is_open = f"{now} - 1000 * i", f"i < {WAITING}"
    for first in range(0, n, seed.CHUNK):
        rows = series.format(first=first, last=min(n, first + seed.CHUNK) - 1)
        names = "id, person_id, journey, state, version, open, opened_at, expires_at, body"
        values = f"{case}, {person}, 'password', {state}, 3, {is_open}, {opened}, {now} + 86400000, :body"
        conn.execute(text(f"INSERT INTO cases ({names}) SELECT {values} FROM {rows}"), {"body": BODY})
        ticket = f"INSERT INTO desk_work (case_id, ticket) SELECT {case}, 'INC-' || i FROM {rows} WHERE i % 10 = 0"
        conn.execute(text(ticket))


async def _ask(base: Base, n: int, times: int) -> float:
    """CPU microseconds of one round: the first page, one further on, one that is filtered, and three searches; ours and
    the database's."""
    db = SqlDatabase(base.url, Keyring.load(Keyring.fresh_line()))
    now = wall_clock()
    pages = (
        QueueQuery(),
        QueueQuery(after=(now - 500_000, "")),
        QueueQuery(tier="standard", journey="password", until=now - 3_600_000 // 60),
    )
    try:
        for warm in (True, False):
            begun, theirs = time.process_time(), tree_cpu(base.pids)
            for i in range(20 if warm else times):
                for query in pages:
                    found = await db.read(lambda tx, q=query: cases.queue(tx, q, HOURS))
                    assert found.lines
                known, ticket = seed.known(i % WAITING), f"INC-{(i * 7919) % n // 10 * 10}"
                sought = [await db.read(lambda tx, t=t: cases.find(tx, t)) for t in (known, ticket, "INC-none")]
                assert sought[0]
                assert sought[1]
                assert sought[2] is None
            spent = time.process_time() - begun + tree_cpu(base.pids) - theirs
    finally:
        await db.close()
    return spent / times * 1e6


async def _seek(base: Base, n: int, times: int) -> float:
    """CPU microseconds of finding one person by their user name and opening their page, both with their rows in the
    audit log; ours and the database's."""
    db = SqlDatabase(base.url, Keyring.load(Keyring.fresh_line()))
    policy, rules = Policy(), PRESETS["nist"]
    try:
        for warm in (True, False):
            begun, theirs = time.process_time(), tree_cpu(base.pids)
            for i in range(20 if warm else times):
                actor, name = _operator(i, warm), seed.known(i * 7919 % WAITING)
                found = await db.write(lambda tx, a=actor, t=name: records.find(tx, a, t))
                assert found
                await db.write(lambda tx, a=actor, p=found: records.look(tx, a, p, policy, rules))
            spent = time.process_time() - begun + tree_cpu(base.pids) - theirs
    finally:
        await db.close()
    return spent / times * 1e6


def _operator(i: int, warm: bool) -> Actor:
    """Another one every now and then: each may look for sixty people an hour."""
    one = f"{'w' if warm else 'o'}{time.monotonic_ns() // 10**9}{i // 40:04}".ljust(22, "x")
    operator = Operator(one, "Operator", f"{one}@example.com", Role.AGENT, "active")
    return Actor(operator, OperatorSession(b"", one, 0, 0, 0, "", ""), 0)


ASKS = {"queue and search": _ask, "finding a person": _seek}
