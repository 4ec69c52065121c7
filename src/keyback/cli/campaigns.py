"""`keyback campaign start`, `status`, `stop`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click

from keyback.application.campaigns import lifecycle
from keyback.application.campaigns.lifecycle import CampaignView, Draft
from keyback.application.desk import campaigns
from keyback.cli.common import TakesId, at, columns, echo_json, in_database, load, safe, sure
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.campaigns import MAX_PACE, CampaignReason, Pacing, Selection
from keyback.domain.people.person import Tier

PIECE = 500  # lines of a list that are looked up at once
NOT_FOUND = "No campaign has this ID. See them with: keyback campaign status"
NOT_NOW = "This campaign has ended. See it with: keyback campaign status {}"
FAULTS = {
    "empty": "Give the campaign a name.",
    "too_long": "The name is too long. Use at most 80 characters.",
    "system": "No system has this name. See them with: keyback connector list",
    "group": "No one is in this group. See the groups with: keyback people groups",
    "no_list": "No one is known by any line of this list. Use usernames or email addresses, one per line.",
    "too_many": "There are too many campaigns that haven't ended. Stop one first: keyback campaign stop ID",
}


@click.group()
def campaign() -> None:
    """Ask many people to choose new passwords, after an incident for example."""


def _clock(_: click.Context, __: click.Parameter, value: str) -> tuple[int, int]:
    if not value:
        return 0, 0
    try:
        times = [t.split(":") for t in value.split("-")]
        (a, b), (c, d) = ((int(h), int(m)) for h, m in times)
    except ValueError:
        raise click.BadParameter("give two times, such as 22:00-07:00") from None
    if not all(0 <= h < 24 and 0 <= m < 60 for h, m in ((a, b), (c, d))):
        raise click.BadParameter("give two times, such as 22:00-07:00")
    return a * 60 + b, c * 60 + d


@campaign.command("start")
@click.argument("name")
@click.option(
    "--reason",
    default="incident",
    show_default=True,
    type=click.Choice(get_args(CampaignReason)),
    help="Why, for the email.",
)
@click.option("--system", default="", help="Only people with an account in this system.")
@click.option("--tier", default=None, type=click.Choice(get_args(Tier)), help="Only people of this tier.")
@click.option("--group", default="", help="Only people in this group or department.")
@click.option(
    "--older-than-days", default=0, type=click.IntRange(0, 3650), help="Only passwords this old, or of unknown age."
)
@click.option(
    "--list", "listed", default=None, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only people in the first column of this CSV file (usernames or email addresses).",
)  # fmt: skip
@click.option("--per-minute", default=0, type=click.IntRange(0, MAX_PACE), help="People per minute. 0: no limit.")
@click.option("--quiet", default="", callback=_clock, help="Hours without emails, such as 22:00-07:00.")
@click.option("--end-sessions", is_flag=True, help="Sign everyone out of Keyback.")
@click.option("--must-renew", is_flag=True, help="Passwords in Keyback only let their owners choose a new one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def start(
    name: str, reason: CampaignReason, system: str, tier: Tier | None, group: str, older_than_days: int,
    listed: Path | None, per_minute: int, quiet: tuple[int, int], end_sessions: bool, must_renew: bool, as_json: bool,
) -> None:  # fmt: skip
    """Draft a campaign. It begins once a security officer approves what the worker counted, in the console."""
    selection = Selection(system, tier or "", older_than_days, listed is not None, group.strip())
    wanted = Draft(name, reason, selection, Pacing(per_minute, *quiet), end_sessions, must_renew)
    systems = load().systems
    try:
        made = in_database(lambda tx: lifecycle.draft(tx, None, wanted, systems), write=True)
        if listed is not None:
            _give(made.id, listed)
        in_database(lambda tx: campaigns.told(tx, made, None), write=True)
    except (BadInput, Refusal) as e:
        raise click.ClickException(FAULTS.get(e.code, e.code)) from None
    view = in_database(lambda tx: lifecycle.view(tx, made.id))
    if as_json:
        echo_json(fields_of(view))
        return
    if listed is not None:
        click.echo(f"List: {view.campaign.given} lines, {view.campaign.unknown} known by no one.")
    click.echo(f"Drafted: {made.id}\nSee how many people it means with: keyback campaign status {made.id}")
    click.echo("It begins when a security officer approves it in the console, at /console/campaigns.")


def _give(campaign_id: str, path: Path) -> None:
    """Puts the list in, piece by piece, however long it is. One that nobody is known by ends the draft."""
    for piece in _pieces(path):
        in_database(lambda tx, piece=piece: lifecycle.name_people(tx, campaign_id, piece), write=True)  # type: ignore[misc]
    found = in_database(lambda tx: lifecycle.view(tx, campaign_id)).campaign
    if found.given == found.unknown:
        in_database(lambda tx: lifecycle.act(tx, None, campaign_id, "stop"), write=True)
        raise BadInput("no_list")
    in_database(lambda tx: lifecycle.act(tx, None, campaign_id, "listed"), write=True)


def _pieces(path: Path) -> Iterator[list[str]]:
    piece: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            for row in csv.reader(f):
                piece.append(row[0] if row else "")
                if len(piece) == PIECE:
                    yield piece
                    piece = []
    except (UnicodeDecodeError, csv.Error):
        raise click.ClickException("The list can't be read. Save it as CSV in UTF-8.") from None
    yield piece


@campaign.command("status", cls=TakesId)
@click.argument("campaign_id", metavar="[ID]", default="")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(campaign_id: str, as_json: bool) -> None:
    """Show one campaign, or list the newest."""
    if campaign_id:
        fields = fields_of(_named(campaign_id))
        if as_json:
            echo_json(fields)
        else:
            columns([(k.replace("_", " "), at(v) if k.endswith("_at") and v else safe(v)) for k, v in fields.items()])
        return
    found = in_database(lifecycle.listed)
    if as_json:
        echo_json([fields_of(v) for v in found])
        return
    heading = ("id", "drafted", "state", "people", "asked", "recovered", "name")
    rows = [_line(v) for v in found]
    columns([heading, *rows]) if rows else click.echo("None.")


def _line(view: CampaignView) -> tuple[str, ...]:
    c, t = view.campaign, view.tally
    figures = (t.of(), t.of("queued", "sent", "failed"), t.did("recovered"))
    return (c.id, at(c.drafted_at), c.state, *map(str, figures), safe(c.name))


@campaign.command("stop", cls=TakesId)
@click.argument("campaign_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
def stop(campaign_id: str, yes: bool) -> None:
    """Stop a campaign for good. Whoever wasn't asked yet isn't asked any more."""
    sure("It can't be started again. Stop it?", yes)
    _named(campaign_id)
    try:
        in_database(lambda tx: lifecycle.act(tx, None, campaign_id, "stop"), write=True)
    except Refusal:
        raise click.ClickException(NOT_NOW.format(campaign_id)) from None
    click.echo("Stopped.")


def _named(campaign_id: str) -> CampaignView:
    try:
        return in_database(lambda tx: lifecycle.view(tx, campaign_id))
    except Refusal:
        raise click.ClickException(NOT_FOUND) from None


def fields_of(view: CampaignView) -> dict[str, Any]:
    """A campaign as JSON takes it; figures only, no people."""
    c, t = view.campaign, view.tally
    return {
        "id": c.id,
        "name": c.name,
        "state": c.state,
        "reason": c.reason,
        "system": c.selection.system,
        "tier": c.selection.tier,
        "group": c.selection.group,
        "older_than_days": c.selection.older_days,
        "per_minute": c.pacing.per_minute,
        "end_sessions": c.end_sessions,
        "must_renew": c.must_renew,
        "drafted_by": view.drafted_by,
        "drafted_at": c.drafted_at,
        "decided_by": view.decided_by,
        "decided_at": c.decided_at,
        "ended_at": c.ended_at,
        "list_lines": c.given,
        "list_unknown": c.unknown,
        "people": t.of(),
        "privileged": t.of(privileged=True),
        "unreachable": t.of("unreachable"),
        "sign_in_elsewhere": t.of("elsewhere"),
        "not_asked": t.of("waiting"),
        "in_outbox": t.of("queued"),
        "sent": t.of("sent"),
        "failed": t.of("failed"),
        "gone": t.of("gone"),
        "recovering": t.did("opened"),
        "recovered": t.did("recovered"),
        "ended": t.did("ended"),
        "nothing_yet": t.did(""),
    }
