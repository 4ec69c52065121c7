"""After a restore nothing works that was used since the backup (C-9)."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback import serving
from keyback.application.signin.sessions import SignedIn
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import Device, Factor, SavedCode
from keyback.storage.maintenance import backup, restore
from tests.support.cheaper import cheap_hashing
from tests.support.kit import Kit, person
from tests.support.steps import (
    NEW,
    OLD,
    Tray,
    accept,
    ask,
    case_of,
    choose,
    drain,
    fit,
    secrets_of,
    set_password,
    sign_in,
    try_code,
    types,
)

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
CODE = "c" * 22


@dataclasses.dataclass
class Busy:
    """A Keyback with something of every kind under way."""

    kit: Kit
    tray: Tray
    handle: str
    token: str
    code: str
    session: bytes
    maya: str

    def use_up(self) -> None:
        """What may happen after a backup: a recovery to its end, a sign-out, a saved code."""
        kit = self.kit
        assert accept(kit, self.token) is None
        case = case_of(kit, self.handle)
        assert case is not None
        choose(kit, case.id)
        drain(kit)
        assert isinstance(sign_in(kit, "maya", NEW), SignedIn)
        assert kit.write(lambda tx: tx.sessions.end(self.session)) is not None
        assert kit.write(lambda tx: tx.factors.use_code(CODE))
        assert kit.write(lambda tx: tx.devices.forget(self.maya)) == 1

    def works(self, kit: Kit) -> dict[str, bool]:
        """Which of it works."""
        found = {
            "session": kit.read(lambda tx: tx.sessions.get(self.session)) is not None,
            "browser": bool(kit.read(lambda tx: tx.devices.of_person(self.maya))),
            "saved code": kit.write(lambda tx: tx.factors.use_code(CODE)),
        }
        try:
            found["code"] = try_code(kit, self.handle, self.code) == "accepted"
        except Refusal:  # the page is over
            found["code"] = False
        return {**found, "link": found["code"] or accept(kit, self.token) is None}


def busy(kit: Kit) -> Busy:
    tray = fit(kit, person("maya"), person("noor"), person("omar"))
    set_password(kit, "maya")
    set_password(kit, "noor")
    signed = sign_in(kit, "noor", OLD)
    assert isinstance(signed, SignedIn)
    session = kit.read(lambda tx: tx.sessions.of_person(tx.people.match(["noor"])["noor"][0].person.id))[0].digest
    started = ask(kit, "maya")
    drain(kit)
    token, code, _ = secrets_of(tray.messages[-1])
    ask(kit, "omar")  # not looked up yet
    maya = kit.read(lambda tx: tx.people.match(["maya"]))["maya"][0].person.id

    def more(tx: Any) -> None:
        tx.factors.add(Factor("f" * 22, maya, "recovery_codes", "", "active", {}, added_at=tx.now))
        tx.factors.put_codes([SavedCode(CODE, "f" * 22, "AB", "$x", tx.now)])
        tx.devices.remember(Device(b"d" * 32, maya, "Chrome", "192.0.2.7", tx.now, tx.now, tx.now + 10**9))

    kit.write(more)
    return Busy(kit, tray, started.handle, token, code, session, maya)


@pytest.mark.slow
@pytest.mark.covers("C-9")
def test_everything_under_way_ends_on_both_databases(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    b = busy(kit)
    ended = kit.write(lambda tx: restore.make_safe(tx, None))
    assert ended == {
        "links": 1,
        "questions": 1,  # the link in the letter about a sign-in
        "requests": 2,
        "recoveries": 1,
        "sessions": 1,
        "browsers": 1,
        "waiting": 0,
        "saved_codes": 1,
    }
    assert b.works(kit) == dict.fromkeys(("session", "browser", "saved code", "code", "link"), False)
    assert "restored" in types(kit)
    kit.clock.forward(seconds=1)
    ask(kit, "maya")  # and beginning anew works
    drain(kit)
    assert accept(kit, secrets_of(b.tray.to("maya@example.com")[-1])[0]) is None


@pytest.mark.slow
@pytest.mark.covers("C-9")
def test_a_backup_that_is_put_back_revives_nothing_that_was_used_meanwhile(
    make_kit: Make, sqlite_url: str, tmp_path: Path
) -> None:
    file, copy, aside = (
        Path(sqlite_url.removeprefix("sqlite:///")),
        tmp_path / "copy",
        Path(sqlite_url.removeprefix("sqlite:///")).with_name("aside"),
    )
    b = busy(make_kit())
    backup.copy_to(file, copy)
    with pytest.raises(FileExistsError):
        backup.copy_to(file, copy)
    b.use_up()
    with pytest.raises(backup.InUse):
        backup.put_back(copy, file, aside)
    mark = b.kit.read(restore.mark_of)
    b.kit.run(b.kit.services.db.close())

    # The copy as it is brings everything back to life: what this is about.
    naive = tmp_path / "naive.sqlite"
    shutil.copyfile(copy, naive)
    assert set(b.works(make_kit(url=f"sqlite:///{naive}", clock=b.kit.clock)).values()) == {True}

    backup.put_back(copy, file, aside)
    kit = make_kit(clock=b.kit.clock)
    tray = fit(kit)
    assert kit.read(lambda tx: restore.went_back(tx, mark))
    kit.write(lambda tx: restore.make_safe(tx, mark))
    assert not kit.read(lambda tx: restore.went_back(tx, mark))
    assert not any(b.works(kit).values())
    kit.clock.forward(seconds=1)
    drain(kit)
    assert tray.messages == []
    assert isinstance(sign_in(kit, "maya", OLD), SignedIn)  # the password of then, as the manual says
    assert sqlite3.connect(aside).execute("SELECT max(seq) FROM events").fetchone()[0] == mark.seq


def test_a_copy_that_is_cut_off_or_something_else_changes_nothing(
    make_kit: Make, sqlite_url: str, tmp_path: Path
) -> None:
    file, copy, aside = (
        Path(sqlite_url.removeprefix("sqlite:///")),
        tmp_path / "copy",
        Path(sqlite_url.removeprefix("sqlite:///")).with_name("aside"),
    )
    kit = make_kit()
    busy(kit)
    backup.copy_to(file, copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    kit.run(kit.services.db.close())
    before = file.read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    other = tmp_path / "other"
    sqlite3.connect(other).execute("CREATE TABLE t (x)")
    text = tmp_path / "text"
    text.write_text("not a database\n" * 100)
    for wrong in (cut, other, text):
        with pytest.raises(backup.NoDatabase):
            backup.put_back(wrong, file, aside)
    assert file.read_bytes() == before
    assert not aside.exists()
    assert not list(file.parent.glob("*.restoring"))
    # A database that is damaged, with a log beside it that must not be read into the copy.
    file.write_bytes(b"damaged" * 999)
    log = file.with_name(file.name + "-wal")
    log.write_bytes(b"stale")
    backup.put_back(copy, file, aside)
    backup.check(file)
    assert not log.exists()
    assert aside.read_bytes().startswith(b"damaged")


@pytest.mark.slow
@pytest.mark.covers("C-9")
@pytest.mark.parametrize("how", ["older", "another", "same", "safe", "damaged mark"])
def test_a_node_refuses_a_database_that_is_older_than_what_it_has_seen(
    make_kit: Make, database_url: str, how: str
) -> None:
    kit = make_kit(url=database_url)
    busy(kit)
    file = restore.MarkFile(kit.settings.data_dir / restore.NAME)

    async def start() -> restore.Mark | None:
        with cheap_hashing():
            async with serving.parts(kit.settings):
                await asyncio.sleep(0)
        return file.read()

    seen = kit.run(start())
    assert seen is not None
    assert seen.seq == kit.read(lambda tx: tx.audit.head())[0] > 0
    if how in ("older", "safe"):
        file.write(dataclasses.replace(seen, seq=seen.seq + 3))
    elif how == "another":
        file.write(dataclasses.replace(seen, hash="00" * 32))
    elif how == "damaged mark":
        (kit.settings.data_dir / restore.NAME).write_text("{")
    if how == "safe":
        kit.clock.now = seen.at + 1
        kit.write(lambda tx: restore.make_safe(tx, seen))
    if how in ("older", "another"):
        with pytest.raises(serving.Refused, match="keyback restore"):
            kit.run(start())
    else:
        assert kit.run(start()).seq >= seen.seq  # type: ignore[union-attr]
