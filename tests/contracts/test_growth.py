"""No cost may grow with the number of people: whatever recoveries, sign-ins and the worker ask for has an index."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event

from keyback.application.desk import cases
from keyback.application.ports.desk_storage import QueueQuery
from keyback.application.ports.outbox_search import HEAPS
from keyback.application.recovery import cancel, methods
from keyback.application.signin.sessions import SignedIn, session_of
from keyback.domain.policy.rules import TIERS
from keyback.domain.secret import Secret
from keyback.storage.sql.schema import cases as case_table
from keyback.storage.sql.schema import metadata
from tests.support.kit import Kit, person
from tests.support.steps import NEW, OLD, ask, begin, choose, drain, fit, page_of, proven, set_password, sign_in

pytestmark = pytest.mark.both

# Small whatever happens: one row, or what is still to do.
SMALL = {"audit_head", "outbox", "operators", "webhooks"}
TABLES = set(metadata.tables)
PARTIAL = {
    i.name for t in metadata.tables.values() for i in t.indexes if i.dialect_options["sqlite"]["where"] is not None
}


def first_few(statement: str, values: Any, lines: list[str]) -> bool:
    """Whether SQLite reads rows as they lie and stops after a few. Its plan says SCAN then, as for the whole table."""
    words = " ".join(statement.split())
    bounded = re.fullmatch(r"SELECT [^()]+ FROM \w+ ORDER BY [\w. ]+ LIMIT \? OFFSET \?", words)
    return bool(bounded) and values[-2] <= 10 and values[-1] == 0 and not any("TEMP B-TREE" in x for x in lines)


@contextlib.contextmanager
def plans(kit: Kit) -> Iterator[list[str]]:
    """Collects the tables that statements inside read from end to end: `table: statement`."""
    engine, pg = kit.services.db.engine, kit.services.db.engine.name == "postgresql"  # type: ignore[attr-defined]
    asked: dict[str, Any] = {}

    def note(conn: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if not many and statement.split()[0] in ("SELECT", "UPDATE", "DELETE", "WITH"):
            asked.setdefault(statement, values)

    found: list[str] = []
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert asked
    with engine.connect() as conn:
        if pg:  # small tables are read from end to end anyway, unless that is made dear
            conn.exec_driver_sql("SET enable_seqscan = off")
        for statement, values in asked.items():
            rows = conn.exec_driver_sql(("EXPLAIN " if pg else "EXPLAIN QUERY PLAN ") + statement, values)
            lines = [r[0] if pg else r[3] for r in rows]
            if not pg and first_few(statement, values, lines):
                continue
            for line in lines:
                whole = re.search(r"Seq Scan on (\w+)(.*)" if pg else r"^SCAN (\w+)(?:.* INDEX (\w+))?", line)
                if whole and whole[1] in TABLES - SMALL and whole[2] not in PARTIAL:
                    found.append(f"{whole[1]}: {' '.join(statement.split())}")
        conn.rollback()


def everyday(kit: Kit) -> None:
    """A recovery to its end, one stopped, one about nobody, a sign-in, a wrong one, and what is done by itself."""
    tray = fit(kit, *(person(name) for name in ("maya", "noor", "anna")))
    for name in ("maya", "noor", "anna"):
        set_password(kit, name)
    ask(kit, "nobody@example.com")
    handle = begin(kit, tray, "noor")[0]
    kit.write(lambda tx: cancel.stop_by_requester(tx, handle))
    case_id = proven(kit, tray)
    begun = kit.read(lambda tx: page_of(tx, case_id))
    for proof in kit.services.proofs.values():
        kit.write(lambda tx, p=proof: methods.ask(tx, begun, p))
    drain(kit)
    choose(kit, case_id)
    drain(kit)
    done = sign_in(kit, "maya", NEW)
    assert isinstance(done, SignedIn)
    assert kit.read(lambda tx: session_of(tx, done.token)) is not None
    sign_in(kit, "anna", Secret("not the one"))
    sign_in(kit, "nobody", OLD)
    kit.write(lambda tx: (tx.cases.overdue(100), tx.cases.holding(100), tx.cases.counts()))
    drain(kit)


def desk(kit: Kit) -> None:
    """What the console asks for: a page of the queue by each filter, and a case."""
    nobody = "x" * 22
    for query in (
        QueueQuery(),
        QueueQuery(after=(1, nobody)),
        QueueQuery("-", after=(1, nobody)),
        QueueQuery(nobody),
        QueueQuery(nobody, "password", after=(1, nobody)),
        *(QueueQuery(tier=t, after=(1, nobody)) for t in TIERS),
    ):
        kit.read(lambda tx, q=query: tx.desk.queue(q))
    kit.read(lambda tx: (tx.desk.waiting(1000), tx.desk.work(nobody), tx.desk.notes(nobody)))
    kit.read(lambda tx: (tx.operators.factors(nobody), tx.operators.session(b"x"), tx.operators.link(b"x")))
    for after in ((0, ""), (1, nobody)):
        kit.read(lambda tx, a=after: tx.actions.waiting(after=a, limit=51))
    kit.read(lambda tx: tx.actions.of_person(nobody, 50))
    for waiting in (True, False):
        for after in ((0, ""), (1, nobody)):
            kit.read(lambda tx, w=waiting, a=after: tx.tasks.page(waiting=w, after=a, limit=51))
    kit.read(lambda tx: cases.find(tx, "maya@example.com"))
    for last in ("", "m"):
        kit.read(lambda tx, a=last: (tx.groups.named(a, 50), tx.groups.members("sales", a)))
    kit.read(lambda tx: (tx.groups.known("sales"), tx.groups.of_people([nobody])))
    for heap in HEAPS:
        for after in ((0, ""), (1, nobody)):
            kit.read(lambda tx, h=heap, a=after: tx.outbox.rows(h, a, 51))


@pytest.mark.covers("INV-I10")
def test_the_queue_costs_the_same_however_long_it_is(make_kit: Callable[..., Kit], database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"))
    with plans(kit) as whole:
        desk(kit)
    assert whole == []


@pytest.mark.covers("INV-I10")
def test_a_tier_of_the_queue_has_an_index_of_its_own(make_kit: Callable[..., Kit], database_url: str) -> None:
    """Few privileged people among a million cases that wait are found without looking at the others."""
    kit = make_kit(url=database_url)
    fit(kit, *(person(f"p{n}") for n in range(300)))

    def fill(tx: Any) -> None:
        people = [r[0] for r in tx.conn.exec_driver_sql("SELECT id FROM people")]
        row = {"journey": "password", "state": "in_review", "version": 1, "open": True, "expires_at": 1}
        many = [
            {
                **row,
                "id": f"{n:022}",
                "person_id": p,
                "opened_at": n,
                "body": '{"tier":"%s"}' % ("mfa" if n else TIERS[2]),
            }
            for n, p in enumerate(people)
        ]
        tx.conn.execute(case_table.insert(), many)

    kit.write(fill)
    engine = kit.services.db.engine  # type: ignore[attr-defined]
    asked: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda c, cursor, s, v, x, m: asked.append((s, v)))
    with engine.connect() as conn:
        pg = engine.name == "postgresql"
        conn.exec_driver_sql("ANALYZE cases" if pg else "SELECT 1")
        kit.read(lambda tx: tx.desk.queue(QueueQuery(tier="privileged", after=(1, "x"))))
        statement, values = next(a for a in asked if "desk_work" in a[0])
        plan = str(conn.exec_driver_sql(("EXPLAIN " if pg else "EXPLAIN QUERY PLAN ") + statement, values).all())
    assert "ix_cases_desk_privileged" in plan


@pytest.mark.slow
@pytest.mark.covers("INV-I10")
def test_nothing_of_every_day_reads_a_table_from_end_to_end(make_kit: Callable[..., Kit], database_url: str) -> None:
    kit = make_kit(url=database_url)
    with plans(kit) as whole:
        everyday(kit)
    assert whole == []
