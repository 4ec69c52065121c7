"""`keyback init`, `migrate`."""

from __future__ import annotations

import dataclasses
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from keyback.application.desk import operators
from keyback.application.ports.storage import StorageDown, Tx
from keyback.bootstrap_keys import keyring_wrapper, load_keyring
from keyback.cli.common import bad_url, create_private, echo_json, load, run, safe, sqlite_file, storage, wrong_settings
from keyback.domain.operators.roles import Role
from keyback.locale import LOCALES
from keyback.settings import Settings, Unsafe, config_path, refuse_unsafe
from keyback.settings_safety import close_to_others
from keyback.storage.database import make_engine
from keyback.storage.health import unfit
from keyback.storage.keys import keyfile
from keyback.storage.keys.keyring import KeyringError
from keyback.storage.maintenance.names import clashes_in
from keyback.storage.migrate import head, knows
from keyback.storage.migrate import migrate as run_migrations

FIRST = "administrator@keyback.invalid"  # what the first operator signs in as
TEMPLATE = """\
# Keyback. Environment variables named KEYBACK_… override this file.
# A leading # means: not set, and this is the default or an example.

# Where people reach Keyback. Links in mail are built from it only. https, unless it is this machine.
{public_url}
# Address and port that it listens on; put a reverse proxy with TLS before it.
# listen = "127.0.0.1:8080"
# Folder of the SQLite database and of the keyring.
{data_dir}
# PostgreSQL 14 or newer instead of SQLite.
{database_url}
# Language of people whose own is not known, such as en or zh_TW; docs/settings.md lists them.
{default_locale}
# Time zone in mails.
{timezone}

# The company's name, as mails and pages say it.
[company]
{company}
{company_zh}

# Whom people may turn to; pages and mails name it.
# [helpdesk]
# en = "the IT desk, extension 4357"
# zh_CN = "信息部，内线4357"

# The company's mail relay. Without one Keyback does not start.
[mail]
{mail_host}
{mail_port}
# starttls or tls; plain only on this machine.
{mail_security}
{mail_sender}
{mail_username}
# password_file = "mail-password"

# Password rules: nist (15 characters, no composition), mlps2, mlps3 or classic; docs/en/passwords.md compares them.
[password]
# preset = "nist"

# Systems that hold passwords. Keyback's own accounts:
[systems.builtin]
kind = "builtin"
title = "Keyback"
"""
# name in the template: (key in TOML, example or default, whether the default is written out)
KEYS: dict[str, tuple[str, Any, bool]] = {
    "public_url": ("public_url", "http://127.0.0.1:8080", True),
    "data_dir": ("data_dir", "keyback-data", True),
    "database_url": ("database_url", "postgresql://keyback@db.example.com/keyback", False),
    "default_locale": ("default_locale", "en", True),
    "timezone": ("timezone", "Asia/Shanghai", True),
    "company": ("en", "Example Company", True),
    "company_zh": ("zh_CN", "示例公司", True),
    "mail_host": ("host", "smtp.example.com", False),
    "mail_port": ("port", 587, False),
    "mail_security": ("security", "starttls", False),
    "mail_sender": ("sender", "keyback@example.com", False),
    "mail_username": ("username", "keyback", False),
}
ASKED = {
    "public_url": "Address where people reach Keyback",
    "company": "Company name in English",
    "company_zh": "Company name in Chinese",
    "mail_host": "Mail relay (empty: later)",
    "mail_sender": "Address that mail comes from (empty: later)",
}


@click.command()
@click.option("--public-url", help="Where people reach Keyback, such as https://recover.example.com.")
@click.option("--company", help="The company's name.")
@click.option("--company-zh", help="The name in Chinese. Default: --company is used for both.")
@click.option("--mail-host", help="Name of the mail relay.")
@click.option("--mail-port", type=click.IntRange(1, 65535), help="Port of the relay; 587 by default.")
@click.option("--mail-security", type=click.Choice(["starttls", "tls", "plain"]), help="plain is for loopback only.")
@click.option("--mail-sender", help="Sender address of emails.")
@click.option("--mail-username", help="Username at the relay; the password is stored in a file.")
@click.option("--database-url", help="postgresql://…; SQLite by default.")
@click.option("--data-dir", help="Folder for SQLite and the keyring.")
@click.option("--default-locale", type=click.Choice(LOCALES), help="Language for people whose own is unknown.")
@click.option("--timezone", help="Time zone in emails, such as Asia/Shanghai.")
def init(**given: Any) -> None:
    """Set Keyback up here: settings, keyring and database.

    Creates what is missing and never overwrites anything: you can run it as often as you like. Asks for missing
    values only on a terminal.
    """
    path = config_path() or Path("keyback.toml")
    values = {k: v for k, v in given.items() if v is not None}
    if path.exists():
        click.echo(f"kept     {path}" + ("; the options given were not written into it" if values else ""))
    else:
        _write_config(path, _asked(values))
        click.echo(f"written  {path}")
    s = load()
    s.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_keyring(s)
    before, after = migrate_now(s)
    click.echo(f"{'kept' if before == after else 'migrated':<8} database, revision {after}")
    link = _first_operator(s)
    if link:
        click.echo(f"\nSet up the help desk's system administrator, once, within 24 hours:\n  {link}")
    click.echo("\n" + "\n".join(_next_steps(s, path)))


