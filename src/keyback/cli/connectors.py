"""`keyback connector list`, `test`, `add`."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import json
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from keyback.application.ports.connectors import Capabilities, CheckLine, Connector
from keyback.bootstrap import make_connector
from keyback.bootstrap_keys import make_gate
from keyback.cli.common import create_private, echo_json, load, run, safe, storage, sure
from keyback.cli.connector_trial import try_recovery
from keyback.connectors.base import CommonOptions
from keyback.connectors.http.checking import Wanted, mistakes, wanted
from keyback.connectors.http.options import HttpConnectorOptions, NotText, read_recipe
from keyback.locale import N_, Locale, choose, gettext
from keyback.registry import CONNECTORS, OWN, BadPart
from keyback.registry import load as load_part
from keyback.settings import Settings, Unsafe, config_path
from keyback.settings_file import text_of
from keyback.settings_sections import System

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PATIENCE_S = 60.0
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
GIVEN_OTHERWISE = {"secret", "secret_file", "password_rules"}


@click.group()
def connector() -> None:
    """List, try and add the systems that hold passwords."""


@connector.command("list")
@click.option("--kinds", is_flag=True, help="List what every kind can do, not what is configured.")
@JSON
def list_(kinds: bool, as_json: bool) -> None:
    """List systems and what Keyback can do in each. Contacts none of them."""
    rows = [_of_kind(kind) for kind in sorted(OWN[CONNECTORS])] if kinds else _configured(load())
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        click.echo(f"{safe(row['name'])}: {safe(row['title'])}" + (f" ({row['kind']})" if row["kind"] else ""))
        can = [f"{name} ({means})" for name, means in row["capabilities"].items() if means != "none"]
        click.echo(f"  {', '.join(can) or row.get('fault') or 'nothing'}")


@connector.command("test")
@click.argument("name")
@click.option("--sample", metavar="NAME", help="Username or email address of someone to read, as a trial.")
@click.option(
    "--recover", is_flag=True, help="Also recover the sample, a test user: its password becomes one that no one knows."
)
@click.option("--yes", is_flag=True, help="With --recover: don't ask for confirmation.")
@JSON
def test(name: str, sample: str | None, recover: bool, yes: bool, as_json: bool) -> None:
    """Check that a system can be reached and what Keyback may do in it. Changes nothing unless you ask for it.

    Exits with 1 if something doesn't work.
    """
    s = load()
    if name not in s.systems:
        raise click.UsageError(f"The settings name no system {safe(name)}. There are: {', '.join(s.systems)}.")
    if recover:
        if not sample:
            raise click.UsageError("--recover needs --sample, the name of a test user.")
        words = f"{safe(sample)} in {safe(name)} gets a random password and is signed out everywhere. Go on?"
        sure(words, yes)
    lines = run(_tested(s, name, s.systems[name], sample, recover))
    if as_json:
        echo_json([dataclasses.asdict(line) for line in lines])
    else:
        _say(lines)
    if any(line.status == "bad" for line in lines):
        raise SystemExit(1)


@connector.command("check-recipe")
@click.argument("file", metavar="FILE")
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), help="Language; default: `default_locale`, if there are settings."
)
@JSON
def check_recipe(file: str, lang: str | None, as_json: bool) -> None:
    """Explain every mistake of a recipe for the kind `http`, each with its line. Contacts nothing.

    FILE is a file, or the name of a recipe that comes with Keyback. Exits with 1 if there are mistakes.
    """
    locale = choose(lang, default=_usual_locale())
    try:
        wrong = mistakes(read_recipe(file))
    except NotText as e:
        wrong = [e.mistake]
    except (ValueError, OSError) as e:
        raise click.ClickException(str(e)) from None
    if as_json:
        echo_json([{"line": m.line, "key": m.key, "text": m.words(locale)} for m in wrong])
    else:
        for m in wrong:
            click.echo(safe(f"{file}: {m.whole(locale)}"))
        count = N_("No mistakes.") if not wrong else N_("1 mistake.") if len(wrong) == 1 else N_("{count} mistakes.")
        click.echo(gettext(locale, count, count=len(wrong)))
    if wrong:
        raise SystemExit(1)


def _usual_locale() -> Locale:
    """The language of the settings; English where there are none that can be read, since a recipe needs none."""
    with contextlib.suppress(Unsafe, click.ClickException, OSError):
        if config_path() is not None:
            return load().default_locale
    return "en"


@connector.command("add")
@click.argument("name")
@click.option("--kind", type=click.Choice(sorted(OWN[CONNECTORS])), help="Kind of system; asked for if omitted.")
@click.option("--yes", is_flag=True, help="Write the section even if the test fails.")
def add(name: str, kind: str | None, yes: bool) -> None:
    """Add a system: asks for its settings, tests them, and writes the section.

    The secret goes into a file of its own, which only its owner can read.
    """
    s, path = load(), config_path()
    if not NAME.match(name):
        raise click.UsageError("A system's name has letters, digits, - and _, 40 at most.")
    if path is None:
        raise Unsafe("No settings file was found. Run keyback init to make one.")
    if name in s.systems:
        raise click.UsageError(f"The settings have a system {name} already. Choose another name, or edit the section.")
    kind = kind or click.prompt("Kind", type=click.Choice(sorted(OWN[CONNECTORS])))
    model = _model(kind)
    if model is None:
        raise click.UsageError(f"The settings of {kind} can't be asked for here. Its page in the documents shows them.")
    section: dict[str, Any] = {"kind": kind, "title": click.prompt("Name that people know it by"), **_asked(model)}
    needs_secret = model.takes_secret(section)
    if issubclass(model, HttpConnectorOptions):
        wants = _wanted_by(str(section["recipe"]))
        section |= _asked_for(wants)
        needs_secret = wants.secret
    secret = path.parent / f"{name}-secret"
    if needs_secret:
        create_private(secret, _secret() + "\n")
        section["secret_file"] = str(secret.resolve())
    try:
        while True:
            try:
                lines = run(_tested(s, name, System.model_validate(section), None))
                break
            except Unsafe as e:
                section |= _corrected(model, section, str(e))
        _say(lines)
        if any(line.status == "bad" for line in lines):
            sure("The test failed. Write the section all the same?", yes)
        _write(path, name, section)
    except BaseException:
        if "secret_file" in section:
            secret.unlink(missing_ok=True)
        raise
    click.echo(f"Added systems.{name} to {path}. Restart Keyback to use it.")


def _configured(s: Settings) -> list[dict[str, Any]]:
    rows = []
    for name, system in s.systems.items():
        row = _of_kind(system.kind)
        rows.append({**row, "name": name, "kind": system.kind, "title": system.title})
    return rows


def _of_kind(kind: str | None) -> dict[str, Any]:
    """What a kind declares; one that cannot be loaded says why."""
    row: dict[str, Any] = {"name": kind, "kind": "", "title": kind, "capabilities": {}}
    try:
        found = class_of(str(kind))
    except BadPart as e:
        return {**row, "fault": str(e)}
    can = getattr(found, "capabilities", None)
    if isinstance(can, Capabilities):
        row["capabilities"] = {f.name: str(getattr(can, f.name)) for f in dataclasses.fields(can)}
    return row


def class_of(kind: str) -> type[Any]:
    """The class behind a kind; of a package's factory, the factory."""
    if kind == "builtin":
        from keyback.connectors.builtin import BuiltinConnector

        return BuiltinConnector
    make = load_part(CONNECTORS, kind)
    return cast(type[Any], getattr(make, "__self__", make))


