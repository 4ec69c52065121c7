"""`keyback backup`, `restore`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import click

from keyback.cli.common import echo_json, load, run, sqlite_file, storage, sure, usable
from keyback.cli.init import migrate_now
from keyback.settings import Settings
from keyback.storage.maintenance import backup as maintenance_backup
from keyback.storage.maintenance import reseal
from keyback.storage.maintenance.restore import NAME, MarkFile, make_safe
from keyback.storage.tx import SqlTx

NOT_SQLITE = "The database is PostgreSQL. {} Then run: keyback restore"
PUT_BACK = "Put the copy back with pg_restore while no Keyback runs."
ENDED = {
    "links": "links and codes",
    "questions": "further questions and links",
    "requests": "requests",
    "recoveries": "recoveries under way",
    "sessions": "sessions",
    "browsers": "trusted browsers",
    "waiting": "mails and passwords that waited",
    "saved_codes": "saved recovery codes",
}


@click.command()
@click.argument("out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
def backup(out: Path) -> None:
    """Copy the SQLite database into a new file while Keyback is running. Never overwrites.

    The copy shows a single moment, and only its owner can read it. It doesn't contain the keyring: keep that
    elsewhere. For PostgreSQL, use pg_dump.
    """
    s = load()
    file = sqlite_file(s)
    if file is None:
        raise click.ClickException("The database is PostgreSQL. Use: pg_dump --format=custom")
    if not file.exists():
        raise click.ClickException(f"{file} is not there.")
    try:
        maintenance_backup.copy_to(file, out)
    except FileExistsError:
        raise click.ClickException(f"{out} is there already and is not overwritten. Give another name.") from None
    except maintenance_backup.NoDatabase as e:
        raise click.ClickException(f"The copy could not be made ({e}). Nothing was left behind.") from None
    click.echo(f"{out}: {out.stat().st_size} bytes, read through and whole.")


@click.command()
@click.argument("copy", metavar="[FILE]", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def restore(copy: Path | None, yes: bool, as_json: bool) -> None:
    """Restore a backup, and end everything that may have been used since it was made.

    With FILE, replaces the SQLite database with this copy and keeps the previous one next to it. Without FILE, uses the
    database as it is: for PostgreSQL after pg_restore, or if you put the file back yourself. First stop every Keyback
    process.

    This ends links, codes, recoveries in progress, sessions, trusted browsers, recovery codes, and any email and
    passwords that were waiting. Passwords, contacts, and factors are those of the backup.
    """
    s = load()
    file = sqlite_file(s)
    if copy is not None and file is None:
        raise click.ClickException(NOT_SQLITE.format(PUT_BACK))
    sure("This signs everyone out and ends all recovery codes. Continue?", yes)
    aside = None
    if copy is not None and file is not None:
        aside = _put_back(copy, file)
    migrate_now(s)
    usable(s, fitting=False)
    ended, unreadable = run(_make_safe(s))
    if as_json:
        echo_json({"aside": str(aside) if aside else None, "ended": ended, "unreadable": unreadable})
    else:
        if aside:
            click.echo(f"{copy} is in place; what was there is {aside}.")
        click.echo(f"Ended: {', '.join(f'{n} {ENDED[k]}' for k, n in ended.items() if n) or 'nothing was under way'}.")
    if unreadable:
        words = f"{unreadable} rows are sealed with a key that is not in the keyring."
        raise click.ClickException(f"{words} Add the line of that key from the keyring's own backup.")


def _put_back(copy: Path, file: Path) -> Path:
    aside = file.with_name(f"{file.name}.before-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        maintenance_backup.put_back(copy, file, aside)
    except maintenance_backup.InUse:
        raise click.ClickException(f"{file} is in use. Stop every Keyback, then run this again.") from None
    except maintenance_backup.NoDatabase as e:
        raise click.ClickException(f"{copy} cannot be used ({e}). Nothing was changed.") from None
    return aside


async def _make_safe(s: Settings) -> tuple[dict[str, int], int]:
    try:
        before = MarkFile(s.data_dir / NAME).read()
    except ValueError:
        before = None
    async with storage(s) as db:
        ended = await db.write(lambda tx: make_safe(cast(SqlTx, tx), before))
        return ended, await db.read(lambda tx: reseal.unreadable(cast(SqlTx, tx)))
