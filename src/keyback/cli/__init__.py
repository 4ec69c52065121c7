"""The command `keyback`."""

from __future__ import annotations

import click

from keyback import __version__
from keyback.cli.audit import audit
from keyback.cli.backup import backup, restore
from keyback.cli.breach import breach
from keyback.cli.campaigns import campaign
from keyback.cli.cases import case
from keyback.cli.check import check
from keyback.cli.clock import clock
from keyback.cli.common import Keyback
from keyback.cli.connectors import connector
from keyback.cli.init import init, migrate
from keyback.cli.keys import keys
from keyback.cli.operators import operator
from keyback.cli.people_links import people
from keyback.cli.policy import policy
from keyback.cli.reports import report
from keyback.cli.serve import demo, openapi, serve, worker
from keyback.cli.tasks import task

__all__ = ["main"]


@click.group(cls=Keyback, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """Keyback gets people back into their accounts.

    Settings come from keyback.toml (here, or the file that KEYBACK_CONFIG names) and from KEYBACK_… in the
    environment. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.

    Commands that can't be undone ask first. If standard input is not a terminal, as in scripts, use --yes;
    otherwise the command exits with 2 and changes nothing.
    """


COMMANDS = (
    init,
    check,
    serve,
    worker,
    migrate,
    people,
    policy,
    case,
    campaign,
    task,
    operator,
    connector,
    report,
    audit,
    breach,
    clock,
    keys,
    backup,
    restore,
    openapi,
    demo,
)
for command in COMMANDS:
    main.add_command(command)