def _model(kind: str) -> type[CommonOptions] | None:
    return cast("type[CommonOptions] | None", getattr(class_of(kind), "options_model", None))


async def _tested(
    s: Settings, name: str, system: System, sample: str | None, recover: bool = False
) -> Sequence[CheckLine]:
    try:
        if system.kind == "builtin":
            async with storage(s) as db:
                return await _check(make_connector(name, system, db, make_gate(s)), sample, recover)
        # Only the built-in system works on the database.
        return await _check(make_connector(name, system, cast(Any, None), cast(Any, None)), sample, recover)
    except BadPart as e:
        raise Unsafe(str(e)) from None


async def _check(made: Connector, sample: str | None, recover: bool) -> Sequence[CheckLine]:
    try:
        lines = list(await asyncio.wait_for(made.check(sample), PATIENCE_S))
        if sample and recover and all(line.status != "bad" for line in lines):
            lines += await asyncio.wait_for(try_recovery(made, sample), PATIENCE_S)
        return lines
    except TimeoutError:
        return (CheckLine("reach", "bad", "does not answer", advice="See that this machine may reach it."),)
    finally:
        await made.close()


def _say(lines: Sequence[CheckLine]) -> None:
    for line in lines:
        click.echo(f"{line.status:<4} {line.what}: {safe(line.text)}")
        if line.costs:
            click.echo(f"     Without it: no {', '.join(line.costs)}.")
        if line.advice:
            click.echo(f"     {safe(line.advice)}")


