"""`keyback people sync`: people from a system."""

from __future__ import annotations

import dataclasses
import secrets
from typing import Any, cast

import click

from keyback.application.people.sync import BadListing, sync_people
from keyback.application.people.sync_report import SKIPPED, SyncReport
from keyback.application.ports.connectors import Connector, Means, Unavailable
from keyback.application.ports.syncs import SyncBusy, SyncLost
from keyback.bootstrap import make_connector, sync_rules
from keyback.cli.common import at, echo_json, load, progress, run, safe, storage, usable
from keyback.cli.people import show_addresses
from keyback.cli.persons import people
from keyback.registry import BadPart
from keyback.settings import Settings, Unsafe

__all__ = ["people"]

LISTING = {
    "endless": "its list of accounts repeats itself and doesn't end",
    "too_many": "it lists more accounts than people.sync.max_accounts allows",
}


@people.command("sync")
@click.argument("system")
@click.option("--dry-run", is_flag=True, help="Check everything without changing anything.")
@click.option("--changed", is_flag=True, help="Ask only for what changed since the last sync, if the system can tell.")
@click.option("--yes", is_flag=True, help="Disable missing accounts, however many they are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sync(system: str, dry_run: bool, changed: bool, yes: bool, as_json: bool) -> None:
    """Bring in people from a system, and bring those who are there up to date. Syncing again changes nothing.

    Accounts are recognized by their ID in the system, which never changes, so people keep theirs if they are renamed.
    Accounts that are new become people. If their address or username belongs to someone who is already there, they
    wait for a decision: keyback people links list.

    Accounts that the system no longer lists, or lists without access, are disabled. If they are more than
    people.sync.max_off_percent, none are, unless you use --yes.

    With --changed, deleted accounts are not noticed, only those that lost access. The whole list is read all the same
    once people.sync.full_every_hours have passed since it last was.

    If a person's email address changes, the new one can be used for recovery after 72 hours. Until then the old one
    can; it gets a message and can refuse the new one.

    A sync that was interrupted continues where it stopped. The exit code is 1 if accounts were left out because of
    errors, or none were disabled because there were too many.
    """
    s = load()
    usable(s)
    if system not in s.systems:
        raise click.UsageError(f"There is no system called {safe(system)}; known are {', '.join(s.systems)}.")
    connector = _connector(s, system)
    with progress("Syncing") as tell:
        try:
            report = run(_sync(s, connector, dry_run=dry_run, any_off=yes, full=not changed, progress=tell))
        except (Unavailable, BadListing) as e:
            why = LISTING.get(e.code) if isinstance(e, BadListing) else f"it cannot be asked now ({safe(e)})"
            raise click.ClickException(
                f"{system}: {why}. No account was disabled. Run this again to go on, and see: "
                f"keyback connector test {system}"
            ) from None
        except SyncBusy as e:
            raise click.ClickException(
                f"{system} is being synced already. If that sync was killed, try again after {at(e.until)}."
            ) from None
        except SyncLost:
            raise click.ClickException(f"{system}: another sync took over, since this one was stopped.") from None
    if as_json:
        echo_json(dataclasses.asdict(report))
    else:
        _show(report)
    if report.held or report.faults:
        raise click.exceptions.Exit(1)


def _connector(s: Settings, name: str) -> Connector:
    system = s.systems[name]
    try:
        # Systems that list people keep nothing in the database; the built-in one, which does, has no list.
        made = None if system.kind == "builtin" else make_connector(name, system, cast(Any, None), cast(Any, None))
    except BadPart as e:
        raise Unsafe(str(e)) from None
    if made is None or made.capabilities.list is Means.NONE:
        raise click.ClickException(
            f"{name} is of kind {system.kind}, which can't list its accounts. Import a file: keyback people import"
        )
    return made


async def _sync(s: Settings, connector: Connector, **args: Any) -> SyncReport:
    try:
        async with storage(s) as db:
            return await sync_people(db, connector, secrets.token_urlsafe(16), sync_rules(s), **args)
    finally:
        await connector.close()


def _show(r: SyncReport) -> None:
    if r.resumed:
        click.echo("Went on with a sync that had been interrupted.")
    verb = "Would be" if r.dry_run else "People"
    click.echo(f"{r.listed} accounts listed by {r.system}{'' if r.full else ', changed since the last sync'}.")
    click.echo(f"{verb}: {r.added} added, {r.changed} changed, {r.same} unchanged.")
    if r.linked:
        click.echo(f"{r.linked} accounts connected with people who were already there, by address and name.")
    for why in SKIPPED:
        if n := r.skipped.get(why):
            some = ", ".join(map(safe, r.examples[why]))
            click.echo(f"{n} accounts {SKIPPED[why]} ({some}{', …' if n > len(r.examples[why]) else ''}).")
    show_addresses(r)
    if r.off:
        why = "no longer listed, or no access" if r.full else "no access"
        click.echo(f"{r.off} accounts {'would be' if r.dry_run else 'were'} disabled: {why}.")
    if r.held:
        click.echo(
            f"{r.held} of {r.live} accounts are no longer listed or have no access. That is more than "
            "people.sync.max_off_percent, so none were disabled. If it's right, run this again with --yes."
        )
