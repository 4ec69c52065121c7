"""`keyback people list`, `show`, `remove`: what is stored about somebody, and forgetting them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click
from rich.cells import cell_len

from keyback.application.notifications.notify import last_notices
from keyback.application.ports.storage import Tx
from keyback.application.signin.sessions import people_named
from keyback.cli.common import TakesId, can_ask, echo_json, load, reason_of, run, safe, storage, sure, usable
from keyback.cli.people import people
from keyback.domain.people.groups import group_name
from keyback.domain.people.person import Person
from keyback.storage.maintenance.persons import details, erase, listed
from keyback.storage.tx import SqlTx

__all__ = ["people"]

T = TypeVar("T")
NOBODY = "No one has this username, email address, or ID. List people with: keyback people list"


def with_db(fn: Callable[[Tx], T], *, write: bool = False) -> T:
    settings = load()
    usable(settings)

    async def work() -> T:
        async with storage(settings) as db:
            return await (db.write(fn) if write else db.read(fn))

    return run(work())


def one_person(tx: Tx, name: str) -> Person:
    """The one person of a user name, an address or an id. Raises click.ClickException."""
    found = people_named(tx, name)
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} people share this address. Give the username or ID of one.")
    if not found:
        raise click.ClickException(NOBODY)
    return found[0]


def columns(rows: list[tuple[str, ...]]) -> None:
    """Aligned by cells, since Chinese characters take two."""
    widths = [max(cell_len(r[n]) for r in rows) for n in range(len(rows[0]))] if rows else []
    for r in rows:
        click.echo("  ".join(t + " " * (w - cell_len(t)) for t, w in zip(r, widths, strict=True)).rstrip())


@people.command("list")
@click.option("--state", type=click.Choice(["active", "disabled"]), help="Only people in this state.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="Maximum number to print."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(state: str | None, limit: int, as_json: bool) -> None:
    """List people by name, with their ID, state and tier. Find one with: keyback people show NAME"""

    def fn(tx: Tx) -> list[dict[str, Any]]:
        return listed(cast(SqlTx, tx), state, limit)

    found = with_db(fn)
    if as_json:
        echo_json(found)
        return
    rows = [(r["id"], r["state"], r["tier"], safe(r["name"]), safe(r["key"] or "")) for r in found]
    columns([("id", "state", "tier", "name", "key"), *rows]) if rows else click.echo("None.")


@people.command("groups")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def groups(as_json: bool) -> None:
    """List the groups and departments that people are in, as imports and connected systems name them.

    Choose people by one with: keyback campaign start --group NAME
    """

    def fn(tx: Tx) -> list[str]:
        out: list[str] = []
        while page := tx.groups.named(group_name(out[-1]) if out else "", 1000):
            out += page
        return out

    found = with_db(fn)
    if as_json:
        echo_json(found)
        return
    for name in found or ["None."]:
        click.echo(safe(name))


@people.command("show", cls=TakesId)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show what is stored about a person, by username, email, or ID, such as for a data access request.

    Passwords, codes, and seeds are hashed or sealed, so they aren't shown.
    """

    def fn(tx: Tx) -> dict[str, Any]:
        person = one_person(tx, name)
        contacts = tx.contacts.of_person(person.id, states=("confirmed", "pending"))
        accounts = tx.people.accounts([person.id]).get(person.id, ())
        return {
            **dataclasses.asdict(person),
            "accounts": [dataclasses.asdict(a) for a in accounts],
            "contacts": [dataclasses.asdict(x) for x in contacts],
            "groups": list(tx.groups.of_people([person.id]).get(person.id, ())),
            **details(cast(SqlTx, tx), person.id),
            "sessions": len(tx.sessions.of_person(person.id)),
        }

    found = with_db(fn)
    if as_json:
        echo_json(found)
        return
    shown = [(k, safe(found[k])) for k in ("id", "name", "state", "tier", "locale", "sessions")]
    columns([*shown, *([("groups", safe("; ".join(found["groups"])))] if found["groups"] else [])])
    lists: dict[str, tuple[str, ...]] = {
        "accounts": ("system", "username", "external_id", "state", "provider"),
        "contacts": ("channel", "role", "address", "name", "state"),
        "factors": ("kind", "label", "state"),
        "devices": ("words", "source"),
        "recoveries": ("id", "journey", "state"),
    }
    for what, names in lists.items():
        if found[what]:
            click.echo(f"\n{what.capitalize()}")
            columns([tuple(safe(row[n]) for n in names) for row in found[what]])


@people.command("remove", cls=TakesId)
@click.argument("name")
@click.option("--reason", required=True, help="Reason, for the audit log.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def remove(name: str, reason: str, yes: bool, as_json: bool) -> None:
    """Erase one person, by username, email, or ID, such as someone who left or asks to be deleted.

    Erases accounts, contacts, second steps, passwords, sessions, and recoveries. The audit log stays, because its chain
    would break; its IDs then no longer refer to anyone. All their contacts get one last message. Remove the person from
    the source of your import, too, or the next import adds them again.
    """
    reason = reason_of(reason)
    can_ask(yes)
    person = with_db(lambda tx: one_person(tx, name))
    sure(f"Everything about {safe(person.name)} ({person.id}) will be permanently erased. Continue?", yes)

    def fn(tx: Tx) -> tuple[dict[str, int], int]:
        if tx.people.lock(person.id) is None:
            raise click.ClickException(NOBODY)
        notices = last_notices(tx, person)
        rows = erase(cast(SqlTx, tx), person.id, reason)
        tx.outbox.put(notices)
        return rows, len(notices)

    rows, told = with_db(fn, write=True)
    if as_json:
        echo_json({"id": person.id, "rows": rows, "notices": told})
    else:
        click.echo(f"Erased, with {sum(rows.values())} rows about them. The audit log keeps IDs only.")
        click.echo(f"Notices waiting for their contacts: {told}. The addresses in them are erased once they are sent.")
        click.echo("If they are in the file that you import, remove them there, too.")
