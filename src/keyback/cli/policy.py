"""`keyback policy explain`, `check`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from keyback.application.policy_report import check_words, claim_rows
from keyback.application.policy_words import explain
from keyback.bootstrap import make_gate, make_proofs
from keyback.cli.common import echo_json, load, progress, safe
from keyback.domain.policy import PROOFS
from keyback.domain.policy_search import search
from keyback.locale import choose
from keyback.settings import Settings
from keyback.settings_policy import make_policy, preset_of

LANG = click.option("--lang", type=click.Choice(["en", "zh"]), help="Language; default: `default_locale`.")
JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


@click.group()
def policy() -> None:
    """Tell what the policy is, and prove that it keeps its preset."""


@policy.command("explain")
@LANG
@JSON
def explain_(lang: str | None, as_json: bool) -> None:
    """Tell the policy in plain words: what gets whom in, what a wait is, who is told."""
    s = load()
    locale = choose(lang, default=s.default_locale)
    sections = explain(make_policy(s, strict=False), preset_of(s), locale, there(s))
    if as_json:
        echo_json(
            {"preset": preset_of(s).name, "locale": locale, "sections": [dataclasses.asdict(x) for x in sections]}
        )
        return
    for n, section in enumerate(sections):
        click.echo(("\n" if n else "") + section.title)
        for line in section.lines:
            click.echo(f"  {safe(line)}")


@policy.command("check")
@click.option(
    "--draft",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Check this settings file in place of the one in use.",
)
@LANG
@JSON
def check(draft: Path | None, lang: str | None, as_json: bool) -> None:
    """Try every set of evidence on the policy and name each that breaks the preset.

    Asks the rules themselves, for every proof, two channels of each, every tier, journey and risk. Exit code 1 if a
    path breaks the preset that `policy.accepted` gives no reason for.
    """
    s = load_draft(draft) if draft else load()
    locale = choose(lang, default=s.default_locale)
    ruled, preset = make_policy(s, strict=False), preset_of(s)
    with progress("Searching") as tell:
        result = search(ruled, preset, progress=tell)
    rows = claim_rows(result, ruled, preset)
    broken = any(r.state == "broken" for r in rows)
    if as_json:
        out: dict[str, Any] = {"ok": not broken, "preset": preset.name, "rulings": result.rulings}
        echo_json({**out, "claims": [dataclasses.asdict(r) for r in rows]})
    else:
        for line in check_words(rows, preset, result.rulings, locale):
            click.echo(safe(line))
    if broken:
        raise click.exceptions.Exit(1)


def there(s: Settings) -> frozenset[str]:
    """The proofs that this installation can put: what its channels carry and its packages bring."""
    gate = make_gate(s)
    try:
        return frozenset({"email_link", *make_proofs(s, gate)}) & frozenset(PROOFS)
    finally:
        gate.close()


def load_draft(path: Path) -> Settings:
    """Settings from another file; the environment wins over it as ever."""
    with _config(path):
        return load()


@contextmanager
def _config(path: Path) -> Iterator[None]:
    before = os.environ.get("KEYBACK_CONFIG")
    os.environ["KEYBACK_CONFIG"] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["KEYBACK_CONFIG"]
        else:
            os.environ["KEYBACK_CONFIG"] = before
