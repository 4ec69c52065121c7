"""The keyring's file in use, and which rows need which key."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary

from keyback.application.origin import Origin
from keyback.application.recovery import start
from keyback.domain.people.factor import Factor
from keyback.storage.database import SqlDatabase
from keyback.storage.keys import keyfile
from keyback.storage.keys.keyfile import KeyFile
from keyback.storage.keys.keyring import Keyring, KeyringError, Unsealable
from keyback.storage.maintenance import reseal
from keyback.storage.sql.schema import metadata
from tests.support.kit import person

pytestmark = pytest.mark.both
DESK = {
    "operator_factors": 0,
    "desk_notes": 0,
    "help_requests": 0,
    "desk_actions": 0,
    "document_keys": 0,
    "document_looks": 0,
    "person_photos": 0,
    "webhooks": 0,
}


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    path = tmp_path / "keyring"
    keyfile.create(path)
    return KeyFile(path)


def living(file: KeyFile) -> Keyring:
    ring = file.ring()
    ring.follow(file.path)
    return ring


@pytest.mark.covers("P1")
def test_a_process_reads_what_is_sealed_by_a_key_that_came_after_it_began(file: KeyFile) -> None:
    running = living(file)
    sealed = running.seal(b"word", "p", "b")
    assert file.add(use=True) == "k2"
    later = file.ring()
    assert (later.primary, later.ids, running.primary) == ("k2", ("k2", "k1"), "k1")
    assert later.open(sealed, "p", "b") == b"word"
    assert running.open(later.seal(b"more", "p", "b"), "p", "b") == b"more"
    assert running.derive("challenge", "k2") == later.derive("challenge")
    assert set(running.ids) == {"k1", "k2"}
    with pytest.raises(Unsealable):
        running.open(Keyring({"k9": secrets.token_bytes(32)}).seal(b"w", "p", "b"), "p", "b")


def test_a_file_that_is_broken_meanwhile_leaves_the_keys_as_they_were(file: KeyFile) -> None:
    running = living(file)
    sealed = running.seal(b"word", "p", "b")
    file.path.write_text("k2:oops\n")
    with pytest.raises(KeyError):
        running.derive("challenge", "k2")
    assert running.open(sealed, "p", "b") == b"word"
    file.path.unlink()
    with pytest.raises(KeyError):
        running.derive("challenge", "k3")


@pytest.mark.covers("P1")
def test_the_file_is_replaced_as_a_whole_and_stays_its_owners(file: KeyFile) -> None:
    file.path.chmod(0o400)
    before = file.path.read_text()
    lock = file.path.with_name("keyring.new")
    lock.touch()
    with pytest.raises(FileExistsError):
        file.add(use=True)
    assert file.path.read_text() == before
    lock.unlink()
    assert [file.add(use=False), file.add(use=True), file.add(use=False)] == ["k2", "k3", "k4"]
    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o400
    assert [p.name for p in file.path.parent.iterdir()] == ["keyring"]
    assert file.ring().ids == ("k3", "k4", "k1", "k2")
    file.use("k1")
    assert file.ring().ids == ("k1", "k3", "k4", "k2")
    with pytest.raises(KeyError):
        file.use("k9")
    with pytest.raises(KeyringError):
        file.retire("k1")


@pytest.mark.covers("P5")
def test_the_audit_logs_chain_outlives_the_key_that_it_began_with(file: KeyFile) -> None:
    first = file.ring()
    chain, sealed = first.derive("audit", first.chain), first.seal(b"word", "p", "b")
    file.add(use=True)
    file.retire("k1")
    now = file.ring()
    assert (now.ids, now.chain) == (("k2",), "k1")
    assert now.derive("audit", now.chain) == chain
    for purpose in ("challenge", "seal/p"):
        with pytest.raises(KeyError):
            now.derive(purpose, "k1")
    with pytest.raises(Unsealable):
        now.open(sealed, "p", "b")
    assert file.add(use=True) == "k3"  # no id comes twice
    with pytest.raises(KeyringError):
        Keyring.load(file.path.read_text() + file.path.read_text().splitlines()[-1])


def test_every_column_of_bytes_is_known_to_be_sealed_or_open() -> None:
    sealed = {w.column for w in reseal.LASTING} | set(reseal.PASSING)
    found = {c for t in metadata.tables.values() for c in t.columns if isinstance(c.type, LargeBinary)}
    assert [str(c) for c in found - sealed if c.name not in reseal.OPEN] == []
    assert sealed <= found


def test_rows_are_sealed_anew_and_those_that_nothing_opens_are_counted(database_url: str, file: KeyFile) -> None:
    lost = Keyring({"k0": secrets.token_bytes(32)})

    async def go() -> None:
        dbs = [SqlDatabase(database_url, ring) for ring in (file.ring(), lost)]
        await dbs[0].write(lambda tx: tx.people.save_imported([person("maya")]))
        maya = (await dbs[0].read(lambda tx: tx.people.match(["maya"])))["maya"][0].person.id
        handles = []
        for n, db in ((7, dbs[0]), (2, dbs[1])):
            for _ in range(n):
                started = await start.write_down(
                    db, db.keyring, "maya", journey="password", system="", locale="en", origin=Origin("", ""), now=1
                )
                handles.append(started.handle)
        await dbs[0].write(lambda tx: tx.factors.add(Factor("f" * 22, maya, "totp", "", "active", {"secret": "s"}, 1)))
        file.add(use=True)
        db = SqlDatabase(database_url, file.ring())
        held: Callable[[str], Any] = lambda kid: db.read(lambda tx: reseal.held(tx, kid))  # type: ignore[arg-type] # noqa: E731
        assert await held("k1") == {
            "intakes": 7,
            "factors": 1,
            "outbox": 0,
            **DESK,
        }
        totals = []
        for _ in range(2):
            seen = sealed = broken = 0
            for what in reseal.LASTING:
                batch = reseal.Batch("")
                while (last := batch.last) is not None:
                    batch = await db.write(lambda tx: reseal.reseal(tx, what, last, 4))  # type: ignore[arg-type] # noqa: B023
                    seen, sealed, broken = seen + batch.seen, sealed + batch.sealed, broken + batch.broken
            totals.append((seen, sealed, broken))
        assert totals == [(10, 8, 2), (10, 0, 2)]
        assert await held("k1") == {
            "intakes": 0,
            "factors": 0,
            "outbox": 0,
            **DESK,
        }
        assert await held("k2") == {
            "intakes": 7,
            "factors": 1,
            "outbox": 0,
            **DESK,
        }
        file.retire("k1")
        after = SqlDatabase(database_url, file.ring())
        assert (await after.read(lambda tx: tx.intakes.get(handles[0]))).identifier == "maya"  # type: ignore[union-attr]
        assert (await after.read(lambda tx: tx.factors.get("f" * 22))).data == {"secret": "s"}  # type: ignore[union-attr]
        for db_ in (*dbs, db, after):
            await db_.close()

    asyncio.run(go())
