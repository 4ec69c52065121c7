"""Wrong passwords as they are kept: folded, forgotten in time, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from keyback.application.ports.enrolment_storage import Failure
from keyback.application.ports.storage import Tx
from keyback.application.retention import purge
from keyback.domain.passwords.rules import DAY
from keyback.domain.people.factor import Device
from tests.support.kit import Kit, person

pytestmark = pytest.mark.both

Make = Callable[..., Kit]


def begin(tx: Tx, mark: bytes, name: str = "pw/a", network: str = "n1") -> None:
    tx.failures.begin(Failure(name, network, mark, "192.0.2.7", "Linux, Firefox", 0, tx.now, tx.now))


def wrong(tx: Tx, mark: bytes, tried: bytes, network: str = "n1") -> None:
    begin(tx, mark, network=network)
    tx.failures.settle("pw/a", network, mark, tried)


def counts(kit: Kit, network: str = "n1") -> dict[bytes, int]:
    return {f.tried: f.count for f in kit.read(lambda tx: tx.failures.of("pw/a", network))}


def test_the_same_again_is_folded_and_another_is_not(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    kit.write(lambda tx: wrong(tx, b"m" * 16, b"old"))
    kit.clock.forward(minutes=1)
    kit.write(lambda tx: wrong(tx, b"o" * 16, b"old"))
    kit.write(lambda tx: wrong(tx, b"p" * 16, b"new"))
    kit.write(lambda tx: wrong(tx, b"q" * 16, b"old", "n2"))
    assert counts(kit) == {b"old": 2, b"new": 1}
    first = next(f for f in kit.read(lambda tx: tx.failures.of("pw/a", "n1")) if f.tried == b"old")
    assert (first.last_at - first.first_at, first.previous) == (60_000, None)
    kit.write(lambda tx: tx.failures.settle("pw/a", "n1", b"", b"old", True))
    everywhere = kit.read(lambda tx: tx.failures.of_names(["pw/a", "pw/b"]))
    assert {(f.network, f.tried, f.count, f.previous) for f in everywhere} == {
        ("n1", b"old", 3, True),
        ("n1", b"new", 1, None),
        ("n2", b"old", 1, None),
    }


def test_two_nodes_may_try_the_same_at_once(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    marks = [bytes([n]) * 16 for n in range(20)]

    async def all_at_once() -> None:
        db = kit.services.db
        await asyncio.gather(*(db.write(lambda tx, m=m: begin(tx, m)) for m in marks))
        await asyncio.gather(*(db.write(lambda tx, m=m: tx.failures.settle("pw/a", "n1", m, b"old")) for m in marks))

    kit.run(all_at_once())
    assert counts(kit) == {b"old": 20}


@pytest.mark.covers("INV-I4")
def test_a_right_one_leaves_nothing_behind(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    kit.write(lambda tx: wrong(tx, b"m" * 16, b"typ"))
    kit.write(lambda tx: wrong(tx, b"n" * 16, b"now", "n2"))
    kit.write(lambda tx: begin(tx, b"o" * 16))
    kit.write(lambda tx: tx.failures.forget("pw/a", "n1", b"o" * 16, b"now"))
    assert counts(kit) == {b"typ": 1}
    assert counts(kit, "n2") == {}


@pytest.mark.covers("A-14.2.7")
def test_failures_go_after_a_week_and_replaced_hashes_after_a_month(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    kit.write(lambda tx: tx.people.save_imported([person("maya"), person("noor")]))
    account = kit.read(lambda tx: tx.people.account_by_username("builtin", "maya"))[0].id

    def change(phc: str) -> str | None:
        kit.write(lambda tx: tx.people.set_credential(account, phc, phc))
        return kit.read(lambda tx: tx.people.replaced(account))  # type: ignore[no-any-return]

    assert change("$one") is None
    assert change("$two") == "$one"
    assert change("$two") == "$one", "a repeated job replaces nothing"
    kit.write(lambda tx: wrong(tx, b"m" * 16, b"old"))
    kit.clock.now += 7 * DAY
    kit.write(purge)
    assert counts(kit) == {b"old": 1}
    kit.clock.now += 1
    kit.write(purge)
    assert counts(kit) == {}
    kit.clock.now += 23 * DAY - 1
    kit.write(purge)
    assert kit.read(lambda tx: tx.people.replaced(account)) == "$one"
    kit.clock.now += 1
    kit.write(purge)
    assert kit.read(lambda tx: tx.people.replaced(account)) is None
    assert kit.read(lambda tx: tx.people.credential(account)) == "$two"


@pytest.mark.slow
def test_many_are_forgotten_a_thousand_at_a_time(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)

    def fill(tx: Any) -> None:
        for n in range(1500):
            tx.failures.begin(Failure("pw/a", "n1", n.to_bytes(16, "big"), "", "", 1, 1, 1 + n))

    kit.write(fill)
    kit.write(purge)
    assert len(counts(kit)) == 500
    kit.write(purge)
    assert counts(kit) == {}


def test_a_browser_of_two_people_is_forgotten_for_the_one_whose_time_is_over(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    kit.write(lambda tx: tx.people.save_imported([person("maya"), person("noor")]))
    ids = [kit.read(lambda tx, w=w: tx.people.account_by_username("builtin", w))[1].id for w in ("maya", "noor")]
    for days, pid in enumerate(ids):
        until = kit.clock() + days * DAY
        kit.write(lambda tx, p=pid, u=until: tx.devices.remember(Device(b"d" * 32, p, "", "", tx.now, tx.now, u)))
    kit.clock.now += 1000
    kit.write(purge)
    with kit.services.db.engine.connect() as conn:  # type: ignore[attr-defined]
        assert conn.execute(text("SELECT person_id FROM devices")).scalars().all() == [ids[1]]


def test_counts_are_taken_back_never_below_zero(database_url: str, make_kit: Make) -> None:
    kit = make_kit(url=database_url)
    kit.write(lambda tx: tx.counters.add(["a", "a", "a", "b"]))
    kit.write(lambda tx: tx.counters.take_back(["a", "b"], 2))
    a, b = (kit.read(lambda tx, k=k: tx.counters.get(k)) for k in "ab")
    assert (a.total, a.hour, a.day) == (1, 1, 1)
    assert (b.total, b.hour, b.day) == (0, 0, 0)
    assert a.hour_ends - kit.clock() == 60 * 60_000
