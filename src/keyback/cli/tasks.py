"""`keyback task list`, `show`, `done`, `decline`."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from keyback.application.tasks import lifecycle as tasks
from keyback.application.tasks.lifecycle import TaskView
from keyback.cli.common import TakesId, at, columns, echo_json, in_database, reason_of, safe, sure
from keyback.domain.errors import Refusal

STATES = ("open", "done", "declined", "over")
NOT_FOUND = "No task has this ID. See them with: keyback task list --state all"
ENDED = "This task is {}, so there is nothing left to do. See it with: keyback task show {}"
WHAT_TO_DO = {
    "reset": "Reset the password of this account in the system, and give it to its owner in person or by phone.",
    "stop": "Stop this account in the system now, then call its owner.",
    "turn_on": "Call its owner. Then change the password of this account in the system, and turn it on again.",
}


@click.group()
def task() -> None:
    """Look at what only an administrator of a system can do, and say that it's done."""


@task.command("list")
@click.option(
    "--state", default="open", show_default=True, type=click.Choice([*STATES, "all"]), help="Only tasks in this state."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Maximum number to print.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(state: str, limit: int, as_json: bool) -> None:
    """List tasks, newest first."""
    found = in_database(lambda tx: tasks.listed(tx, state=None if state == "all" else state, limit=limit))
    if as_json:
        echo_json([fields_of(v) for v in found])
        return
    heading = ("id", "opened", "task", "state", "system", "username", "person", "signed in")
    rows = [
        (t.id, at(t.opened_at), t.kind, t.state, safe(t.system), safe(v.username), safe(v.person_name), t.watch or "-")
        for v in found
        for t in (v.task,)
    ]
    columns([heading, *rows]) if rows else click.echo("None.")


@task.command("show", cls=TakesId)
@click.argument("task_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(task_id: str, as_json: bool) -> None:
    """Show one task: for whom, what they were verified by, and what to do."""
    view = _named(task_id)
    fields = fields_of(view)
    if as_json:
        echo_json(fields)
        return
    verified = fields.pop("verified")
    shown = {k: at(v) if k.endswith("_at") or k == "watch_from" else safe(v) for k, v in fields.items() if v}
    columns([(k.replace("_", " "), v) for k, v in shown.items()])
    click.echo("\nVerified by")
    columns([(safe(v["method"]), at(v["at"])) for v in verified] or [("nothing: no recovery led to this task", "")])
    click.echo(f"\n{WHAT_TO_DO[view.task.kind]}")


@task.command("done", cls=TakesId)
@click.argument("task_id", metavar="ID")
@click.option("--note", default="", help="Note for the audit log. Never a password.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
def done(task_id: str, note: str, yes: bool) -> None:
    """Record that a task is done. The person is told by email, and Keyback watches for their sign-in."""
    if note:
        note = reason_of(note)
    sure("The person will be told. Is it done in the system itself?", yes)
    _named(task_id)
    _act(task_id, lambda tx: tasks.done(tx, task_id, note))
    click.echo("Recorded. The person is told by email.")


@task.command("decline", cls=TakesId)
@click.argument("task_id", metavar="ID")
@click.option("--reason", required=True, help="Reason. The person sees it.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
def decline(task_id: str, reason: str, yes: bool) -> None:
    """Decline a task. The person is told the reason by email."""
    reason = reason_of(reason)
    sure("The person will be told this reason. Decline it?", yes)
    _named(task_id)
    _act(task_id, lambda tx: tasks.decline(tx, task_id, reason))
    click.echo("Declined. The person is told by email.")


def _named(task_id: str) -> TaskView:
    try:
        return in_database(lambda tx: tasks.found(tx, task_id))
    except Refusal:
        raise click.ClickException(NOT_FOUND) from None


def _act(task_id: str, act: Any) -> None:
    try:
        in_database(act, write=True)
    except Refusal as e:
        if e.code != "wrong_state":
            raise
        raise click.ClickException(ENDED.format(e.values.get("state", "closed"), task_id)) from None


def fields_of(view: TaskView) -> dict[str, Any]:
    """A task as JSON takes it."""
    values = dataclasses.asdict(view.task) | {
        "verified": [{"method": m, "at": ms} for m, ms in view.task.verified],
        "person": view.person_name,
        "username": view.username,
        "external_id": view.external_id,
    }
    return {k: v for k, v in values.items() if k not in ("version", "looks", "look_at")}
