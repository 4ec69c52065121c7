"""`keyback people links`: accounts of systems that may belong to people who are already there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import click

from keyback.application.people import links as use
from keyback.application.ports.storage import Tx
from keyback.application.ports.syncs import PersonLink
from keyback.cli.common import TakesId, at, echo_json, load, reason_of, safe, sure
from keyback.cli.people_sync import people
from keyback.cli.persons import columns, one_person, with_db
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Contact, Person

__all__ = ["people"]

REASONS = {"mail": "same address", "username": "same username"}
FAULTS = {
    "not_found": "No open link has this ID, or it doesn't name one person. Give the person with --person.",
    "conflict": "Someone else has this username in the system. Accept the account for them, or reject it.",
}


@people.group()
def links() -> None:
    """Decide about accounts of systems that may belong to people who are already there."""


@links.command("list")
@click.option("--system", default="", help="Only accounts of this system.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(system: str, as_json: bool) -> None:
    """List accounts that wait for a decision, with the person they may belong to."""

    def fn(tx: Tx) -> list[tuple[PersonLink, Person | None, str]]:
        found = tx.syncs.links(system)
        ids = sorted({x.person_id for x in found if x.person_id})
        persons, contacts = tx.people.people(ids), tx.people.contacts(ids)
        return [(x, persons.get(x.person_id), _since(contacts.get(x.person_id, ()))) for x in found]

    rows = with_db(fn)
    if as_json:
        echo_json(
            [{**dataclasses.asdict(x), "person": p.name if p else "", "address_since": since} for x, p, since in rows]
        )
        return
    if not rows:
        click.echo("Nothing to decide.")
        return
    heading = ("ID", "SYSTEM", "ACCOUNT", "NAME", "MAY BELONG TO", "WHY", "ADDRESS SINCE")
    columns([heading, *(_row(x, p, since) for x, p, since in rows)])
    click.echo("Anyone may have typed a name or an address into a system. Check with the person before you accept.")


def _row(x: PersonLink, person: Person | None, since: str) -> tuple[str, ...]:
    account = f"{safe(x.username)}{' (administrator)' if x.privileged else ''}"
    whose = f"{safe(person.name)} {person.id}" if person else "several people"
    return x.id, x.system, account, safe(x.name), whose, REASONS[x.reason], since


def _since(contacts: Sequence[Contact]) -> str:
    """Since when the person has had their main address: one that was changed lately says little."""
    first = next((c for c in contacts if c.role == "primary"), None)
    return at(first.added_at)[:10] if first and first.added_at else ""


@links.command("accept", cls=TakesId)
@click.argument("link_id", metavar="ID")
@click.option("--person", default="", help="Whose it is, by username, email, or ID, if it isn't who the list names.")
@click.option("--reason", required=True, help="Reason, for the audit log.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
def accept(link_id: str, person: str, reason: str, yes: bool) -> None:
    """Connect an account with the person it belongs to. They get a message, and can recover it from then on."""
    reason, titles = reason_of(reason), {name: system.title for name, system in load().systems.items()}
    sure("This person will be able to reset the account's password. Continue?", yes)

    def fn(tx: Tx) -> PersonLink:
        whose = one_person(tx, person).id if person else ""
        link = tx.syncs.link(link_id)
        title = titles.get(link.system, link.system) if link else ""
        return use.accept(tx, link_id, whose, title, reason)

    try:
        link = with_db(fn, write=True)
    except Refusal as e:
        raise click.ClickException(FAULTS[e.code]) from None
    click.echo(f"{safe(link.username)} is connected. The person was told.")


@links.command("reject", cls=TakesId)
@click.argument("link_id", metavar="ID")
@click.option("--reason", required=True, help="Reason, for the audit log.")
def reject(link_id: str, reason: str) -> None:
    """Say that an account belongs to someone else. The next sync adds it as a person of its own."""
    reason = reason_of(reason)
    try:
        link = with_db(lambda tx: use.reject(tx, link_id, reason), write=True)
    except Refusal as e:
        raise click.ClickException(FAULTS[e.code]) from None
    click.echo(f"{safe(link.username)} becomes a person of its own with the next sync of {link.system}.")
