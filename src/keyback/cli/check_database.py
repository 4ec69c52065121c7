"""`keyback check` on the database: its schema, its clock, whether it takes writes, what rows say of the settings."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import Literal, cast
from urllib.parse import urlsplit

from keyback.application.clock import wall_clock
from keyback.application.ports.storage import StorageDown, Tx
from keyback.cli import check_siem
from keyback.cli.check_result import Result
from keyback.cli.check_syncs import look as look_at_syncs
from keyback.cli.check_webhooks import look as look_at_webhooks
from keyback.cli.common import revision, schema_problem
from keyback.settings import Settings, Unsafe
from keyback.storage.clock import JUMP_MS
from keyback.storage.database import SqlDatabase
from keyback.storage.maintenance import strays
from keyback.storage.maintenance.names import clashes
from keyback.storage.tx import SqlTx

SKEW_WARN_MS, SKEW_BAD_MS = 2_000, 30_000


def schema(s: Settings) -> Result:
    try:
        status, words = schema_problem(revision(s))
    except StorageDown as e:
        return Result("database", "bad", f"cannot be reached ({e})", "See that it runs and that database_url is right.")
    except Unsafe as e:
        return Result("database", "bad", str(e))
    return Result("database", status, words)  # type: ignore[arg-type]


async def writing(db: SqlDatabase) -> list[Result]:
    try:
        await db.write(_touch)
        before = wall_clock()
        theirs = await db.read(lambda tx: tx.now)
        ours = (before + wall_clock()) // 2
    except StorageDown as e:
        return [Result("writing", "bad", f"cannot write to the database ({e})", "See rights and room on its disk.")]
    skew = abs(theirs - ours)
    status: Literal["ok", "warn", "bad"] = "ok" if skew < SKEW_WARN_MS else "warn" if skew < SKEW_BAD_MS else "bad"
    words = f"{skew / 1000:.1f} s between this machine and the database"
    next_ = "" if status == "ok" else "Keep both clocks right with NTP."
    if db.clock.behind_ms > SKEW_WARN_MS:
        status = "bad" if db.clock.behind_ms > JUMP_MS else "warn"
        words = f"{db.clock.behind_ms / 1000:.0f} s behind the newest row of the audit log"
        next_ = "Set the database's clock right. If it is right, run: keyback clock repair"
    out = [Result("writing", "ok", "a write was kept"), Result("clock", status, words, next_)]
    if not db.sqlite and not await asyncio.to_thread(db.announcing.works):
        words = "this database passes no notifications on (LISTEN, NOTIFY), so nodes look for work every half second"
        out.append(Result("wake-ups", "warn", words, "Use PostgreSQL itself, and no pooler by transaction before it."))
    return out


def _touch(tx: Tx) -> None:
    """A row that counts nothing and is purged in time."""
    tx.counters.add(["check"])
    tx.counters.reset("check")


async def out_of_reach(s: Settings, db: SqlDatabase) -> list[Result]:
    """Accounts and passkeys that the settings no longer reach, since a system or the host was renamed."""
    host = urlsplit(s.public_url).hostname or ""
    try:
        accounts = await db.read(lambda tx: strays.accounts_elsewhere(cast(SqlTx, tx), list(s.systems)))
        passkeys = await db.read(lambda tx: strays.passkeys_elsewhere(cast(SqlTx, tx), host))
        alike = await db.read(lambda tx: clashes(cast(SqlTx, tx).conn))
    except StorageDown:
        return []  # told by what comes before
    out = []
    for clash in alike:
        words = f"{clash.name} ({clash.system or 'key of an import'}) keeps an older form, which another name has now"
        out.append(Result("names", "warn", words, "Rename one of the two where the import comes from."))
    for name, n in accounts.items():
        words = (
            f"{n} accounts belong to the system {name}, which the settings do not name: none of them can be recovered"
        )
        step = f"Name it again (systems.{name}). To give it up, import its accounts as disabled while it is named."
        out.append(Result("systems", "warn", words, step))
    for name, n in passkeys.items():
        words = f"{n} passkeys were made for {name}, and browsers offer none of them on {host}"
        step = f"Set public_url back to {name}, or have their owners add new ones in the security center."
        out.append(Result("passkeys", "warn", words, step))
    return out


async def syncs_and_webhooks(s: Settings, db: SqlDatabase) -> list[Result]:
    def find(tx: Tx) -> list[Result]:
        runs = look_at_syncs(s, {run.system: run for run in tx.syncs.runs()}, tx.now)
        return [Result(*dataclasses.astuple(f)) for f in (*runs, *look_at_webhooks(tx), *check_siem.look(s, tx))]

    with contextlib.suppress(StorageDown):  # told by what comes before
        return await db.read(find)
    return []


async def beyond_the_relay(db: SqlDatabase) -> list[Result]:
    """People whom this relay can send nothing."""
    try:
        n = await db.read(lambda tx: strays.beyond_ascii(cast(SqlTx, tx)))
    except StorageDown:
        return []  # told by what comes before
    words = f"{n} addresses have letters beyond ASCII before the @, and the relay takes none of them: no email arrives"
    next_ = "Give these people another address, or use a relay that offers SMTPUTF8."
    return [Result("mail addresses", "warn", words, next_)] if n else []
