"""The security model says what runs: ways in, figures, words, logs, calls."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel

from keyback.application.passwords.validation import context_of, judge_alone
from keyback.channels.mail.kinds import CHANGES
from keyback.cli import main
from keyback.domain.passwords.similarity import Context
from keyback.domain.recovery import events as ev
from keyback.settings import Settings
from keyback.settings_sections import System
from keyback.web.app import make_app, make_context, openapi
from keyback.web.http.access_log import BY_STATUS
from tests.support import reach
from tests.support.house import ROOT
from tests.support.kit import Kit, person

Make = Callable[..., Kit]
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])
MS = {"s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
UNITS = MS | {"秒": MS["s"], "分钟": MS["min"], "小时": MS["h"], "天": MS["d"]}


def text_of(language: str) -> str:
    return (ROOT / "docs" / language / "security-model.md").read_text("utf-8")


def tables(language: str) -> list[list[list[str]]]:
    """Every table of the page, as rows of cells, without its heading."""
    found: list[list[list[str]]] = []
    lines = text_of(language).splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([c.strip() for c in line.strip("|").split("|")])
    return [rows[2:] for rows in found]


WAYS, FIGURES, WORDS, LOG, AUDIT, CALLS, LIMITS = range(7)


def named(language: str, which: int) -> list[str]:
    """The names in the first column of a table."""
    return [name for row in tables(language)[which] for name in re.findall(r"`([^`]+)`", row[0])]


# ── ways in ─────────────────────────────────────────────────────────────────


@pytest.mark.covers("A-6.1.3", "A-6.3.4")
@LANGUAGES
def test_every_address_that_opens_a_session_or_sets_a_password_is_named(make_kit: Make, language: str) -> None:
    kit = make_kit()
    front: Any = make_app(make_context(kit.settings, kit.services))
    all_routes = list(reach.routes(front._app.routes))
    assert {p for _, p, _ in all_routes} >= {f"/api/v1{p}" for p in openapi()["paths"]}, "routes that nobody looked at"
    doors = {
        f"{method} {pattern}"
        for method, pattern, function in all_routes
        if reach.calls(function, "sessions", "add")
        or reach.calls(function, "set_credential")
        or reach.queues(function, "apply")
    }
    assert len(doors) == 9
    assert sorted(named(language, WAYS)) == sorted(doors)


@pytest.mark.covers("SD-D7", "I2", "A-6.4.6")
def test_no_command_sets_or_shows_a_password() -> None:
    sets = set()
    for name in main.commands:
        module = main.commands[name].callback.__module__  # type: ignore[union-attr]
        for function in vars(importlib.import_module(module)):
            full = f"{module}.{function}"
            if (
                reach.calls(full, "set_credential")
                or reach.calls(full, "sessions", "add")
                or reach.queues(full, "apply")
            ):
                sets.add(module)
    # They make connectors, to ask whether they answer, what they may do, and whom they find.
    assert sets == {"keyback.cli.check", "keyback.cli.connectors", "keyback.cli.evaluate"}
    options = {o for _, command in _commands(main) for p in command.params for o in (p.name or "", *p.opts)}
    assert len(options) > 30
    assert {o for o in options if "password" in o or "credential" in o} == set()


def _commands(group: click.Group, name: str = "keyback") -> Iterator[tuple[str, click.Command]]:
    for own, command in group.commands.items():
        yield f"{name} {own}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{name} {own}")


# ── figures ─────────────────────────────────────────────────────────────────


def running(name: str) -> tuple[Any, bool]:
    """The value behind a name, and whether it counts seconds: a constant of the source, or the default of a setting."""
    parts = name.split(".")
    if parts[0] in Settings.model_fields:
        value: Any = Settings.model_construct()
        for part in parts:
            value = getattr(value, part)
        return value, parts[-1].endswith("_s")
    split = next(n for n in range(len(parts), 0, -1) if reach.SOURCE.joinpath(*parts[:n]).with_suffix(".py").exists())
    value = importlib.import_module(".".join(("keyback", *parts[:split])))
    for part in parts[split:]:
        if isinstance(value, type) and dataclasses.is_dataclass(value):
            value = next(f.default for f in dataclasses.fields(value) if f.name == part)
        elif isinstance(value, type) and issubclass(value, BaseModel):
            value = value.model_fields[part].default
        else:
            value = value[part] if hasattr(value, "keys") else getattr(value, part)
    return value, parts[0] in ("web", "outbound") or parts[-1].endswith("_S")


def said(cell: str) -> tuple[float, bool]:
    """`1,000`, `30 s` or `30秒` as a number, and whether it is a time, then in ms."""
    found = re.fullmatch(r"([\d,]+(?:\.\d+)?) ?([^\d\s]+)?", cell)
    assert found, cell
    return float(found[1].replace(",", "")) * UNITS.get(found[2] or "", 1), found[2] is not None


@pytest.mark.covers("A-6.1.1", "A-6.3.1", "A-13.1.2", "A-13.1.3")
@LANGUAGES
@pytest.mark.parametrize(("which", "least"), [(FIGURES, 30), (LIMITS, 15)])
def test_every_figure_is_what_runs_where_nothing_is_set(language: str, which: int, least: int) -> None:
    rows = tables(language)[which]
    assert len(rows) >= least
    for _, figure, source, *beyond in rows:
        value, in_seconds = running(source.strip("`"))
        number, is_time = said(figure)
        assert number == value * (1000 if in_seconds and is_time else 1), (source, value, figure)
        assert all(beyond), source


def test_both_languages_say_the_same_figures() -> None:
    for which in (FIGURES, LIMITS):
        english, chinese = ([(said(r[1]), r[2]) for r in tables(x)[which]] for x in ("en", "zh"))
        assert english == chinese


# ── words ───────────────────────────────────────────────────────────────────

SAMPLES = {
    "company": ["Lighthouse Observatory", "灯塔观测站观测中心"],
    "Keyback": ["Keyback", "回钥"],
    "systems": ["Windermere Ledger"],
    "username": ["quillfeather.moss"],
    "name": ["Aurelia Thistledown"],
    "mail": ["gossamer.wren", "bramblewick"],
    "password.context_words": ["Peregrinator"],
}


@pytest.mark.covers("A-6.1.2", "A-6.2.11", "N-P10")
@LANGUAGES
def test_the_words_that_are_named_are_those_that_are_refused(make_kit: Make, language: str) -> None:
    assert named(language, WORDS) == list(SAMPLES)
    assert len(SAMPLES) - 2 == len(dataclasses.fields(Context)), "a part of the context that the page does not name"
    kit = make_kit(
        password={"context_words": SAMPLES["password.context_words"]},
        systems={"builtin": System(kind="builtin", title=SAMPLES["systems"][0])},
    )
    names = dict(zip(("en", "zh_CN"), SAMPLES["company"], strict=True))
    kit.services = dataclasses.replace(kit.services, company=names)
    one = person("quill", username=SAMPLES["username"][0])
    one = dataclasses.replace(one, name=SAMPLES["name"][0], mails=("gossamer.wren@bramblewick.example.com",))
    kit.write(lambda tx: tx.people.save_imported([one]))
    choice = _choice(kit)
    context = context_of(kit.services, choice.person, choice.accounts, choice.mails)
    for words in SAMPLES.values():
        for word in words:
            codes = {v.code for v in judge_alone(kit.services, f"{word}2024!", context, False)}
            assert "context_word" in codes, word
    assert judge_alone(kit.services, "seventeen harbour lanterns", context, False) == ()


def _choice(kit: Kit) -> Any:
    """What the password page knows of the one person there is."""
    account, who, *_ = kit.read(lambda tx: tx.people.account_by_username("builtin", SAMPLES["username"][0]))
    contacts = kit.read(lambda tx: tx.people.contacts([who.id])[who.id])

    class Choice:
        accounts = (account,)
        person = who
        mails = tuple(c.address for c in contacts)

    return Choice


# ── logs ────────────────────────────────────────────────────────────────────


@cache
def _sources() -> list[tuple[str, ast.Module]]:
    """Read once; nobody changes a tree."""
    names = {f.relative_to(reach.SOURCE).as_posix(): f for f in sorted(reach.SOURCE.rglob("*.py"))}
    apart = ("testing/", "demo/", "storage/migrations/")
    return [(name, ast.parse(f.read_text("utf-8"))) for name, f in names.items() if not name.startswith(apart)]


def _strings(node: ast.AST, around: ast.AST) -> Iterator[str]:
    """What a first argument can be: a text, one of two, or a name that is given texts nearby."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _strings(node.body, around)
        yield from _strings(node.orelse, around)
    elif isinstance(node, ast.Name):
        for n in ast.walk(around):
            if isinstance(n, ast.Assign) and not isinstance(n.value, ast.Name):
                for target in n.targets:
                    pair = isinstance(target, ast.Tuple) and isinstance(n.value, ast.Tuple)
                    both = zip(target.elts, n.value.elts, strict=True) if pair else [(target, n.value)]  # type: ignore[attr-defined]
                    for name, value in both:
                        if isinstance(name, ast.Name) and name.id == node.id:
                            yield from _strings(value, around)


