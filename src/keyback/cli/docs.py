"""`python -m keyback.cli.docs`: writes the generated pages anew (for developers; a test fails while one is stale)."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, IPvAnyNetwork, SecretStr
from pydantic.fields import FieldInfo

from keyback.cli import main
from keyback.cli.capability_table import readmes
from keyback.cli.event_pages import events_document, events_page
from keyback.domain.recovery.case import ENDED, TRANSITIONS, State
from keyback.registry import GATEWAYS, OWN, load_gateway
from keyback.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
MADE = "Made by `python -m keyback.cli.docs` from {}; a test fails while it is stale."


def diagram() -> str:
    """The case's transition table as a Mermaid state diagram, the text of `docs/states.mmd`."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (a, e), b in TRANSITIONS.items():
        arrows.setdefault((a.value, b.value), []).append(e.__name__)
    lines = ["stateDiagram-v2", "    [*] --> requested: Requested"]
    lines += [f"    {a} --> {b}: {' / '.join(sorted(names))}" for (a, b), names in arrows.items()]
    return "\n".join([*lines, *(f"    {s.value} --> [*]" for s in State if s in ENDED), ""])


def pages() -> dict[str, str]:
    """Every generated page by its path from the root."""
    return {
        "docs/cli.md": cli_page(),
        "docs/events.json": events_document(),
        "docs/events.md": events_page(),
        "docs/gateways.md": gateways_page(),
        "docs/settings.md": settings_page(),
        "docs/states.mmd": states(),
        **readmes(ROOT),
    }


def states() -> str:
    """The state diagram, its arrows in an order that does not change from run to run."""
    first, start, *arrows = diagram().splitlines()
    return "\n".join([first, start, *sorted(arrows)]) + "\n"


# ── gateways ────────────────────────────────────────────────────────────────


MEANT = {
    "ok": "sent",
    "busy": "busy; tried again",
    "relay_refuses_us": "refuses us: settings, signature, or template; tried again",
    "no_balance": "the balance is used up; tried again",
    "refused_recipient": "can't be sent to this recipient",
    "refused_message": "this message is refused",
    "no_template": "there is no template",
}


def gateways_page() -> str:
    lines = ["# Gateways", "", MADE.format("what each gateway says of itself"), ""]
    lines += ["How to set them up is on the messages page ([English](en/messages.md), [中文](zh/messages.md))."]
    for kind in OWN[GATEWAYS]:
        about = load_gateway(kind).about
        title = " · ".join(dict.fromkeys(about.title.values()))
        sections = " and ".join(f"`[{name}]`" for name in ("sms", "im") if name in about.carries)
        lines += ["", f"## {title}", "", f'`kind = "{kind}"` in {sections}.', "", "| key | value | default |"]
        lines += ["|---|---|---|"]
        for name, field in about.options.model_fields.items():
            lines.append(f"| `{name}` | {_cell(_kind(field.annotation))} | {_default(field)} |")
        by_word: dict[str, list[str]] = {}
        for code, (_, word) in about.errors.items():
            by_word.setdefault(word, []).append(f"`{code}`")
        lines += ["", "| it answers | Keyback takes it as |", "|---|---|"]
        lines += [f"| {', '.join(found)} | {MEANT[word]} |" for word, found in by_word.items()]
    return "\n".join(lines) + "\n"


# ── commands ────────────────────────────────────────────────────────────────


