"""`keyback webhook`: programs of the company's own that are told of events."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TypeVar

import click

from keyback.application.ports.storage import Tx
from keyback.application.ports.webhooks import Answer
from keyback.application.webhooks import receivers
from keyback.application.webhooks.catalogue import CATALOGUE
from keyback.application.webhooks.receivers import Listed, MadeSecret
from keyback.cli.common import TakesId, at, columns, echo_json, in_database, load, run, safe, storage, sure, usable
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.units import HOUR
from keyback.outbound.http import Endpoint
from keyback.outbound.webhooks import WebhookPosts

T = TypeVar("T")
REFUSED = {
    "not_found": "No receiver has this ID. List them with: keyback webhook list",
    "too_many": "There are 20 receivers already. Remove one that no one uses first.",
    "conflict": "This address is a receiver already. List them with: keyback webhook list",
}
SAID = {
    "taken": "It took the event.",
    "gone": "It answered 410 Gone: it wants no more events.",
    "unreachable": "It can't be reached. Check the address, the port, and its certificate.",
    "no_answer": "It was called and gave no usable answer in time.",
    "unusable": "Its address can't be used any more. Remove it and add it again.",
}


@click.group()
def webhook() -> None:
    """Tell programs of your own what happens, by signed webhooks."""


@webhook.command("add")
@click.argument("url")
@click.option("--event", "types", multiple=True, metavar="TYPE", help="Only this kind of event; repeat for more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(url: str, types: tuple[str, ...], as_json: bool) -> None:
    """Add a receiver at URL and print its secret, once. It is told of what happens from now on."""
    try:
        Endpoint(url)
    except ValueError as e:
        raise click.UsageError(f"{safe(url)} can't be used: {e}.") from None
    for unknown in sorted(set(types) - set(CATALOGUE)):
        near = difflib.get_close_matches(unknown, CATALOGUE, 3)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise click.UsageError(f"There is no event called {safe(unknown)}.{meant}")
    _show(_refusing(lambda tx: receivers.add(tx, url, types)), as_json)


@webhook.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the receivers: how they are, what waits for them, and what was given up."""
    found = in_database(receivers.listed)
    if as_json:
        echo_json([_about(x) for x in found])
        return
    rows = [
        (
            x.receiver.id,
            _health(x),
            str(x.undelivered.ready),
            str(x.undelivered.dead),
            at(x.receiver.taken_at) if x.receiver.taken_at else "never",
            safe(x.receiver.url),
        )
        for x in found
    ]
    columns([("id", "state", "waiting", "given up", "last taken", "url"), *rows]) if rows else click.echo("None.")


@webhook.command("test", cls=TakesId)
@click.argument("receiver_id", metavar="ID")
def test(receiver_id: str) -> None:
    """Post one webhook_test to a receiver now. Exit code 1 if it doesn't take it."""
    s = load()
    usable(s)

    async def work() -> Answer:
        posts = WebhookPosts(s.webhooks.ca_file, s.webhooks.timeout_s)
        try:
            async with storage(s) as db:
                return await receivers.test(db, posts, receiver_id)
        finally:
            await posts.close()

    try:
        answer = run(work())
    except Refusal as e:
        raise click.ClickException(REFUSED.get(e.code, e.code)) from None
    words = SAID.get(
        answer.code, f"It answered {answer.code.replace('http_', 'HTTP ')}; only 200 to 299 takes an event."
    )
    if answer.code != "taken":
        raise click.ClickException(words)
    click.echo(words)


@webhook.command("rotate", cls=TakesId)
@click.argument("receiver_id", metavar="ID")
@click.option("--overlap", type=click.IntRange(0, 168), default=24, show_default=True, help="Hours both secrets sign.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rotate(receiver_id: str, overlap: int, as_json: bool) -> None:
    """Give a receiver another secret, and print it, once. Events carry both signatures for the hours of --overlap."""
    _show(_refusing(lambda tx: receivers.rotate(tx, receiver_id, overlap * HOUR)), as_json)


@webhook.command("resend", cls=TakesId)
@click.argument("receiver_id", metavar="ID")
@click.option("--since", type=click.IntRange(min=1), metavar="SEQ", help="Also everything from this event on.")
def resend(receiver_id: str, since: int | None) -> None:
    """Send again what was given up, and switch on a receiver that had said it was gone."""
    count = _refusing(lambda tx: receivers.resend(tx, receiver_id, since or 0))
    click.echo(f"{count} that were given up are sent again." + (f" So is everything from {since} on." if since else ""))


@webhook.command("dead", cls=TakesId)
@click.argument("receiver_id", metavar="ID")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Maximum number to print.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def dead(receiver_id: str, limit: int, as_json: bool) -> None:
    """List what was given up for a receiver, the oldest first."""
    found = _refusing(lambda tx: receivers.dead(tx, receiver_id, limit))
    if as_json:
        echo_json(found)
        return
    rows = [
        (str(r["seq"]), str(r["type"]), at(int(str(r["at"]))), str(r["attempts"]), str(r["last_code"])) for r in found
    ]
    columns([("seq", "type", "when", "tries", "last"), *rows]) if rows else click.echo("None.")


@webhook.command("remove", cls=TakesId)
@click.argument("receiver_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
def remove(receiver_id: str, yes: bool) -> None:
    """Remove a receiver. What still waits for it is dropped."""
    sure("What still waits for this receiver will be dropped. Continue?", yes)
    gone = _refusing(lambda tx: receivers.remove(tx, receiver_id))
    click.echo(f"Removed {safe(gone.url)}.")


def _health(x: Listed) -> str:
    if x.receiver.state == "off":
        return "off"
    return f"failing ({x.receiver.last_code})" if x.receiver.failures else "on"


def _about(x: Listed) -> dict[str, object]:
    r = x.receiver
    about = {"id": r.id, "url": r.url, "types": list(r.types), "state": r.state, "failures": r.failures}
    times = {"failing_since": r.failing_since, "taken_at": r.taken_at, "created_at": r.created_at}
    waits = {"waiting": x.undelivered.ready, "given_up": x.undelivered.dead, "behind": x.behind}
    return {**about, **times, "last_code": r.last_code, **waits, "secrets": len(r.secrets)}


def _show(made: MadeSecret, as_json: bool) -> None:
    r = made.receiver
    if as_json:
        echo_json({"id": r.id, "url": r.url, "types": list(r.types), "secret": made.secret.reveal()})
        return
    click.echo(f"Receiver {r.id} at {safe(r.url)}. Its secret is shown only now:")
    click.echo(made.secret.reveal())


def _refusing(fn: Callable[[Tx], T]) -> T:
    try:
        return in_database(fn, write=True)
    except BadInput:
        raise click.UsageError(f"The address is longer than {receivers.MAX_URL} characters.") from None
    except Refusal as e:
        raise click.ClickException(REFUSED.get(e.code, e.code)) from None
