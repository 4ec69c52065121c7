"""Nothing about a request to recover depends on whether it means somebody: work, bytes and, measured, time."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from bench import seed
from bench.report import auc
from bench.traffic import api, form
from keyback.application.origin import Origin
from keyback.application.signin import sign_in
from keyback.domain.secret import Secret
from keyback.storage.database import SqlDatabase
from keyback.web.app import make_app, make_context
from keyback.worker import Worker
from tests.support.enrolled import SMS
from tests.support.kit import Kit, person

pytestmark = pytest.mark.both

PORT = 8080
ALL = dict.fromkeys(("recoveries", "proofs", "sign_ins", "checks"), 10**9)
KNOWN, UNKNOWN = seed.known(1), seed.unknown(1)


@pytest.fixture
def kit(database_url: str, make_kit: Callable[..., Kit]) -> Kit:
    kit = make_kit(url=database_url, limits=ALL)
    kit.write(lambda tx: seed.people(tx.conn, 700))
    return kit


async def ask(app: Any, raw: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """One raw request straight into the application: status, headers, body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    path = lines[0].split()[1].decode()
    headers = [(k.lower(), v) for k, v in (line.split(b": ", 1) for line in lines[1:])]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    scope |= {"client": ("192.0.2.7", 5000), "scheme": "http", "root_path": ""}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], sent[0]["headers"], sent[1].get("body", b"")


def work_of(kit: Kit, app: Any, raw: bytes) -> tuple[list[tuple[str, str]], Any]:
    """Statements with the shape of what they carry, and the answer, while one request is handled."""
    db = kit.services.db
    assert isinstance(db, SqlDatabase)
    statements: list[tuple[str, str]] = []

    def note(_conn: Any, _cursor: Any, sql: str, values: Any, _context: Any, _many: bool) -> None:
        if "clock_timestamp" not in sql and not sql.startswith("BEGIN"):  # the clock is asked once a second
            statements.append((sql, str([list(map(_shape, v)) for v in ([values], values)[_many]])))

    event.listen(db.engine, "before_cursor_execute", note)
    answer = kit.run(ask(app, raw))
    event.remove(db.engine, "before_cursor_execute", note)
    return statements, answer


def _shape(value: Any) -> Any:
    """What of a value must not differ: its kind and, for text and bytes, its length."""
    if isinstance(value, str) and value.startswith("[{"):
        return [{k: len(str(v)) for k, v in row.items()} for row in json.loads(value)]
    return len(value) if isinstance(value, str | bytes) else type(value).__name__


@pytest.mark.covers("A1", "A2", "A-6.3.8", "O-F1")
@pytest.mark.parametrize("make", [api, form], ids=["api", "form"])
def test_known_and_unknown_cost_the_same_statements_and_bytes(kit: Kit, make: Callable[[int, str], bytes]) -> None:
    app = make_app(make_context(kit.settings, kit.services))
    work_of(kit, app, make(PORT, seed.unknown(2)))  # the first one opens connections
    known, (status, headers, body) = work_of(kit, app, make(PORT, KNOWN))
    unknown, (other_status, other_headers, other_body) = work_of(kit, app, make(PORT, UNKNOWN))
    assert known == unknown
    assert len(known) == 1, "accepting is one statement"
    assert status == other_status == (202 if make is api else 303)
    assert [(k, len(v)) for k, v in headers] == [(k, len(v)) for k, v in other_headers]
    assert len(body) == len(other_body)


@pytest.mark.covers("A1", "A2", "B16")
@pytest.mark.parametrize("make", [api, form], ids=["api", "form"])
def test_known_and_unknown_numbers_cost_the_same_statements_and_bytes(
    database_url: str, make_kit: Callable[..., Kit], make: Callable[[int, str], bytes]
) -> None:
    kit = make_kit(url=database_url, limits=ALL, sms=SMS, people={"phone_country": "CN"})
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), phones=("+8613800138000",))]))
    app = make_app(make_context(kit.settings, kit.services))
    work_of(kit, app, make(PORT, "13700137000"))  # the first one opens connections
    known, (status, headers, body) = work_of(kit, app, make(PORT, "13800138000"))
    unknown, (other_status, other_headers, other_body) = work_of(kit, app, make(PORT, "13900139000"))
    assert known == unknown
    assert len(known) == 1, "accepting is one statement"
    assert status == other_status == (202 if make is api else 303)
    assert [(k, len(v)) for k, v in headers] == [(k, len(v)) for k, v in other_headers]
    assert len(body) == len(other_body)


@pytest.mark.covers("A2")
def test_accepting_reads_no_table_of_people(kit: Kit) -> None:
    app = make_app(make_context(kit.settings, kit.services))
    statements, _ = work_of(kit, app, api(PORT, KNOWN))
    assert statements
    assert not [s for s, _ in statements for table in ("people", "accounts", "contacts", "identifiers") if table in s]


@pytest.mark.slow
@pytest.mark.covers("A2", "A-6.3.8", "O-F1")
def test_time_tells_nothing_about_a_request(kit: Kit) -> None:
    app = make_app(make_context(kit.settings, kit.services))

    async def measure() -> tuple[list[float], list[float]]:
        worker, took, rng = Worker(kit.services), ([], []), random.Random(1)  # type: ignore[var-annotated]
        worker.start()
        for i in range(2100):
            for known in rng.sample((0, 1), 2):
                raw = api(PORT, seed.known(i % 700) if known else seed.unknown(i))
                begun = time.perf_counter()
                await ask(app, raw)
                if i >= 100:
                    took[known].append(time.perf_counter() - begun)
                await asyncio.sleep(0)
        await worker.stop()
        return took

    unknown, known = kit.run(measure())
    value, _ = auc(known, unknown)
    assert 0.47 <= value <= 0.53


@pytest.mark.slow
@pytest.mark.covers("L10", "A-6.3.8")
def test_time_tells_nothing_about_a_sign_in(sqlite_url: str, make_kit: Callable[..., Kit]) -> None:
    kit = make_kit(url=sqlite_url, limits=ALL)
    kit.write(lambda tx: seed.people(tx.conn, 320))
    s = kit.services
    phc = kit.run(s.gate.hash(Secret("the right password of all")))
    for i in range(320):
        kit.write(lambda tx, i=i: tx.people.set_credential(_account(tx, i), phc, "seed"))
    took: tuple[list[float], list[float]] = ([], [])
    rng = random.Random(2)
    for i in range(320):
        for known in rng.sample((0, 1), 2):
            name = seed.known(i) if known else seed.unknown(i)
            origin = Origin(f"192.0.2.{i % 250}")
            begun = time.perf_counter()
            answer = kit.run(sign_in.sign_in(s.db, s.gate, name, Secret("a wrong password of all"), origin))
            assert answer == sign_in.NotSignedIn("wrong")
            if i >= 20:
                took[known].append(time.perf_counter() - begun)
    value, error = auc(took[1], took[0])
    assert abs(value - 0.5) <= 0.03 + 3 * error


def _account(tx: Any, i: int) -> str:
    found = tx.people.account_by_username("builtin", seed.known(i).partition("@")[0])
    return str(found[0].id)