def _asked(model: type[CommonOptions]) -> dict[str, Any]:
    """What the section needs, question by question; what has a default is left to it."""
    told = _told(model)
    out: dict[str, Any] = {}
    # Where people sign in comes last: what the kind itself asks for says what all of it is about.
    for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] == "sign_in_url"):
        # Another secret, which may stand in a file or in the environment: here its file is asked for.
        secret = name.endswith("_file") and name.removesuffix("_file") in model.model_fields
        if name in GIVEN_OTHERWISE or not (
            field.is_required()
            or secret
            or (name == "url" and "preset" in model.model_fields)
            or name in ("sign_in_url", "preset")
            or (isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("asked"))
        ):
            continue
        if name in told:
            click.echo(f"{name}: {told[name]}")
        value = click.prompt(name, default=None if field.is_required() else "", show_default=False)
        if value:
            out[name] = value
    return out


def _corrected(model: type[CommonOptions], section: Mapping[str, Any], fault: str) -> dict[str, Any]:
    """Asks again for the keys that a fault names, so that the rest need not be typed once more.

    Raises:
        ClickException: it names none that can be asked for.
    """
    named = [k for k in model.model_fields if k not in GIVEN_OTHERWISE and re.search(rf"\b{k}\b", fault)]
    if not named:
        raise click.ClickException(fault)
    click.echo(f"Error: {safe(fault)}", err=True)
    return {k: v for k in named if (v := click.prompt(k, default=section.get(k, ""), show_default=k in section))}


def _wanted_by(recipe: str) -> Wanted:
    try:
        return wanted(read_recipe(recipe))
    except (OSError, ValueError) as e:
        raise click.UsageError(f"{recipe}: {e}") from None


def _asked_for(wants: Wanted) -> dict[str, Any]:
    """What a recipe leaves to the section; a value that has a default may stay as it is."""
    out: dict[str, Any] = {}
    if wants.login:
        out["login"] = click.prompt("login: user that Keyback signs in as")
    values = {}
    for name, default in wants.values.items():
        value = click.prompt(f"values.{name}", default=default or None)
        if value != default:
            values[name] = value
    return out | ({"values": values} if values else {})


def _told(model: type[CommonOptions]) -> Mapping[str, str]:
    """What the options' docstrings say of each key."""
    out: dict[str, str] = {}
    for part in reversed(model.__mro__):
        text = inspect.cleandoc(part.__doc__ or "").partition("Args:\n")[2]
        for names, words in re.findall(r"^ {4}([a-z_]+(?:, [a-z_]+)*): (.+(?:\n {8}.+)*)", text, re.M):
            out |= {name: " ".join(words.split()) for name in names.split(", ")}
    return out


def _secret() -> str:
    words = "Password, token or secret that Keyback uses there"
    secret = str(click.prompt(words, hide_input=sys.stdin.isatty()))
    if not secret.strip():
        raise click.UsageError("It must not be empty.")
    return secret


def _write(path: Path, name: str, section: Mapping[str, Any]) -> None:
    """Adds the section to the file, which keeps its mode; all or nothing."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        flat |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in flat.items()]
    before = text_of(path)
    text = before.rstrip("\n") + f"\n\n[systems.{name}]\n" + "\n".join(lines) + "\n"
    tomllib.loads(text)
    fd, other = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            f.write(text)
        Path(other).chmod(path.stat().st_mode & 0o777)
        Path(other).replace(path)
    except BaseException:
        Path(other).unlink(missing_ok=True)
        raise
