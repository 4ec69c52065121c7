"""`keyback people import`, `sign-out`."""

from __future__ import annotations

import csv
import dataclasses
import io
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from keyback.application.audit_log import plain_cell
from keyback.application.people.csv_headings import field_of
from keyback.application.people.import_csv import BadRow, Report, Systems, Unreadable, import_people
from keyback.application.people.saving import Changes
from keyback.application.ports.storage import Tx
from keyback.application.signin.sessions import SignedOut, people_named, revoke_all, revoke_everybody
from keyback.cli.common import (
    TakesId,
    Told,
    create_private,
    echo_json,
    load,
    progress,
    reason_of,
    run,
    safe,
    storage,
    sure,
    usable,
)
from keyback.domain.people.groups import MAX_GROUP, MAX_GROUPS
from keyback.settings import Settings

SHOWN = 20  # bad rows named on the terminal
LISTED = 10_000  # and in the JSON
ADDRESS_WORDS = {
    "moving": "{old} becomes {new}",
    "moved": "{old} is now {new}",
    "added": "{new} is added",
    "removed": "{new} is removed",
    "kept": "{old} stays after all, {new} does not come",
}
OWN_NUMBER = frozenset({"builtin", "guided"})  # kinds that need no external id


@click.group()
def people() -> None:
    """Bring in people and their accounts, and sign them out."""


