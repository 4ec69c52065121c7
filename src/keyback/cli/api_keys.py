"""`keyback operator key add`, `list`, `rotate`, `remove`: programs that use the admin API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from keyback.application.desk import keys
from keyback.application.desk.keys import ListedKey, MadeKey
from keyback.application.ports.storage import Tx
from keyback.cli.common import at, echo_json, safe, sure
from keyback.cli.persons import columns, with_db
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.keys import DAYS, FOR_KEYS, MAX_DAYS, PREFIX
from keyback.domain.units import HOUR

T = TypeVar("T")
SCOPES = sorted(p.value for p in FOR_KEYS)
REFUSED = {
    "not_found": "No such key. List them with: keyback operator key list",
    "too_many": "There are many programs already. Remove the keys that no one uses first.",
}


@click.group("key")
def key() -> None:
    """Manage keys for programs that use the admin API.

    A key can read, collect, comment, and do what one operator may do alone. It never approves, recommends, or
    handles calls.
    """


@key.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="Repeat for more.")
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=DAYS, show_default=True, help="Until it expires.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(name: str, scopes: tuple[str, ...], days: int, as_json: bool) -> None:
    """Add a program called NAME and print its key, once."""
    _show(_refusing(lambda tx: keys.add(tx, name, scopes, days)), as_json)


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the keys with their scopes and last use; never the keys themselves."""
    found, now = with_db(lambda tx: (keys.listed(tx), tx.now))
    if as_json:
        echo_json([_about(x) for x in found])
        return
    rows = [
        (
            x.key.id,
            safe(x.program.name),
            f"{PREFIX}_{x.key.prefix}_…",
            " ".join(sorted(x.key.scopes)),
            at(x.key.expires_at) if x.key.live(now) else "expired",
            f"{at(x.key.used_at)} {x.key.used_from}" if x.key.used_at else "never",
        )
        for x in found
    ]
    columns([("id", "program", "key", "scopes", "expires", "last used"), *rows]) if rows else click.echo("None.")


@key.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option("--overlap", type=click.IntRange(0, 168), default=24, show_default=True, help="Hours the old one lasts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rotate(key_id: str, overlap: int, as_json: bool) -> None:
    """Give a program a new key, and print it, once. The old one goes on for the hours of --overlap."""
    _show(_refusing(lambda tx: keys.rotate(tx, key_id, overlap=overlap * HOUR)), as_json)


@key.command("remove")
@click.argument("key_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
def remove(key_id: str, yes: bool) -> None:
    """Remove a key. Whatever uses it is refused at once."""
    sure("Whatever uses this key will be refused at once. Continue?", yes)
    gone = _refusing(lambda tx: keys.remove(tx, key_id))
    click.echo(f"Removed {PREFIX}_{gone.key.prefix}_… of {safe(gone.program.name)}.")


def _about(x: ListedKey | MadeKey) -> dict[str, object]:
    k = x.key
    about = {"id": k.id, "program": x.program.name, "prefix": k.prefix, "scopes": sorted(k.scopes)}
    times = {"created_at": k.created_at, "expires_at": k.expires_at, "used_at": k.used_at, "used_from": k.used_from}
    return {**about, **times}


def _show(made: MadeKey, as_json: bool) -> None:
    if as_json:
        echo_json({**_about(made), "key": made.token})
        return
    click.echo(f"A key for {safe(made.program.name)}, valid until {at(made.key.expires_at)}. It is shown only now:")
    click.echo(made.token)


def _refusing(fn: Callable[[Tx], T]) -> T:
    try:
        return with_db(fn, write=True)
    except BadInput:
        raise click.UsageError("Give the program a name.") from None
    except Refusal as e:
        raise click.ClickException(REFUSED.get(e.code, e.code)) from None