@pytest.mark.covers("A-16.1.1")
@LANGUAGES
def test_every_line_of_the_log_is_named(language: str) -> None:
    made = {
        str(node.args[0].value)  # type: ignore[attr-defined]
        for _, tree in _sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and reach._chain(node.func)[:1] == ("log",)
        and reach._chain(node.func)[1:] in (("debug",), ("info",), ("warning",), ("error",), ("critical",))
    }
    assert len(made) > 20
    assert sorted(named(language, LOG)) == sorted(made)
    assert {f"`{why}`" for why in (*BY_STATUS.values(), "cross_site", "step_up", "wrong_state")} <= set(
        re.findall(r"`\w+`", text_of(language))
    )


@pytest.mark.covers("A-16.1.1")
@LANGUAGES
def test_every_kind_of_audit_row_is_named(language: str) -> None:
    made = {ev.event_type(kind) for kind in _bare_events()}
    told = set()
    for _, tree in _sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not (chain := reach._chain(node.func)):
                continue
            where = {"Note": 0, "note_of": 0, "notify_account_change": 2, "_changed": 2, "send_notice": 2}.get(
                chain[-1]
            )
            if where is None or len(node.args) <= where:
                continue
            texts = set(_strings(node.args[where], tree))
            if chain[-1] == "send_notice":
                told |= texts
            else:
                made |= texts
    made |= set(CHANGES) - told
    assert len(made) > 60
    assert sorted(named(language, AUDIT)) == sorted(made)


