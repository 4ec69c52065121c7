"""`keyback version`: what runs here, and whether its files are those that were published."""

from __future__ import annotations

import importlib
import json
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import click

from keyback import __version__
from keyback.cli.common import columns, echo_json, safe
from keyback.cli.installed import OWN, Found, NoList, Row, compare, installed, rows
from keyback.cli.minisign import NotSigned, check, read_public_key
from keyback.storage.health import sqlite_version
from keyback.storage.migrate import head

SHOWN = 20  # paths of each kind; --json has all of them
# Databases and what talks to them: Keyback's own ones first, then those of other systems.
DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "sqlserver": "python-tds"}
OF_AN_EXTRA = re.compile(r"([A-Za-z0-9._-]+)[^;]*;.*\bextra\s*==\s*[\"']([A-Za-z0-9_-]+)[\"']")


def build() -> dict[str, Any]:
    """The commit and date of this build; None for each where Keyback runs from a checkout."""
    try:
        text = (Path(__file__).parents[1] / "build.json").read_text("utf-8")
        made = json.loads(text)
        return {"commit": made["commit"], "date": made["date"], "changed": bool(made["changed"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"commit": None, "date": None, "changed": False}


def extras() -> dict[str, dict[str, str | None]]:
    """What each extra brings, with the version that is installed; None is missing."""
    try:
        wanted = requires("keyback") or []
    except PackageNotFoundError:
        wanted = []
    found: dict[str, dict[str, str | None]] = {}
    for text in wanted:
        if m := OF_AN_EXTRA.match(text):
            found.setdefault(m[2], {})[m[1]] = _version(m[1])
    return dict(sorted(found.items()))


def drivers() -> dict[str, str | None]:
    """The databases' drivers; None is missing."""
    found = {name: _version(package) for name, package in DRIVERS.items()}
    if found["postgresql"]:
        try:
            library = importlib.import_module("psycopg.pq").version()
            found["postgresql"] = f"{found['postgresql']}, libpq {library // 10000}.{library % 10000}"
        except ImportError:  # the package is there, its library is not
            found["postgresql"] = None
    return {"sqlite": sqlite_version(), **found}


def about() -> dict[str, Any]:
    """Everything that `keyback version` shows."""
    return {
        "version": __version__,
        "build": build(),
        "schema": head(),
        "python": platform.python_version(),
        "system": f"{platform.uname().system} {platform.machine()}",
        "extras": {
            name: {"complete": all(packages.values()), "packages": packages} for name, packages in extras().items()
        },
        "drivers": drivers(),
    }


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--verify", is_flag=True, help="Compare the installed files with the lists that the packages brought.")
@click.option(
    "--record",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --verify: the release's signed list of Keyback's files, used instead of the installed one.",
)
@click.option(
    "--public-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The publisher's public key (minisign); required with --record.",
)
@click.option(
    "--signature",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The signature of --record. Default: the same name with .minisig.",
)
def version_command(
    as_json: bool, verify: bool, record: Path | None, public_key: Path | None, signature: Path | None
) -> None:
    """Show what runs here: version, build, Python, extras and database drivers.

    With --verify it reads every installed file of Keyback and of the packages it uses, and exits with 1 if one was
    changed, is missing or was added. It needs no network and no settings. Whoever can change the files can change
    this command too; to rule that out, check the signed files on another machine.
    """
    if (record or public_key or signature) and not verify:
        raise click.UsageError("--record, --public-key and --signature go with --verify.")
    if (record is None) != (public_key is None) or (signature and not record):
        raise click.UsageError("Give --record and --public-key together: a list without a key proves nothing.")
    told = about()
    found, comment = _verified(record, public_key, signature) if verify else (None, None)
    if found:
        told["verified"] = {
            "clean": found.clean,
            "signed": comment,
            "packages": found.packages,
            "files": found.files,
            "changed": found.changed,
            "missing": found.missing,
            "added": found.added,
        }
    if as_json:
        echo_json(told)
    else:
        _show(told)
        if found:
            _show_verified(found, comment)
    if found and not found.clean:
        raise SystemExit(1)


def _verified(record: Path | None, public_key: Path | None, signature: Path | None) -> tuple[Found, str | None]:
    comment = None
    try:
        place, lists = installed()
        if record and public_key:
            by = signature or record.with_name(f"{record.name}.minisig")
            if not by.is_file():
                raise NotSigned(f"{by} is not there. Name the signature of {record} with --signature.")
            comment = check(record, by, read_public_key(public_key))
            # What lies elsewhere was written by the installer, such as the command itself.
            lists["keyback"] = [r for r in lists["keyback"] if not _of_keyback(r)] + _own_files(record)
    except (NoList, NotSigned) as e:
        raise click.ClickException(safe(e)) from None
    return compare(place, lists.values()), comment


def _of_keyback(row: Row) -> bool:
    return row.path.startswith("keyback/")


def _own_files(record: Path) -> list[Row]:
    """The rows of a signed list that are about Keyback's folder."""
    found = [r for r in rows(record.read_text("utf-8")) if _of_keyback(r)]
    if OWN not in {r.path for r in found}:
        raise NotSigned(f"{record} is not the list of Keyback's files.")
    return found


def _show(told: dict[str, Any]) -> None:
    made = told["build"]
    table: list[tuple[str, ...]] = [("version", told["version"])]
    if made["commit"] or made["date"]:
        commit = f"{made['commit'] or 'unknown'}{', with changes' if made['changed'] else ''}"
        table += [("commit", commit), ("built", made["date"] or "unknown")]
    else:
        table.append(("build", "a checkout"))
    table += [("database", f"revision {told['schema']}"), ("python", f"{told['python']} on {told['system']}")]
    for name, extra in told["extras"].items():
        missing = [package for package, there in extra["packages"].items() if there is None]
        lacks = f"no: {', '.join(missing)} missing. pip install 'keyback[{name}]'"
        table.append((f"extra {name}", lacks if missing else "yes"))
    table += [(name, there or "no driver") for name, there in told["drivers"].items()]
    columns(table)


def _show_verified(found: Found, comment: str | None) -> None:
    if comment is not None:
        click.echo(f"\nThe list of files is signed: {comment}")
    click.echo(f"\n{found.files} files of {found.packages} packages read.")
    for word, paths in (("changed", found.changed), ("missing", found.missing), ("added", found.added)):
        for path in paths[:SHOWN]:
            click.echo(f"  {word:<8} {safe(path)}")
        if len(paths) > SHOWN:
            click.echo(f"  {word:<8} and {len(paths) - SHOWN} more; --json names all")
    if found.clean:
        click.echo("All are as they were published.")
    else:
        click.echo("These files are not as they were published. Install Keyback again, and find out who changed them.")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
