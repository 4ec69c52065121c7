"""`keyback snippet`: a link for the company's own sign-in page."""

from __future__ import annotations

import click

from keyback.cli.common import load
from keyback.locale import LOCALES, Locale
from keyback.web.ui.sign_in_link import sign_in_link


@click.command()
@click.option("--locale", type=click.Choice(LOCALES), default="en", show_default=True, help="Of the words.")
@click.option("--system", default="", metavar="NAME", help="Whose sign-in page it is; default: all systems.")
@click.option(
    "--field",
    default="",
    metavar="SELECTOR",
    help="CSS selector of the username's field; default: the one with autocomplete=username.",
)
@click.option("--script", is_flag=True, help="Print the script alone, to be saved as a file of your page's own.")
def snippet(locale: Locale, system: str, field: str, script: bool) -> None:
    """Print a "Can't sign in?" link for your own sign-in page, which brings the username along.

    Without JavaScript it is a plain link. The name is in the fragment of the address, which no server sees.
    """
    s = load()
    if system and system not in s.systems:
        raise click.UsageError(f"No system is called {system}. There are: {', '.join(s.systems)}.")
    made = sign_in_link(s.public_url, locale, system, field)
    if script:
        click.echo(made.script.strip())
        return
    click.echo(made.whole, nl=False)
    click.echo(f"If your page has a Content-Security-Policy, add to script-src: {made.csp}", err=True)
