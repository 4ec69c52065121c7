"""What people enrolled, and questions put to them: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from keyback.application.ports.storage import Imported, ImportedAccount, Tx
from keyback.domain.challenges.challenge import Challenge, ChallengeRequest
from keyback.domain.people.factor import Device, Factor, SavedCode
from keyback.domain.people.person import Contact
from keyback.domain.tokens import token_digest
from keyback.storage.database import SqlDatabase
from keyback.storage.keys.keyring import Keyring

Db = SqlDatabase
pytestmark = [pytest.mark.anyio, pytest.mark.both]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def db(database_url: str, keyring: Keyring) -> AsyncIterator[SqlDatabase]:
    opened = SqlDatabase(database_url, keyring)
    yield opened
    await opened.close()


def _person(tx: Tx) -> str:
    account = ImportedAccount("builtin", "u1", "wei.chen")
    tx.people.save_imported([Imported("k1", "陈伟", "zh_CN", "standard", "active", ("wei@example.com",), (account,))])
    return tx.people.match(["wei@example.com"])["wei@example.com"][0].person.id


def _factor(tx: Tx, pid: str, **more: Any) -> Factor:
    f = Factor(**{"id": tx.new_id(), "person_id": pid, "kind": "totp", "label": "Phone", "state": "active",
                  "data": {"seed": "JBSWY3DPEHPK3PXP"}, "added_at": tx.now, **more})  # fmt: skip
    tx.factors.add(f)
    return f


@pytest.mark.covers("N-T1", "M1")
async def test_a_step_is_taken_once_and_only_forwards(db: Db) -> None:
    f = await db.write(lambda tx: _factor(tx, _person(tx)))
    won = await asyncio.gather(*(db.write(lambda tx: tx.factors.advance(f.id, 100)) for _ in range(50)))
    assert sum(won) == 1
    assert not await db.write(lambda tx: tx.factors.advance(f.id, 99))
    kept = await db.read(lambda tx: tx.factors.get(f.id))
    assert kept is not None
    assert kept.counter == 100
    assert kept.data == f.data


@pytest.mark.covers("N-T1")
async def test_what_proves_a_factor_is_sealed_and_bound_to_its_row(db: Db) -> None:
    def rows(tx: Any) -> list[bytes]:
        from sqlalchemy import text

        return [bytes(r[0]) for r in tx.conn.execute(text("SELECT sealed FROM factors ORDER BY added_at, id"))]

    pid = await db.write(_person)
    await db.write(lambda tx: _factor(tx, pid))
    sealed = (await db.read(rows))[0]
    assert b"JBSWY3DPEHPK3PXP" not in sealed


@pytest.mark.covers("N-L2")
async def test_fifty_uses_of_one_saved_code_succeed_once(db: Db) -> None:
    def add(tx: Tx) -> str:
        f = _factor(tx, _person(tx), kind="recovery_codes", data={})
        tx.factors.put_codes([SavedCode(tx.new_id(), f.id, "K7", "$argon2id$x", tx.now)])
        return tx.factors.codes([f.id])[0].id

    code = await db.write(add)
    assert sum(await asyncio.gather(*(db.write(lambda tx: tx.factors.use_code(code)) for _ in range(50)))) == 1


async def test_a_removed_factor_does_nothing_any_more(db: Db) -> None:
    f = await db.write(lambda tx: _factor(tx, _person(tx), kind="passkey", lookup=b"c" * 32))
    assert (await db.read(lambda tx: tx.factors.by_lookup(b"c" * 32))) is not None
    assert await db.write(lambda tx: tx.factors.turn(f.id, "active", "removed"))
    assert not await db.write(lambda tx: tx.factors.turn(f.id, "active", "removed"))
    assert not await db.write(lambda tx: tx.factors.advance(f.id, 5) or tx.factors.touch(f.id))
    assert await db.read(lambda tx: tx.factors.by_lookup(b"c" * 32)) is None
    assert not await db.read(lambda tx: tx.factors.of_person(f.person_id))


@pytest.mark.covers("N-R7")
async def test_an_unconfirmed_contact_is_used_for_nothing(db: Db) -> None:
    def add(tx: Tx) -> tuple[str, str]:
        pid = _person(tx)
        c = Contact(tx.new_id(), pid, "mail", "new@example.net", "backup", "pending", "person", added_at=tx.now)
        assert tx.contacts.add(c)
        return pid, c.id

    pid, cid = await db.write(add)
    own: Callable[[Tx], list[str]] = lambda tx: [c.address for c in tx.people.contacts([pid])[pid]]  # noqa: E731
    assert await db.read(own) == ["wei@example.com"]
    assert await db.write(lambda tx: tx.contacts.confirm(cid, tx.now + 1000))
    assert not await db.write(lambda tx: tx.contacts.confirm(cid, 0))
    assert await db.read(own) == ["wei@example.com", "new@example.net"]
    found = await db.read(lambda tx: tx.people.match(["wei@example.com"]))
    assert [c.address for c in found["wei@example.com"][0].contacts] == ["wei@example.com"]  # it cools in


async def test_an_import_leaves_alone_what_people_added(db: Db) -> None:
    def again(tx: Tx) -> list[str]:
        pid = _person(tx)
        mine = Contact(tx.new_id(), pid, "sms", "+8613800000000", "backup", "confirmed", "person")
        taken = Contact(tx.new_id(), pid, "mail", "second@example.com", "backup", "confirmed", "person")
        assert tx.contacts.add(mine)
        assert tx.contacts.add(taken)
        account = ImportedAccount("builtin", "u1", "wei.chen")
        mails = ("wei.new@example.com", "second@example.com")
        tx.people.save_imported([Imported("k1", "陈伟", "zh_CN", "standard", "active", mails, (account,))])
        return [c.address for c in tx.people.contacts([pid])[pid]]

    assert await db.write(again) == ["wei.new@example.com", "second@example.com", "+8613800000000"]


async def test_a_wish_is_queued_once_and_not_too_often(db: Db) -> None:
    def ask(tx: Tx, wait: int) -> bool:
        return tx.challenges.request(ChallengeRequest("h" * 22, "sms_code", tx.now, tx.now + 60_000), tx.now - wait)

    assert await db.write(lambda tx: ask(tx, 0))
    assert not await db.write(lambda tx: ask(tx, 120_000))
    assert await db.write(lambda tx: tx.challenges.count_try("h" * 22, "sms_code", 2)) == 1
    first = await asyncio.gather(*(db.write(lambda tx: tx.challenges.claim_requests(10)) for _ in range(10)))
    assert sum(len(c) for c in first) == 1
    assert await db.write(lambda tx: ask(tx, 0))
    again = (await db.read(lambda tx: tx.challenges.requested("h" * 22)))[0]
    assert (again.sends, again.tries, again.state) == (2, 1, "new")  # tries outlive a resend
    assert await db.write(lambda tx: tx.challenges.count_try("h" * 22, "sms_code", 2)) == 2
    assert await db.write(lambda tx: tx.challenges.count_try("h" * 22, "sms_code", 2)) is None


async def test_a_challenge_ends_once(db: Db) -> None:
    def ask(tx: Tx) -> Challenge:
        p = Challenge(
            tx.new_id(), "recovery", "sms_code", _person(tx), tx.random(32), 0, tx.now, tx.now + 60_000, "h" * 22
        )
        tx.challenges.issue([p], token="a token of its own")
        return p

    p = await db.write(ask)
    assert (await db.read(lambda tx: tx.challenges.by_link(token_digest("a token of its own")))) is not None
    assert sum(await asyncio.gather(*(db.write(lambda tx: tx.challenges.end(p.id, "used")) for _ in range(50)))) == 1
    assert await db.write(lambda tx: tx.challenges.end_where("stopped", person_id=p.person_id)) == 0
    with pytest.raises(ValueError):
        await db.write(lambda tx: tx.challenges.end_where("stopped"))


async def test_browsers_are_known_until_they_are_forgotten(db: Db) -> None:
    def add(tx: Tx) -> str:
        pid = _person(tx)
        for n in (1, 2):
            d = Device(bytes([n]) * 32, pid, "Windows, Chrome", "192.0.2.1", tx.now, tx.now + n, tx.now + 60_000)
            tx.devices.remember(d)
            tx.devices.remember(d)
        return pid

    pid = await db.write(add)
    assert [d.digest[0] for d in await db.read(lambda tx: tx.devices.of_person(pid))] == [2, 1]
    assert await db.write(lambda tx: tx.devices.forget(pid, bytes([1]) * 32)) == 1
    assert len(await db.read(lambda tx: tx.devices.of_person(pid))) == 1
