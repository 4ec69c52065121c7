"""`keyback siem`: the stream of every event to the company's SIEM."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from keyback.application.audit_log import log_of
from keyback.application.ports.siem import Away, Position
from keyback.application.ports.storage import Tx
from keyback.application.siem import stream
from keyback.application.siem.lines import NOTICE, framed, syslog
from keyback.application.webhooks.messages import instant
from keyback.cli.check_siem import CURES
from keyback.cli.common import at, echo_json, in_database, load, run, usable
from keyback.outbound.syslog import SyslogLink
from keyback.settings import Settings


@click.group()
def siem() -> None:
    """Send every event of the audit log to your SIEM, as syslog over TLS."""


@siem.command("test")
def test() -> None:
    """Send one line, siem_test, to the SIEM now. Exit code 1 if it doesn't take it."""
    s = _named()
    now = in_database(lambda tx: tx.now)
    host = urlsplit(s.public_url).hostname or "keyback"
    content = {"type": "siem_test", "timestamp": instant(now), "data": {"seq": 0}}
    try:
        run(SyslogLink(s.siem.server()).try_out([framed(syslog("siem_test", now, host, NOTICE, 0, content))]))
    except Away as e:
        words, cure = CURES[e.code]
        raise click.ClickException(f"{s.siem.host}:{s.siem.port}: {words}. {cure}") from None
    click.echo("It took the line.")


@siem.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """Show how far the stream is."""
    _named()
    position, head = in_database(lambda tx: (tx.siem.position(), log_of(tx).head()[0]))
    if position is None:
        raise click.ClickException("Nothing was sent yet: no worker has run since the SIEM stands in the settings.")
    if as_json:
        echo_json(_about(position, head))
        return
    click.echo(f"{head - position.read_to} events wait, the last that was taken is number {position.read_to}.")
    if position.sent_at:
        click.echo(f"Last taken at {at(position.sent_at)}.")
    if position.failures:
        words, cure = CURES.get(position.last_code, (position.last_code, ""))
        click.echo(f"Nothing is taken since {at(position.failing_since)}: {words}. {cure}")
    if position.skipped:
        click.echo(f"{position.skipped} events were left out.")


@siem.command("resend")
@click.option("--since", type=click.IntRange(min=1), required=True, metavar="SEQ", help="The first event to send.")
def resend(since: int) -> None:
    """Send everything from an event on once more, by its number in the audit log; 1 is the first."""
    _named()

    def again(tx: Tx) -> int:
        return stream.send_again(tx, since)

    click.echo(f"{in_database(again, write=True)} events are sent again.")


def _named() -> Settings:
    s = load()
    usable(s)
    if not s.siem.host:
        raise click.ClickException("siem.host is not set. Name the SIEM in the section [siem] of the settings.")
    return s


def _about(p: Position, head: int) -> dict[str, object]:
    about = {"read_to": p.read_to, "waiting": head - p.read_to, "skipped": p.skipped, "failures": p.failures}
    return {**about, "failing_since": p.failing_since, "sent_at": p.sent_at, "last_code": p.last_code}
