"""`keyback operator add`, `list`, `remove`: who works in the console."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from keyback.application.desk import operators
from keyback.application.desk.operators import Invited
from keyback.application.ports.storage import Tx
from keyback.cli.api_keys import key
from keyback.cli.common import at, echo_json, load, safe, sure
from keyback.cli.persons import columns, with_db
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Role
from keyback.domain.people.person import canonicalize
from keyback.settings import Settings

T = TypeVar("T")
NONE_SUCH = "No operator has this email address. List them with: keyback operator list"
REFUSED = {
    "exists": "An operator has this email address already. For a new set-up link, add --again.",
    "not_found": NONE_SUCH,
    "last_one": "This is the last system administrator. Add another one first.",
}
ROLES = [r.value.replace("_", "-") for r in Role]


def link_of(settings: Settings, invited: Invited) -> str:
    """The address by which an operator sets up a sign-in."""
    return f"{settings.public_url}/console/set-up/{invited.token}"


@click.group()
def operator() -> None:
    """Manage who works in the help desk's console."""


@operator.command("add")
@click.argument("name", required=False, default="")
@click.option("--email", required=True, help="Email address; also the name to sign in with.")
@click.option("--role", type=click.Choice(ROLES), help="What they may do.")
@click.option("--again", is_flag=True, help="A new link for someone who lost what they sign in with.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def add(name: str, email: str, role: str | None, again: bool, as_json: bool) -> None:
    """Add an operator and print the link by which they set up their sign-in, once, within 24 hours.

    With --again an operator who exists gets a new link; everything they signed in with before ends at once. If they had
    a sign-in, all operators are told, and the link can be used after an hour.
    """
    if not again and not (name and role):
        raise click.UsageError("Give a NAME and --role, or --again for an operator who exists.")

    def fn(tx: Tx) -> Invited:
        if again:
            return operators.invite_again(tx, email)
        return operators.add(tx, name, email, Role(str(role).replace("-", "_")))

    invited = _refusing(fn)
    link = link_of(load(), invited)
    if as_json:
        about = {"id": invited.operator.id, "email": invited.operator.mail, "role": invited.operator.role.value}
        times = {"usable_from": invited.usable_from, "expires_at": invited.expires_at}
        echo_json({**about, "link": link, **times})
        return
    click.echo(
        f"Added {safe(invited.operator.name)}. Give them this link; it works once, until {at(invited.expires_at)}:"
    )
    click.echo(link)
    if again:
        click.echo(f"It can be used from {at(invited.usable_from)}.")


@operator.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the operators with their roles."""
    found = with_db(lambda tx: tx.operators.listed())
    if as_json:
        names = ("id", "name", "mail", "role", "state", "created_at")
        echo_json([{n: getattr(o, n) for n in names} for o in found])
        return
    rows = [(safe(o.name), safe(o.mail), o.role.value.replace("_", "-"), o.state) for o in found]
    columns([("name", "email", "role", "state"), *rows]) if rows else click.echo("None.")


@operator.command("remove")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation (for scripts).")
def remove(email: str, yes: bool) -> None:
    """Remove an operator. Their sessions end at once."""
    sure(f"{safe(email)} will no longer be able to sign in to the console. Continue?", yes)

    def fn(tx: Tx) -> None:
        found = tx.operators.by_mail(canonicalize(email))
        if found is None:
            raise Refusal("not_found")
        operators.remove(tx, found.id)

    _refusing(fn)
    click.echo("Removed.")


def _refusing(fn: Callable[[Tx], T]) -> T:
    try:
        return with_db(fn, write=True)
    except BadInput:
        raise click.UsageError("The name or the email address can't be used.") from None
    except Refusal as e:
        raise click.ClickException(REFUSED.get(e.code, e.code)) from None


operator.add_command(key)
