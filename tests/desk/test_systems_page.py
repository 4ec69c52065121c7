"""Systems in the console: how each is doing, from what storage knows, without a call to a vendor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.desk import systems
from keyback.application.ports.connectors import Health
from keyback.domain.operators.roles import ALLOWED, Permission, Role
from keyback.outbound.breaker import Breaker
from keyback.storage.sql.schema import outbox as table
from tests.support.console import staffed
from tests.support.kit import Kit

Make = Callable[..., Kit]


class Counted:
    """A connector that says how its calls went, and breaks the test when it is asked anything else."""

    def __init__(self, inner: Any) -> None:
        self.capabilities, self.url, self.health = inner.capabilities, None, Health()


def line(kit: Kit, connectors: dict[str, Any], name: str) -> systems.SystemLine:
    found = kit.read(lambda tx: systems.look(tx, connectors, {"crm": "Our CRM"}))
    return next(x for x in found.lines if x.name == name)


@pytest.mark.both
def test_how_calls_went_is_kept_and_seen(make_kit: Make, database_url: str) -> None:
    kit = make_kit(public_url="http://localhost:8080", url=database_url)
    crm = Counted(next(iter(kit.services.connectors.values())))
    mine: dict[str, Any] = {"crm": crm}
    note = lambda: asyncio.run(systems.note(kit.services.db, mine))  # noqa: E731
    assert line(kit, mine, "crm").face == "unknown"
    assert note() == 0, "nobody called it"
    crm.health = Health(reached_ago_ms=2_000)
    assert note() == 1
    assert line(kit, mine, "crm").face == "ok"
    assert line(kit, mine, "crm").state.good_at == kit.clock() - 2_000
    kit.clock.forward(seconds=60)
    assert note() == 0, "all is well: five minutes are exact enough"
    crm.health = Health("open", 5, 70_000, 10_000)
    assert note() == 1
    seen = line(kit, mine, "crm")
    assert (seen.face, seen.state.failing_since) == ("stop", kit.clock() - 10_000)
    kit.clock.forward(seconds=60)
    crm.health = Health("open", 9, 130_000, 70_000)
    assert note() == 0, "it still fails, since the same instant"
    crm.health = Health(reached_ago_ms=0)
    assert note() == 1
    assert line(kit, mine, "crm").face == "ok"
    kit.write(lambda tx: tx.system_states.checked("crm", "bad", "permission: none", "Give it one."))
    assert line(kit, mine, "crm").face == "stop"
    kit.clock.forward(hours=1)
    assert note() == 1
    assert line(kit, mine, "crm").face == "care", "calls succeed since; the warning stays until the next check"


def test_a_breaker_knows_when_it_was_reached_last() -> None:
    now = 100.0
    b = Breaker(lambda: now)
    assert (b.reached_ago_ms(), b.missing_for_ms()) == (None, None)
    b.reached()
    now = 103.0
    b.missed()
    now = 104.0
    b.missed()
    assert (b.reached_ago_ms(), b.missing_for_ms()) == (4_000, 1_000)
    b.reached()
    assert (b.reached_ago_ms(), b.missing_for_ms()) == (0, None)


@pytest.mark.both
def test_the_page_says_what_waits_and_what_the_check_said(make_kit: Make, database_url: str) -> None:
    staff = staffed(make_kit(public_url="http://localhost:8080", url=database_url))
    kit = staff.kit
    account = kit.read(lambda tx: tx.people.match(["maya"])["maya"][0]).accounts[0]
    job = {"kind": "apply", "sealed": None, "created_at": kit.clock(), "due_at": kit.clock(), "turn": 0}
    body = json.dumps({"case": "x", "account": account.id})
    states = [("ready", ""), ("ready", "auth_expired"), ("dead", "expired"), ("ready", "")]
    rows = [
        {**job, "id": f"{n:022}", "body": body if n < 3 else "[", "expires_at": 0, "state": s, "last_code": c}
        for n, (s, c) in enumerate(states)
    ]
    kit.write(lambda tx: tx.conn.execute(table.insert(), rows))
    kit.write(lambda tx: tx.system_states.checked(account.system, "warn", "quota: <b>9</b> left", "Raise it."))
    page = staff.add(Role.AGENT).get("/console/systems").text
    for said in ("1 waiting, 1 failing, 1 given up", "quota: &lt;b&gt;9&lt;/b&gt; left", "Raise it.", "Needs someone"):
        assert said in page, said
    assert "/console/outbox" not in page, "agents don’t see the outbox"
    assert "Maya" not in page
    work, more = kit.read(lambda tx: tx.system_states.work(2))
    assert more
    assert sum(w.waiting + w.failing + w.dead for w in work.values()) <= 2


def test_who_sees_systems() -> None:
    assert {r for r in Role if Permission.SYSTEMS_VIEW in ALLOWED[r]} == set(Role)