def _asked(values: dict[str, Any]) -> dict[str, Any]:
    if sys.stdin.isatty() and sys.stdout.isatty():
        for key, question in ASKED.items():
            if key not in values:
                default = KEYS[key][1] if KEYS[key][2] else ""
                values[key] = click.prompt(question, default=default)
        values = {k: v for k, v in values.items() if v != ""}
    if "company" in values:
        values.setdefault("company_zh", values["company"])
    return values


def _write_config(path: Path, values: dict[str, Any]) -> None:
    """Writes the settings, after a look whether they are right."""
    lines = {}
    for name, (key, default, shown) in KEYS.items():
        on = name in values or shown
        lines[name] = f"{'' if on else '# '}{key} = {_toml(values.get(name, default))}"
    text = TEMPLATE.format_map(lines)
    try:
        Settings(**tomllib.loads(text))
    except ValidationError as e:
        raise click.UsageError(wrong_settings(e)) from None
    create_private(path, text)  # it may come to hold a password one day


def _toml(value: str | int) -> str:
    """A basic string of TOML is one of JSON, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _make_keyring(s: Settings) -> None:
    if s.keyring is not None:
        load_keyring(s)
        click.echo("kept     keyring, from the environment")
        return
    path = s.keyring_path
    if path.exists():
        load_keyring(s)
        click.echo(f"kept     {path}")
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    wrapper = keyring_wrapper(s)
    try:
        keyfile.create(path, wrapper)
    except KeyringError as e:
        raise Unsafe(f"the keyring cannot be made: {e}.") from None
    click.echo(f"written  {path}" + (f", wrapped by the token {wrapper.token}" if wrapper else ""))


def _first_operator(s: Settings) -> str:
    """The set-up link of the first operator; empty where there is one already. A link that nobody used is replaced."""

    async def work() -> str:
        async with storage(s) as db:
            return await db.write(_invite)

    token = run(work())
    return f"{s.public_url}/console/set-up/{token}" if token else ""


def _invite(tx: Tx) -> str:
    found = tx.operators.listed()
    if not found:
        return operators.add(tx, "Administrator", FIRST, Role.SYSTEM_ADMINISTRATOR).token
    waiting = [o for o in found if o.mail == FIRST and o.state == "invited"]
    return operators.invite_again(tx, FIRST).token if waiting and len(found) == 1 else ""


def _next_steps(s: Settings, path: Path) -> list[str]:
    steps = [] if s.keyring else [f"Keep a copy of {s.keyring_path} safe, apart from the database's backups."]
    if s.pkcs11.module:
        steps.append("Back the token up by its vendor's means: without it nothing opens the keyring.")
    try:
        refuse_unsafe(s)
    except Unsafe as e:
        steps.append(f"Open {path}: {e}")
    steps += [
        "keyback check                       says what is missing",
        "keyback people import people.csv    brings in your people",
        "keyback serve                       starts",
    ]
    return ["Next:", *(f"  {n}. {step}" for n, step in enumerate(steps, 1))]


def migrate_now(s: Settings) -> tuple[str | None, str]:
    """Brings the database to this version's schema; its revision before and after.

    Raises:
        StorageDown: it cannot be reached. `Unsafe`: the address is none.
    """
    file = sqlite_file(s)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        engine = make_engine(s.database)
    except Exception as e:
        raise Unsafe(bad_url(e)) from None
    try:
        problem = unfit(engine, to_migrate=True)
        if problem:
            raise Unsafe(problem)
        done = run_migrations(engine)
        for path in close_to_others(s):
            click.echo(f"closed   {safe(str(path))} to others", err=True)
        return done
    except (Unsafe, StorageDown):
        raise
    except Exception as e:  # whatever the driver raises; its text may hold the address with its password
        raise StorageDown(type(e).__name__) from None
    finally:
        engine.dispose()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def migrate(as_json: bool) -> None:
    """Migrate the database to this version's schema. Safe while an older version is running."""
    s = load()
    before, after = migrate_now(s)
    left = clashes_in(s.database) if before is not None and knows(after) else []
    if as_json:
        names = [dataclasses.asdict(c) for c in left]
        echo_json({"before": before, "after": after, "changed": before != after, "name_clashes": names})
    elif not knows(after):
        click.echo(f"Revision {after}, newer than {head()}: a later Keyback made it, and this one runs beside it.")
    elif before == after:
        click.echo(f"Revision {after} already.")
    else:
        click.echo(f"Migrated from {before or 'an empty database'} to revision {after}.")
    if left and not as_json:
        click.echo("These names keep their older form, because another one has the same form now. Rename one of each:")
        for c in left:
            click.echo(f"  {safe(c.name)} ({safe(c.system) or 'key of an import'})")
