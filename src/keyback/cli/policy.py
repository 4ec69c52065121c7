"""`keyback policy explain`, `check`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from keyback.application.policy.coverage import Census, Offer, census
from keyback.application.policy.explain import explain
from keyback.application.policy.report import check_words, claim_rows, people_words
from keyback.application.policy.standards import report_words, requirements
from keyback.bootstrap import Proofs, make_proofs
from keyback.bootstrap_keys import make_gate
from keyback.cli.common import echo_json, load, progress, run, safe, storage, usable
from keyback.domain.passwords.rules import PRESETS
from keyback.domain.policy.search import search
from keyback.locale import choose
from keyback.settings import Settings
from keyback.settings_policy import make_policy, preset_of

LANG = click.option("--lang", type=click.Choice(["en", "zh"]), help="Language; default: `default_locale`.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def policy() -> None:
    """Tell what the policy is, and prove that it keeps its preset."""


@policy.command("explain")
@LANG
@JSON
def explain_(lang: str | None, as_json: bool) -> None:
    """Explain the policy in plain words: what lets whom in, what a hold is, who gets notified."""
    s = load()
    locale = choose(lang, default=s.default_locale)
    proofs = make_them(s)
    ruled = make_policy(s, proofs.kinds, strict=False)
    sections = explain(ruled, preset_of(s), locale, proofs.abouts, there(proofs))
    _say_bad(proofs)
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
    help="Check this settings file instead of the current one.",
)
@click.option("--report", is_flag=True, help="List which requirements of standards it meets and breaks.")
@click.option("--people", is_flag=True, help="Check the database for people the policy leaves without a way back.")
@click.option(
    "--list",
    "most",
    default=20,
    show_default=True,
    type=click.IntRange(0, 100_000),
    help="Maximum number of lines to print.",
)
@LANG
@JSON
def check(draft: Path | None, report: bool, people: bool, most: int, lang: str | None, as_json: bool) -> None:
    """Try every set of evidence against the policy and list those that break the preset.

    Runs the real rules for every proof, two channels of each, and every tier, journey, and risk. Exit code 1 if a
    path breaks the preset without a reason in `policy.accepted`, or if a draft removes someone's last way back.
    """
    s = load_draft(draft) if draft else load()
    locale = choose(lang, default=s.default_locale)
    proofs, preset = make_them(s), preset_of(s)
    ruled = make_policy(s, proofs.kinds, strict=False)
    _say_bad(proofs)
    with progress("Searching") as tell:
        result = search(ruled, preset, progress=tell)
    rows = claim_rows(result, ruled, preset)
    broken = any(r.state == "broken" for r in rows)
    counted = run(_census(s, load() if draft else None, most)) if people else None
    lost = counted.lost if counted else 0
    kept = requirements(rows, ruled, PRESETS[s.password.preset]) if report else []
    if as_json:
        out: dict[str, Any] = {"ok": not (broken or lost), "preset": preset.name, "rulings": result.rulings}
        out |= {"claims": [dataclasses.asdict(r) for r in rows]}
        out |= {"requirements": [dataclasses.asdict(r) for r in kept]} if report else {}
        echo_json(out | ({"people": dataclasses.asdict(counted)} if counted else {}))
    else:
        for line in check_words(rows, preset, result.rulings, locale, proofs.abouts):
            click.echo(safe(line))
        for line in report_words(kept, locale) if report else ():
            click.echo(line)
        for line in people_words(counted, locale) if counted else ():
            click.echo(safe(line))
    if broken or lost:
        raise click.exceptions.Exit(1)


def there(proofs: Proofs) -> frozenset[str]:
    """The proofs that this installation can put: what its channels carry and its packages bring."""
    return frozenset(proofs.offered)


def make_them(s: Settings) -> Proofs:
    """The proofs of the settings, for what asks about them and hashes nothing."""
    gate = make_gate(s)
    try:
        return make_proofs(s, gate)
    finally:
        gate.close()  # nothing is hashed here


def _say_bad(proofs: Proofs) -> None:
    for words in proofs.bad:
        click.echo(f"proofs: {safe(words)}", err=True)


def _offer(s: Settings) -> Offer:
    proofs = make_them(s)
    return Offer(make_policy(s, proofs.kinds, strict=False), proofs.offered)


async def _census(s: Settings, in_use: Settings | None, most: int) -> Census:
    """Counts people in the database that is in use, whatever a draft says about its place."""
    place = in_use or s
    usable(place)
    async with storage(place) as db:
        return await census(db, _offer(s), _offer(in_use) if in_use else None, listed=most)


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