def cli_page() -> str:
    lines = [
        "# Commands",
        "",
        MADE.format("the commands themselves"),
        "",
        _prose(main.help or ""),
        "",
        "Long-running commands show a progress bar on a terminal and plain lines elsewhere, on standard "
        "error. Where the answer",
        "is data, `--json` gives it as JSON.",
    ]
    for path, command in _commands(main, "keyback"):
        context = click.Context(command, info_name=path)
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        lines += ["", f"## {path}", "", "```", usage, "```", "", _prose(command.help or "")]
        options = [p for p in command.params if isinstance(p, click.Option)]
        if options:
            lines += ["", "| option | default | meaning |", "|---|---|---|"]
            lines += [_option(o, context) for o in options]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _option(o: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{n}`" for n in (*o.opts, *o.secondary_opts))
    if not o.is_flag:
        names += f" {_cell(o.make_metavar(context))}"
    info = o.to_info_dict()
    shown = info["default"] if o.show_default else None
    default = "" if shown is None else f"`{o.opts[0] if shown is True else shown}`"
    return f"| {names} | {default} | {_cell(o.help or '')}{' Required.' if o.required else ''} |"


def _prose(text: str) -> str:
    """Help texts as paragraphs, one line each."""
    return "\n\n".join(" ".join(p.split()) for p in text.split("\n\n"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# ── settings ────────────────────────────────────────────────────────────────


def settings_page() -> str:
    lines = [
        "# Settings",
        "",
        MADE.format("`src/keyback/settings.py`"),
        "",
        "Set them in `keyback.toml` (in the current folder, or the file that `KEYBACK_CONFIG` names) or as environment",
        "variables, which take precedence. The part of a name before the dot is its `[section]` in the file. Keyback",
        "doesn't start if the file has an unknown name; unknown environment variables are ignored. `keyback init`",
        "writes a first file, and `keyback check` tells you what is wrong with it.",
        "",
        *_table(Settings, "", "KEYBACK_"),
    ]
    for name, field in Settings.model_fields.items():
        part = _part(field.annotation)
        if part is None:
            continue
        many = typing.get_origin(field.annotation) is dict
        heading = f"{name}.NAME" if many else name
        what = (field.description or part.__doc__ or "").split()
        lines += ["", f"## {heading}", "", " ".join(what), ""]
        whole = field.default if isinstance(field.default, BaseModel) else None
        rows = _table(part, f"{heading}.", f"KEYBACK_{heading.upper().replace('.', '__')}__", whole)
        if whole is not None and (needed := [f"`{n}`" for n, f in part.model_fields.items() if f.is_required()]):
            also = " and ".join(needed)
            lines[-1:] = ["", f"The defaults apply if none of these is set. If you set one, set {also}, too.", ""]
        lines += rows
    return "\n".join(lines) + "\n"


def _table(model: type[BaseModel], prefix: str, env: str, whole: BaseModel | None = None) -> list[str]:
    """A row for each setting. `whole`: what stands for the section where it is left out."""
    rows = ["| name | environment | kind | default | meaning |", "|---|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if _part(field.annotation) is None:
            what = _cell(field.description or "")
            kind = _cell(_kind(field.annotation))
            example = getattr(whole, name, None)
            default = f"`{example}`" if example and example != field.default else _default(field)
            rows.append(f"| `{prefix}{name}` | `{env}{name.upper()}` | {kind} | {default} | {what} |")
        elif prefix and field.is_required():  # a table within a section
            rows += _within(field, f"{prefix}{name}", f"{env}{name.upper()}")
    return rows


def _within(field: FieldInfo, name: str, env: str) -> Iterator[str]:
    part, what = _part(field.annotation), (field.description or "").rstrip(".")
    assert part is not None
    for row in _table(part, f"{name}.", f"{env}__")[2:]:
        head, _, meaning = row.rpartition(" | ")
        yield f"{head} | {what}. {meaning}"


def _part(annotation: Any) -> type[BaseModel] | None:
    """The section's model, if a field is one (or a table of them)."""
    if typing.get_origin(annotation) is dict:
        annotation = typing.get_args(annotation)[1]
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _kind(annotation: Any) -> str:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{a}`" for a in args)
    if origin is typing.Annotated:
        return _kind(args[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(a) for a in args if a is not type(None))
    if origin is list:
        return f"list of {_kind(args[0])}"
    if annotation == dict[str, Any]:
        return "table"
    if origin is dict:
        return f"table of {_kind(args[1])} by {_kind(args[0])}"
    names = {str: "text", int: "number", float: "number", bool: "true or false", Path: "path", SecretStr: "secret text"}
    names[date] = "date"
    return "network in CIDR form" if annotation is IPvAnyNetwork else names[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value in (None, "", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    for path, text in pages().items():
        (ROOT / path).write_text(text, encoding="utf-8")
        click.echo(path)
