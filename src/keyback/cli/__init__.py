"""The command `keyback`."""

from __future__ import annotations

import click

from keyback import __version__
from keyback.cli.group import Keyback

__all__ = ["main"]
WHERE = {
    "init": "keyback.cli.init:init",
    "check": "keyback.cli.check:check",
    "serve": "keyback.cli.serve:serve",
    "worker": "keyback.cli.serve:worker",
    "migrate": "keyback.cli.init:migrate",
    "people": "keyback.cli.people_photos:people",
    "policy": "keyback.cli.policy:policy",
    "evaluate": "keyback.cli.evaluate:evaluate_command",
    "evidence": "keyback.cli.evidence:evidence",
    "brand": "keyback.cli.brand:brand",
    "case": "keyback.cli.cases:case",
    "campaign": "keyback.cli.campaigns:campaign",
    "task": "keyback.cli.tasks:task",
    "operator": "keyback.cli.operators:operator",
    "connector": "keyback.cli.connectors:connector",
    "report": "keyback.cli.reports:report",
    "siem": "keyback.cli.siem:siem",
    "snippet": "keyback.cli.snippet:snippet",
    "webhook": "keyback.cli.webhooks:webhook",
    "audit": "keyback.cli.audit:audit",
    "bounces": "keyback.cli.bounces:bounces",
    "breach": "keyback.cli.breach:breach",
    "clock": "keyback.cli.clock:clock",
    "keys": "keyback.cli.keys:keys",
    "backup": "keyback.cli.backup:backup",
    "restore": "keyback.cli.backup:restore",
    "openapi": "keyback.cli.serve:openapi",
    "version": "keyback.cli.version:version_command",
    "completion": "keyback.cli.completion:completion",
    "man": "keyback.cli.completion:man",
    "demo": "keyback.cli.serve:demo",
}


@click.group(
    cls=Keyback,
    where=WHERE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """Keyback gets people back into their accounts.

    Settings come from keyback.toml (here, or the file that KEYBACK_CONFIG names) and from KEYBACK_… in the
    environment. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.

    Commands that can't be undone ask first. If standard input is not a terminal, as in scripts, use --yes;
    otherwise the command exits with 2 and changes nothing.
    """