@people.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--encoding", default="", help="Encoding of the file, such as gb18030, big5, or cp1251. Detected if omitted."
)
@click.option("--system", default="", help="System that the accounts belong to, if the file has no column for it.")
@click.option("--ignore", multiple=True, metavar="COLUMN", help="Column to ignore. Can be repeated.")
@click.option(
    "--errors",
    type=click.Path(path_type=Path, dir_okay=False),
    help="New CSV file for the rows that were skipped, each with its line number and the reason.",
)
@click.option("--dry-run", is_flag=True, help="Check everything without changing anything.")
@click.option(
    "--addresses-moved",
    is_flag=True,
    help="Use changed addresses immediately, because the company moved them, for example to another domain.",
)
@click.option("--yes", is_flag=True, help="Don't ask for confirmation of --addresses-moved (for scripts).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(
    file: Path,
    encoding: str,
    system: str,
    ignore: tuple[str, ...],
    errors: Path | None,
    dry_run: bool,
    addresses_moved: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Import people from a CSV file, a pipe, or - for standard input. Importing a file again changes nothing.

    Each row is one account. Encodings: UTF-8, UTF-16, or GB18030; others with --encoding. Separators: comma, semicolon,
    tab, or bar. A header row names the columns, in English or Chinese: name (姓名), email (邮箱), backup_email
    (备用邮箱), username (用户名), system (系统), external_id (外部编号), locale (语言), state (状态), tier (等级),
    group (部门), key (工号), mobile (手机), provider (单点登录). Only name and email are required. Exports from common
    systems work without changes. Groups are kept to choose people by;
    `policy.groups` sets the tier of one.

    Rows with the same key are one person; if there is no key column, rows with the same email are. Anything the file
    has no column for stays the same. If the file has keys, accounts that are no longer listed for a person are
    disabled, but only in the systems that occur in the file.

    If a known person's email address changes, the new one can be used for recovery after 72 hours. Until then the old
    one can; it gets a message and can refuse the new one. A refused address is skipped and reported on every import.

    Rows with errors are reported and skipped. The exit code is then 1, and also if a column that may be about access
    wasn't recognized.
    """
    s = load()
    usable(s)
    if addresses_moved and not dry_run:
        sure(f"Changed addresses in {file.name} will be used immediately, without the 72-hour wait. Continue?", yes)
    bad: list[BadRow] = []
    with ExitStack() as stack:
        write = stack.enter_context(_ErrorFile(errors)).add if errors else None
        tell = stack.enter_context(progress("Importing"))

        def on_bad(row: BadRow) -> None:
            if write:
                write(row)
            if len(bad) < LISTED:
                bad.append(row)

        try:
            args = {"dry_run": dry_run, "moved": addresses_moved, "encoding": encoding, "ignore": ignore}
            report = run(_import(s, file, system, {**args, "on_bad": on_bad, "progress": tell}))
        except Unreadable as e:
            raise click.ClickException(f"{file}: {e}.") from None
    if as_json:
        rows = [{"line": b.line, "reason": b.reason, "column": b.column, "words": b.words()} for b in bad]
        echo_json({**dataclasses.asdict(report), "bad_rows": rows})
    else:
        _show(report, bad, errors)
    if report.bad or report.warnings:
        raise click.exceptions.Exit(1)


async def _import(s: Settings, file: Path, system: str, args: dict[str, Any]) -> Report:
    titles = {name: system.title for name, system in s.systems.items()}
    ids = frozenset(name for name, system in s.systems.items() if system.kind not in OWN_NUMBER)
    systems = Systems(titles, ids, s.default_locale, s.policy.groups, phone_country=s.phone_country)
    if system:
        named = systems.named(system)
        if named is None:
            raise click.UsageError(
                f"--system: there is none called {safe(system)}; known are {', '.join(systems.known)}."
            )
        systems = dataclasses.replace(systems, default_system=named)
    async with storage(s) as db:
        return await import_people(db, file, systems, **args)


def _show(report: Report, bad: list[BadRow], errors: Path | None) -> None:
    for b in bad[:SHOWN]:
        click.echo(f"line {b.line}: {b.words()}", err=True)
    if report.bad > SHOWN:
        more = f"All are in {errors}." if errors else "See all with --errors FILE.csv."
        click.echo(f"and {report.bad - SHOWN} more. {more}", err=True)
    for warning in report.warnings:
        click.echo(f"Warning: {safe(warning)}", err=True)
    for note in report.notes:
        click.echo(safe(note))
    phones = [u for u in report.unused if field_of(u) == "phone"]
    others = [u for u in report.unused if u not in phones]
    if others:
        click.echo(f"Columns that were not used: {', '.join(safe(u) for u in others)}")
    if phones:
        click.echo(f"The column {safe(phones[0])} was not used: SMS isn't set up, or people.phones is false.")
    if report.empty_groups:
        names = ", ".join(safe(g) for g in report.empty_groups)
        click.echo(f"No one in this file is in these groups from policy.groups. Check the spelling: {names}")
    verb = "Would be" if report.dry_run else "People"
    click.echo(f"{report.rows} rows read as {report.encoding.upper()}.{_sample(report)}")
    click.echo(f"{verb}: {report.added} added, {report.changed} changed, {report.same} unchanged.")
    if report.off:
        words = ", ".join(f"{safe(word)} {n}" for word, n in sorted(report.off.items(), key=lambda x: -x[1]))
        click.echo(f"Without access, by what the file says: {words}.")
    if report.switched_off:
        click.echo(f"{report.switched_off} of those left out lost their access, because their row says so.")
    if report.languages:
        words = ", ".join(f"{safe(word)} {n}" for word, n in sorted(report.languages.items(), key=lambda x: -x[1])[:10])
        click.echo(f"Default language used instead of an unknown one: {words}.")
    show_addresses(report)
    if report.bad_phones:
        lines = ", ".join(map(str, report.bad_phone_lines[:10])) + (", …" if report.bad_phones > 10 else "")
        click.echo(
            f"{report.bad_phones} mobile numbers can't be used (lines {lines}). "
            "Everything else in these rows was taken, and the numbers that these people had stay. A number without a "
            "country code needs people.phone_country."
        )
    if report.groups_left_out:
        click.echo(
            f"Groups not kept: {report.groups_left_out}. Up to {MAX_GROUPS} of a person are, each of up to "
            f"{MAX_GROUP} characters that can be shown."
        )
    if report.beyond_ascii:
        n, some = len(report.beyond_ascii), ", ".join(safe(name) for name in report.beyond_ascii[:5])
        click.echo(
            f"{n} people have an address with letters beyond ASCII before the @ ({some}{', …' if n > 5 else ''}). "
            "Email reaches it only through a relay that offers SMTPUTF8; keyback check says whether yours does."
        )
    if report.bad:
        click.echo(f"Rows left out: {report.bad}. Correct them and import the file again.")


def _sample(report: Report) -> str:
    """The first name beyond ASCII, so that people see whether the encoding is right."""
    if not report.sample:
        return ""
    how = "" if report.encoding.startswith("utf") else " If it is written otherwise, give --encoding."
    return f" Line {report.sample_line} names {safe(report.sample)}.{how}"


def show_addresses(report: Changes) -> None:
    """Addresses that change, and those that their owners refused."""
    if report.addresses:
        waits = any(line.until for line in report.lines)
        how = "A new one can recover in 72 hours; the old one is told, and can refuse it." if waits else "All are told."
        click.echo(f"Addresses: {report.addresses} changed. {how}")
    shown = sorted(report.lines, key=lambda line: line.kind == "refused")
    for line in [x for x in shown if x.kind != "refused"][:SHOWN]:
        click.echo(f"  {safe(line.name)}: {ADDRESS_WORDS[line.kind].format(new=safe(line.new), old=safe(line.old))}")
    if report.refused:
        click.echo(
            f"{report.refused} addresses stay out: their owners refused them or gave them up. Correct them where the "
            "file comes from; whoever wants such an address adds it in the security centre."
        )
    for line in [x for x in shown if x.kind == "refused"][:SHOWN]:
        click.echo(f"  {safe(line.name)}: {safe(line.new)}")


class _ErrorFile:
    """The rows that were left out, for a spreadsheet: with a mark for UTF-8 and without formulas."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _ErrorFile:
        try:
            create_private(self._path, "\ufeff")
        except FileExistsError:
            raise click.UsageError(f"{self._path} is there already; --errors writes a new file.") from None
        self._file: io.TextIOWrapper = self._path.open("a", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(("line", "reason", "row"))
        return self

    def add(self, row: BadRow) -> None:
        self._csv.writerow((row.line, row.words(), *(plain_cell(c) for c in row.record)))

    def __exit__(self, *_: object) -> None:
        self._file.close()


@people.command("sign-out", cls=TakesId)
@click.argument("name", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everyone instead of one person.")
@click.option("--reason", required=True, help="Reason, for the audit log.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sign_out_(name: str | None, everybody: bool, reason: str, yes: bool, as_json: bool) -> None:
    """End the sessions of one person, by username, email, or ID, or of everyone.

    Sign-ins that are waiting for a second step end, too. Passwords stay the same, so anyone who knows one can sign in
    again. If that may be someone else, have the person lock the account ("this wasn't me") or recover it.
    """
    if bool(name) == everybody:
        raise click.UsageError("Give one person, or --all.")
    reason = reason_of(reason)
    s = load()
    usable(s)
    if name:
        sure(f"This ends every session of {safe(name)}. Continue?", yes)
        done = run(_sign_out(s, name, reason))
    else:
        sure("This ends everyone's sessions. Continue?", yes)
        with progress("Signing out") as tell:
            done = run(_sign_all_out(s, reason, tell))
    if as_json:
        echo_json(dataclasses.asdict(done))
    else:
        click.echo(f"{done.sessions} sessions of {done.people} people have ended.")


async def _sign_out(s: Settings, name: str, reason: str) -> SignedOut:
    def fn(tx: Tx) -> SignedOut | int:
        found = people_named(tx, name)
        return SignedOut(1, revoke_all(tx, found[0].id, reason)) if len(found) == 1 else len(found)

    async with storage(s) as db:
        done = await db.write(fn)
    if isinstance(done, SignedOut):
        return done
    if done:
        raise click.ClickException(f"{done} people share this address. Give the username or ID of one.")
    raise click.ClickException("No one has this username, email address, or ID.")


async def _sign_all_out(s: Settings, reason: str, tell: Told) -> SignedOut:
    async with storage(s) as db:
        return await revoke_everybody(db, reason, tell)
