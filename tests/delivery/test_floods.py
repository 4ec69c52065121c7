"""However much strangers ask for, a request from elsewhere is looked up and mailed among the first."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from sqlalchemy import event

from keyback.application import delivery, handles
from keyback.application.origin import Origin
from keyback.application.ports.storage import Intake, Tx
from keyback.application.recovery import issue_requested, methods, resolve
from keyback.application.throttling.fairness import AHEAD, MAX_NETWORKS, Turns, networks
from tests.support.enrolled import add_contact
from tests.support.kit import Kit, person
from tests.support.steps import HERE, ask, drain, fit

Make = Callable[..., Kit]
FLOOD = 20_000
OWNER = Origin("198.51.100.7", HERE.agent)


def flood(kit: Kit, sources: Iterable[str], names: Iterable[str] = (), *, a_second: int = 500) -> list[str]:
    """Writes requests down as nodes do, so many each second; their handles."""
    named = iter(names)
    rows = [(s, next(named, "") or f"nobody{n}@example.com") for n, s in enumerate(sources)]
    handles: list[str] = []
    for at in range(0, len(rows), a_second):
        kit.clock.forward(seconds=1)
        part = [_intake(kit, source, name) for source, name in rows[at : at + a_second]]
        kit.write(lambda tx, part=part: tx.intakes.add(part))
        handles += [i.handle for i in part]
    return handles


def _intake(kit: Kit, source: str, name: str) -> Intake:
    now = kit.clock()
    subject = handles.subject_of(kit.services.seals, name)
    return Intake(handles.new_handle(), name, subject, "password", "", "en", source, "", now, now + 3_600_000)


def batches_until(kit: Kit, handle: str, most: int = 3) -> int:
    """How many batches it takes until a request is looked up."""
    for n in range(1, most + 1):
        kit.write(resolve.resolve)
        found = kit.read(lambda tx: tx.intakes.get(handle))
        if found is not None and found.state == "done":
            return n
    return most + 1


ONE_ADDRESS = ["203.0.113.9"] * FLOOD
ONE_NETWORK = [f"203.0.113.{n % 256}" for n in range(FLOOD)]
ONE_PROVIDER = [f"203.0.{n % 256}.{n // 256 % 256}" for n in range(FLOOD)]
MANY_PROVIDERS = [f"{20 + n % 20}.{n % 7}.{n % 251}.{n % 255}" for n in range(FLOOD)]
SIX = [str(ipaddress.IPv6Address((0x20010DB8 << 96) + (n << 64) + n)) for n in range(FLOOD)]
EVERYWHERE = [str(ipaddress.IPv4Address(0x0B000000 + n * 65_536 + n)) for n in range(FLOOD)]


@pytest.mark.slow
@pytest.mark.covers("Q11", "INV-I9")
@pytest.mark.parametrize(
    "sources",
    [
        pytest.param(ONE_ADDRESS, id="one address", marks=pytest.mark.slow),
        pytest.param(ONE_NETWORK, id="one /24"),
        pytest.param(ONE_PROVIDER, id="one /16", marks=pytest.mark.slow),
        pytest.param(MANY_PROVIDERS, id="140 /16s", marks=pytest.mark.slow),
        pytest.param(SIX, id="every /64 of a /48", marks=pytest.mark.slow),
        pytest.param(EVERYWHERE, id="20,000 providers"),
    ],
)
def test_a_person_behind_twenty_thousand_ghosts_is_found_among_the_first(
    database_url: str, make_kit: Make, sources: list[str]
) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    flood(kit, sources)
    handle = ask(kit, "maya", origin=OWNER).handle
    assert batches_until(kit, handle) <= 2
    assert kit.read(lambda tx: tx.intakes.waiting()) >= FLOOD - 1000, "and most of the flood waits"
    s = kit.services
    kit.run(delivery.send_batch(s.db, s.channel, s.titles, s.public_url, lambda: 0.5))
    assert len(tray.to("maya@example.com")) == 1


@pytest.mark.slow
@pytest.mark.covers("Q11")
def test_who_asked_before_a_flood_from_one_network_goes_on_being_before_it(make_kit: Make) -> None:
    """In the middle of it, too: neither the newest nor the oldest."""
    kit = make_kit()
    fit(kit, person("maya"))
    flood(kit, ONE_NETWORK[:10_000])
    handle = ask(kit, "maya", origin=OWNER).handle
    flood(kit, ONE_NETWORK[:10_000])
    assert batches_until(kit, handle) <= 2


@pytest.mark.slow
@pytest.mark.covers("Q11")
def test_asking_again_out_of_a_flood_gains_nothing(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"))
    handles = flood(kit, ONE_NETWORK[:600])
    while kit.write(resolve.resolve).intakes:
        pass
    kit.clock.forward(minutes=5)
    for at in range(0, 600, 100):
        part = handles[at : at + 100]
        assert kit.write(lambda tx, p=part: sum(tx.intakes.ask_again(h, tx.now - 120_000) for h in p)) == 100
    kit.clock.forward(seconds=5)
    handle = ask(kit, "maya", origin=OWNER).handle
    kit.clock.forward(seconds=5)
    flood(kit, ONE_NETWORK[:400])
    assert batches_until(kit, handle) == 1


@pytest.mark.slow
@pytest.mark.covers("Q11")
def test_other_methods_take_turns_as_their_requests_did(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"))
    add_contact(kit, "mail", "maya@home.example")
    proof = kit.services.proofs["backup_email"]
    handles = flood(kit, ONE_NETWORK[:300])
    mine = ask(kit, "maya", origin=OWNER, journey="mailbox").handle
    later = flood(kit, ONE_NETWORK[:60])
    for part in (handles, [mine], later):
        kit.clock.forward(seconds=1)
        kit.write(lambda tx, part=part: [methods.ask(tx, h, proof) for h in part])
    put = kit.write(lambda tx: issue_requested.issue_requested(tx, kit.services.proofs, kit.services.policy, 100))
    assert put.wants == 100
    s = kit.services
    kit.run(delivery.send_batch(s.db, s.channel, s.titles, s.public_url, lambda: 0.5))
    assert len(tray.to("maya@home.example", "mail_code")) == 1


@pytest.mark.slow
@pytest.mark.covers("Q11", "INV-I9")
def test_mails_for_one_network_do_not_queue_before_all_others(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    names = [f"p{n}" for n in range(1500)]
    tray = fit(kit, person("maya"), *(person(n) for n in names))
    flood(kit, ONE_NETWORK[:1500], names)
    while kit.write(resolve.resolve).intakes:
        pass
    assert kit.read(lambda tx: tx.outbox.depth()) == {"mail/ready": 1500}
    kit.clock.forward(seconds=20)
    ask(kit, "maya", origin=OWNER)
    kit.write(resolve.resolve)
    s = kit.services

    def send() -> Any:
        return kit.run(delivery.send_batch(s.db, s.channel, s.titles, s.public_url, lambda: 0.5))

    send()
    assert len(tray.to("maya@example.com")) == 1
    assert len(tray.messages) == 100, "room that is left is used"
    while send().sent:
        pass
    assert len(tray.messages) == 1501, "a turn is an order and no delay"


def test_a_mail_that_is_planned_or_tried_again_is_not_taken_before_it_is_due(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    ask(kit, "maya")
    kit.write(resolve.resolve)
    tray.answer = delivery.Receipt("temporary", "busy")
    drain(kit)
    drain(kit)
    assert len(tray.messages) == 1
    kit.clock.forward(seconds=8)
    drain(kit)
    assert len(tray.messages) == 2


# ── the order itself ────────────────────────────────────────────────────────


def test_who_asks_for_little_has_a_turn_at_once() -> None:
    turns = Turns()
    for n in range(1000):
        assert turns.take(f"198.51.{n % 250}.7", 10_000 * n) == 10_000 * n


def test_each_further_turn_of_a_network_is_later_than_the_last_up_to_a_bound() -> None:
    turns = Turns()
    got = [turns.take(f"203.0.113.{n % 256}", 0) for n in range(2000)]
    assert got == [min(n * 1000, AHEAD) for n in range(2000)]
    assert turns.take("198.51.100.7", 0) == 0
    assert turns.take("203.0.113.1", AHEAD * 3) == AHEAD * 3, "after a while nobody is behind any more"


def test_the_networks_of_a_provider_count_together_too() -> None:
    turns = Turns()
    got = [turns.take(f"203.0.{n % 256}.1", 0) for n in range(256)]
    assert got == [n * 100 for n in range(256)]
    six = [turns.take(f"2001:db8:{n:x}::1", 0) for n in range(256)]
    assert six == [n * 100 for n in range(256)]


@pytest.mark.parametrize(
    "one, other, alike",
    [
        ("203.0.113.9", "203.0.113.200", [True, True]),
        ("203.0.113.9", "203.0.114.9", [False, True]),
        ("203.0.113.9", "203.1.113.9", [False, False]),
        ("203.0.113.9", "::ffff:203.0.113.9", [True, True]),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::2", [True, True]),
        ("2001:db8:1:2ff::1", "2001:db8:1:300::1", [False, True]),
        ("2001:db8:1:2ff::1", "2001:db9:1:2ff::1", [False, False]),
        ("", "a socket", [True]),
    ],
)
def test_networks_of_an_address(one: str, other: str, alike: list[bool]) -> None:
    assert [a == b for a, b in zip(networks(one), networks(other), strict=True)] == alike


@pytest.mark.slow
@pytest.mark.covers("INV-I10")
def test_no_number_of_networks_fills_the_memory() -> None:
    turns = Turns()
    for n in range(MAX_NETWORKS * 2):
        turns.take(str(ipaddress.IPv4Address(0x0B000000 + n * 4096)), n // 1000)
        assert len(turns._next) <= MAX_NETWORKS


# ── what it costs ───────────────────────────────────────────────────────────


def explained(kit: Kit, act: Callable[[Tx], Any], table: str) -> list[str]:
    """The plan of the statement that claims from a table, as it is made where that runs."""
    engine, found = kit.services.db.engine, []  # type: ignore[attr-defined]
    pg = engine.name == "postgresql"

    def note(conn: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith((f"UPDATE {table}", "SET LOCAL")):
            found.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        kit.write(act)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as conn:
        while found[0][0].startswith("SET LOCAL"):
            conn.exec_driver_sql(found.pop(0)[0])
        statement, values = found[0]
        rows = conn.exec_driver_sql(("EXPLAIN " if pg else "EXPLAIN QUERY PLAN ") + statement, values).all()
        conn.rollback()
    return [r[0] if pg else r[3] for r in rows]


@pytest.mark.slow
@pytest.mark.covers("INV-I10", "Q11")
def test_taking_turns_reads_no_more_than_it_takes(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    fit(kit, person("maya"))
    handles = flood(kit, ONE_NETWORK[:2000])
    kit.write(lambda tx: [methods.ask(tx, h, kit.services.proofs["backup_email"]) for h in handles[:200]])
    plans = {
        "intakes": explained(kit, lambda tx: tx.intakes.claim(100), "intakes"),
        "wants": explained(kit, lambda tx: tx.challenges.claim_requests(100), "wants"),
        "outbox": explained(kit, lambda tx: tx.outbox.claim("mail", 100, 60_000), "outbox"),
    }
    for table, lines in plans.items():
        plan = "\n".join(lines)
        first, second = (f"ix_{table}_turn", "ix_outbox_due" if table == "outbox" else f"ix_{table}_new")
        assert first in plan, plan
        assert second in plan, plan
        assert "ORDER BY" not in plan, "SQLite sorts nothing"
        assert "Sort" not in plan.replace("Sort Key: next", "").replace("HashAggregate", ""), plan
        assert "Seq Scan" not in plan, plan


@pytest.mark.covers("Q11")
def test_how_long_requests_wait_is_measured_and_told(make_kit: Make, capsys: pytest.CaptureFixture[str]) -> None:
    from keyback.storage.health import backlog
    from keyback.worker import Worker

    kit = make_kit()
    fit(kit, person("maya"))
    assert kit.read(backlog).oldest_intake_ms == 0
    flood(kit, ONE_NETWORK[:10])
    worker = Worker(kit.services)
    kit.run(worker.upkeep.look_at_queue())
    assert "intakes_late" not in capsys.readouterr().out
    kit.clock.forward(seconds=75)
    assert kit.read(backlog).oldest_intake_ms == 75_000
    kit.run(worker.upkeep.look_at_queue())
    assert "intakes_late" in capsys.readouterr().out
