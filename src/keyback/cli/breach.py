"""`keyback breach build`, `check`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from keyback.application.clock import wall_clock
from keyback.cli.common import at, echo_json, progress
from keyback.domain.passwords.breach_filter import LEAST_FP, MAX_FP
from keyback.storage.breach.build import BreachBuilder
from keyback.storage.breach.lookup import BadBreachFile, BreachFile
from keyback.storage.breach.sources import BadSource


@click.group()
def breach() -> None:
    """Make and check the file of leaked passwords."""


@breach.command("build")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…", type=click.Path(path_type=Path, exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to create.")
@click.option(
    "--fp",
    default=1e-4,
    show_default=True,
    type=click.FloatRange(LEAST_FP, MAX_FP),
    help="Share of passwords refused even though they were never leaked.",
)
@click.option("--json", "in_json", is_flag=True, help="Print JSON.")
def build(sources: tuple[Path, ...], out: Path, fp: float, in_json: bool) -> None:
    """Create the file for password.breach_file.

    A SOURCE is a directory of range files (each named by five hex digits, with lines SUFFIX:COUNT), or a list of SHA-1
    hashes in hex, with or without :COUNT; plain or gzip. Nothing is downloaded or sent. Building
    takes another 8 bytes of disk space per entry. An older file stays in use until the new one is complete.
    """
    began = time.monotonic()
    try:
        with BreachBuilder(out, fp) as builder:
            with progress("Reading (KiB)") as tell:
                builder.add(list(sources), tell)
            with progress("Sorting") as tell:
                built = builder.write(wall_clock(), tell)
    except BadSource as e:
        raise click.ClickException(str(e)) from None
    seconds = time.monotonic() - began
    if in_json:
        echo_json(
            {
                "read": built.read,
                "entries": built.count,
                "bytes": built.size,
                "false_positives": built.false_positives,
                "seconds": round(seconds, 1),
            }
        )
        return
    click.echo(f"{out}: {built.count:,} entries, {built.size / 2**20:,.1f} MiB, in {seconds:,.0f} s.")
    click.echo(f"About 1 in {round(1 / built.false_positives):,} passwords that never leaked is refused as well.")


@breach.command("check")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "in_json", is_flag=True, help="Print JSON.")
def check(file: Path, in_json: bool) -> None:
    """Read a breach file completely and verify its checksum."""
    try:
        leaked = BreachFile(file)
    except BadBreachFile as e:
        raise click.ClickException(f"{file} {e}") from None
    try:
        with progress("Checking") as tell:
            whole = leaked.verify(tell)
    finally:
        leaked.close()
    h = leaked.header
    if in_json:
        facts = {"entries": h.count, "false_positives": leaked.false_positives, "built_at": h.built_at}
        echo_json({"ok": whole, **facts})
    elif whole:
        click.echo(f"{h.count:,} entries, as they were written on {at(h.built_at)}.")
    if not whole:
        raise click.ClickException(f"{file} was changed after it was created. Build or copy it again.")