def _bare_events() -> list[Any]:
    return [object.__new__(kind) for kind in get_args(ev.CaseEvent)]


# ── calls ───────────────────────────────────────────────────────────────────

REACHES_OUT = {
    "aiohttp", "asyncio.open_connection", "ftplib", "http.client", "httpx", "httpx2", "imaplib", "ldap3",
    "limits.storage", "psycopg", "requests", "smtplib", "socket", "sqlalchemy", "telnetlib", "urllib.request",
    "urllib3", "websockets",
}  # fmt: skip
LISTENS_OR_TESTS = {"outbound/watchdog.py", "web/http/server.py", "serving.py", "cli/init.py", "demo/process.py"}
IN_SOMEBODY_ELSES_PROGRAM = {"client/async_client.py", "client/client.py"}


@pytest.mark.covers("A-13.1.1")
@LANGUAGES
def test_what_can_call_out_is_named(language: str) -> None:
    calling = set()
    for name, tree in _sources():
        for node in ast.walk(tree):
            given = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            given += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(g in REACHES_OUT or g.partition(".")[0] in REACHES_OUT for g in given):
                calling.add(name)
    places = [c for row in tables(language)[CALLS] for c in re.findall(r"`([^`]+)`", row[2])]
    prefixes = tuple(Path(*p.split(".")).as_posix() for p in places)
    assert {n for n in calling - LISTENS_OR_TESTS - IN_SOMEBODY_ELSES_PROGRAM if not n.startswith(prefixes)} == set()
    assert all(any(n.startswith(p) for n in calling) for p in prefixes)
