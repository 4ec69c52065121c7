"""`keyback report`."""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from keyback.application.audit_log import plain_cell
from keyback.application.ports.storage import Tx
from keyback.application.reports.report import Period, Report, as_json, build, lines
from keyback.cli.common import echo_json, in_database, load
from keyback.domain.errors import BadInput

FAULTS = {
    "day": "Give days as year, month, and day, such as 2026-11-28.",
    "order": "The first day is after the last one.",
    "too_long": "A report covers at most 400 days.",
}


@click.command()
@click.option("--from", "first", default="", help="First day, such as 2026-11-01. Default: 30 days up to the last day.")
@click.option("--to", "last", default="", help="Last day. Default: today.")
@click.option("--format", "kind", default="csv", show_default=True, type=click.Choice(["csv", "json"]), help="Format.")
def report(first: str, last: str, kind: str) -> None:
    """Print the figures of a period: how recoveries went, without names. The worker makes them of the audit log."""
    zone = ZoneInfo(load().timezone)

    def of(tx: Tx) -> Report:
        return build(tx, Period.of(first, last, datetime.fromtimestamp(tx.now / 1000, zone).date()))

    try:
        found = in_database(of)
    except BadInput as e:
        raise click.UsageError(FAULTS[e.code]) from None
    if kind == "json":
        echo_json(as_json(found))
        return
    table = csv.writer(sys.stdout)
    table.writerow(("figure", "part", "day", "value"))
    table.writerows([plain_cell(x) for x in line] for line in lines(found))
