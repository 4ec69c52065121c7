"""`keyback audit verify`, `export`."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from keyback.application.audit_log import (
    COLUMNS,
    ChainVerdict,
    Exported,
    NotAHead,
    SignedHead,
    as_cells,
    as_json,
    export,
    read_head,
    verify,
)
from keyback.application.ports.storage import StorageDown, Tx
from keyback.application.ports.system_states import AUDIT_LOG
from keyback.bootstrap_keys import load_keyring
from keyback.cli.common import Told, at, echo_json, load, progress, run, storage, usable
from keyback.settings import Settings
from keyback.storage.stores.audit import row_hash


@click.group()
def audit() -> None:
    """Check and export the audit log."""


@audit.command("verify")
@click.option(
    "--head",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An earlier export whose signed head must still be part of the log.",
)
@click.option("--json", "in_json", is_flag=True, help="Print JSON.")
def verify_(head: Path | None, in_json: bool) -> None:
    """Check that no row of the audit log was edited, deleted, swapped, or truncated.

    Names the first row that is wrong. Without --head, a log that was cut off together with its recorded end by someone
    who has the keyring cannot be told; so keep exports elsewhere.
    """
    s = load()
    usable(s)
    signed = None
    if head:
        try:
            signed = read_head(load_keyring(s), _last_line(head))
        except NotAHead as e:
            raise click.ClickException(f"{head}: {e}.") from None
    with progress("Checking") as tell:
        verdict = run(_verify(s, signed, tell))
    bad = verdict.finding
    if in_json:
        finding = {**dataclasses.asdict(bad), "words": bad.words()} if bad else None
        echo_json({**dataclasses.asdict(verdict), "ok": bad is None, "finding": finding})
    elif bad:
        click.echo(bad.words())
        click.echo(f"{verdict.rows} rows before it are as they were written.")
    else:
        click.echo(f"{verdict.rows} rows, all as they were written.")
        if signed:
            click.echo(f"The head signed at {at(signed.at)} (row {signed.seq}) is part of the log.")
    if bad:
        raise click.exceptions.Exit(1)


async def _verify(s: Settings, signed: SignedHead | None, tell: Told) -> ChainVerdict:
    async with storage(s) as db:
        verdict = await verify(db, db.keyring, row_hash, signed=signed, progress=tell)
        bad = verdict.finding
        words = bad.words() if bad else f"{verdict.rows} rows"

        def keep(tx: Tx) -> None:
            tx.system_states.checked(AUDIT_LOG, "bad" if bad else "ok", words, "")

        with contextlib.suppress(StorageDown):  # the verdict counts, not that the console shows it
            await db.write(keep)
        return verdict


def _last_line(path: Path) -> str:
    """The end of a file that may be large."""
    with path.open("rb") as f:
        f.seek(0, 2)
        f.seek(max(0, f.tell() - 4096))
        return f.read().decode("utf-8", "replace")


@audit.command("export")
@click.option("--after", default=0, type=click.IntRange(0), help="Only rows after this one.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to a new file instead of the terminal; never overwrites.",
)
@click.option(
    "--format",
    "form",
    default="jsonl",
    show_default=True,
    type=click.Choice(["jsonl", "csv"]),
    help="One JSON object per line, or CSV for spreadsheets.",
)
def export_(after: int, out: Path | None, form: str) -> None:
    """Write the audit log, one row per line. The last line is a signed head.

    The head ({"seq", "hash", "at", "mac"}) lets `audit verify --head` prove later how the log ended today. If the log
    fails verification, nothing is signed and the exit code is 1. Times are milliseconds since 1970, UTC.
    """
    s = load()
    usable(s)
    with _target(out) as f, progress("Exporting") as tell:
        done = run(_export(s, f, form, after, tell))
    if done.finding:
        raise click.ClickException(f"{done.finding.words()} The export is not signed. Run: keyback audit verify")


@contextmanager
def _target(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        sys.stdout.flush()  # here, where a pipe without a reader is met with calm
        return
    try:
        f = out.open("x", encoding="utf-8", newline="")  # an earlier export is evidence
    except FileExistsError:
        raise click.ClickException(f"{out} is there already and is not overwritten. Give another name.") from None
    with f:
        yield f


async def _export(s: Settings, f: TextIO, form: str, after: int, tell: Told) -> Exported:
    table = csv.writer(f, lineterminator="\n")

    def row(r: Mapping[str, Any]) -> None:
        if form == "csv":
            table.writerow(as_cells(r))
        else:
            f.write(as_json(r) + "\n")

    if form == "csv":
        table.writerow(COLUMNS)
    async with storage(s) as db:
        done = await export(db, db.keyring, row_hash, row, after=after, progress=tell)
    if done.head and form == "csv":
        h = done.head
        table.writerow((h.seq, h.at, "", "signed_head", json.dumps({"mac": h.mac}), h.hash))
    elif done.head:
        f.write(done.head.line() + "\n")
    return done
