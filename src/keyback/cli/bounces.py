"""`keyback bounces take`."""

from __future__ import annotations

import sys

import click

from keyback.application.notifications import returned_mail
from keyback.application.ports.returned_mail import ReturnedMail
from keyback.application.ports.storage import StorageDown
from keyback.channels.mail.delivery_reports import MAX_REPORT, read_report
from keyback.cli.common import load, run, storage, usable
from keyback.settings import Settings

TRY_LATER = 75  # EX_TEMPFAIL: the mail server keeps the mail and tries again


@click.group()
def bounces() -> None:
    """Emails that came back."""


@bounces.command()
def take() -> None:
    """Read one returned email from standard input, as a mail server's pipe gives it.

    Anything that isn't a delivery report about an email from this Keyback is ignored. Exit code 75 asks the mail server
    to try again later.
    """
    report = read_report(sys.stdin.buffer.read(MAX_REPORT))
    if report is None:
        click.echo("This isn't a delivery report about an email from Keyback. Nothing was changed.")
        return
    s = load()
    usable(s)
    try:
        new = run(_take(s, report))
    except StorageDown:
        click.echo("The database is unavailable. The mail server should try again later.", err=True)
        raise click.exceptions.Exit(TRY_LATER) from None
    click.echo("The contact's emails now count as returned." if new else "Nothing new about a contact.")


async def _take(s: Settings, report: ReturnedMail) -> int:
    async with storage(s) as db:
        return await db.write(lambda tx: returned_mail.take(tx, [report]))
