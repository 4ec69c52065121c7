"""`keyback clock repair`."""

from __future__ import annotations

from typing import cast

import click

from keyback.cli.common import at, load, reason_of, run, storage, sure, usable
from keyback.settings import Settings
from keyback.storage import clock as clocks
from keyback.storage.maintenance import repair as maintenance_repair
from keyback.storage.tx import SqlTx


@click.group()
def clock() -> None:
    """Put the database's time right after a clock was wrong."""


@clock.command()
@click.option("--reason", required=True, help="Reason, for the audit log: a ticket number or a sentence.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
def repair(reason: str, yes: bool) -> None:
    """Return to the real time if the newest row of the audit log is in the future.

    Keyback's time never goes back before that row, so it stays ahead if the clock was once set ahead. First correct
    the clock and stop every Keyback process. As after a restore, everyone is signed out, and links, codes, recoveries
    in progress, trusted browsers, and recovery codes end.
    """
    s, why = load(), reason_of(reason)
    usable(s)
    sure("Is the clock correct now? This signs everyone out and ends all recovery codes. Continue?", yes)
    newest, now = run(_times(s))
    if newest - now <= clocks.BACK_MS:
        click.echo("Nothing to repair: the newest row of the audit log is not in the future.")
        return
    click.echo(f"The newest row is from {at(newest)}, and the database's clock says {at(now)}.")
    run(_repair(s, newest, why))
    click.echo("Repaired. Start Keyback again.")


async def _times(s: Settings) -> tuple[int, int]:
    async with storage(s) as db:
        db.clock.floored = False
        return await db.read(lambda tx: (clocks.newest(cast(SqlTx, tx).conn), tx.now))


async def _repair(s: Settings, newest: int, why: str) -> None:
    async with storage(s) as db:
        db.clock.floored = False
        await db.write(lambda tx: maintenance_repair.repair(cast(SqlTx, tx), newest, why))
