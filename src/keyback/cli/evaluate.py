"""`keyback evaluate policy`, `connector`: what a draft would have done differently. Changes nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from keyback.application.people.connector_evaluation import Comparison, compare
from keyback.application.policy.coverage import Offer
from keyback.application.policy.evaluation import Change, Difference, Evaluation, evaluate
from keyback.application.ports.connectors import Connector
from keyback.bootstrap import make_connector
from keyback.bootstrap_keys import make_gate
from keyback.cli.common import at, echo_json, load, progress, run, safe, storage, usable
from keyback.cli.policy import load_draft, make_them
from keyback.domain.policy.rules import Ruling
from keyback.domain.units import HOUR, MINUTE
from keyback.registry import BadPart
from keyback.settings import Settings, Unsafe
from keyback.settings_policy import make_policy

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
LIST = click.option(
    "--list", "most", default=50, show_default=True, type=click.IntRange(0, 1_000_000), help="Maximum people to name."
)
DRAFT = click.argument("draft", type=click.Path(path_type=Path, exists=True, dir_okay=False))
CHANGES: dict[Change, str] = {
    "refused": "would have had to show more",
    "approval": "would have had to wait for an approval",
    "longer": "would have waited longer",
    "shorter": "would have waited less",
    "no_approval": "would have needed no approval",
    "opened": "would have been let in",
}
WAYS = {"alone": "can still get in alone", "operator": "can get in with the help desk", "none": "has no way back then"}


@click.group("evaluate")
def evaluate_command() -> None:
    """Try a draft on real recoveries and real accounts, and see what would be different. Changes nothing."""


@evaluate_command.command()
@DRAFT
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 366), help="How far to look back.")
@LIST
@JSON
def policy(draft: Path, days: int, most: int, as_json: bool) -> None:
    """Weigh the recoveries of the last days by the policy of another settings file, too, person by person.

    For each recovery, the verifications that were shown are weighed by the policy in use and by the draft. Exit code 0,
    whatever comes out.
    """
    s, other = load(), load_draft(draft)
    usable(s)
    with progress("Weighing") as tell:
        found = run(_policy(s, other, days, most, tell))
    if as_json:
        echo_json(dataclasses.asdict(found))
        return
    for line in _policy_words(found, days):
        click.echo(safe(line))


async def _policy(s: Settings, draft: Settings, days: int, most: int, tell: Any) -> Evaluation:
    async with storage(s) as db:
        now = await db.read(lambda tx: tx.now)
        return await evaluate(db, _offer(s), _offer(draft), now - days * 24 * HOUR, listed=most, progress=tell)


def _offer(s: Settings) -> Offer:
    proofs = make_them(s)
    return Offer(make_policy(s, proofs.kinds, strict=False), proofs.offered)


def _policy_words(e: Evaluation, days: int) -> list[str]:
    out = [f"{e.pages} recoveries of the last {days} days were weighed by both policies; {e.same} come to the same."]
    out += [f"{n} {CHANGES[change]}." for change in CHANGES if (n := e.changes.get(change, 0))]
    if e.unrecorded:
        out.append(f"{e.unrecorded} are from before this version and were left out.")
    if e.gone:
        out.append(f"{e.gone} are of people who were removed since, and were left out.")
    for d in e.differences:
        out += ["", *_difference_words(d)]
    named, counted = len(e.differences), sum(e.changes.values())
    if named < counted:
        out += ["", f"{counted - named} more are not listed. Use --list {counted}."]
    return out


def _difference_words(d: Difference) -> list[str]:
    shown = ", ".join(d.shown)
    lines = [
        f"{d.person} ({d.person_id}), {at(d.at)}: {CHANGES[d.change]}.",
        f"  showed {shown} ({d.journey}, {d.tier}); case {d.case_id}",
        f"  now: {_ruling_words(d.now)}; draft: {_ruling_words(d.then)}",
    ]
    if d.change == "refused" and d.way:
        lines.append(f"  {WAYS[d.way]}")
    return lines


def _ruling_words(r: Ruling) -> str:
    match r.kind:
        case "more":
            return "not enough"
        case "review":
            return "an operator approves"
        case "go":
            return "goes on at once"
        case _:
            return f"waits {_span(r.wait)}"


def _span(ms: int) -> str:
    whole, rest = divmod(ms, HOUR)
    return " ".join(filter(None, (f"{whole} h" if whole else "", f"{rest // MINUTE} min" if rest else "")))


@evaluate_command.command()
@click.argument("name")
@DRAFT
@click.option(
    "--pause", default=0.5, show_default=True, type=click.FloatRange(0, 60), help="Seconds between pieces of four."
)
@LIST
@JSON
def connector(name: str, draft: Path, pause: float, most: int, as_json: bool) -> None:
    """Ask a draft's connector about every account of the system NAME, beside the one in use, and compare.

    Both are only asked to look people up. Exit code 1 if the draft can't be asked.
    """
    s, other = load(), load_draft(draft)
    usable(s)
    for which, where in ((s, "the settings"), (other, str(draft))):
        if name not in which.systems:
            raise Unsafe(f"systems.{name} is not in {where}. Give the name of a system that both have.")
    with progress("Asking") as tell:
        found = run(_connector(s, other, name, pause, most, lambda n: tell(n, 0)))
    if as_json:
        echo_json(dataclasses.asdict(found))
    else:
        for line in _connector_words(found):
            click.echo(safe(line))
    if found.given_up or (found.asked and found.unavailable == found.asked):
        raise click.exceptions.Exit(1)


async def _connector(s: Settings, draft: Settings, name: str, pause: float, most: int, tell: Any) -> Comparison:
    async with storage(s) as db:
        gate = make_gate(s)
        made: list[Connector] = []
        try:
            for which in (s, draft):
                made.append(make_connector(name, which.systems[name], db, gate))
            return await compare(db, made[0], made[1], pause_s=pause, listed=most, progress=tell)
        except BadPart as e:
            raise Unsafe(str(e)) from None
        finally:
            for one in made:
                await one.close()
            gate.close()


def _connector_words(c: Comparison) -> list[str]:
    out = [f"{c.asked} accounts were looked up; {c.same} are the same to both, {c.unavailable} could not be looked up."]
    if c.given_up:
        out.append(
            "The draft did not answer twenty times in a row, so the rest was left out. See: keyback connector test"
        )
    out += [f"{what}: {one} now, {other} with the draft" for what, (one, other) in c.capabilities.items()]
    out += [f"{n} accounts differ in {what}." for what, n in sorted(c.fields.items())]
    for d in c.differing:
        out += ["", f"{d.person} ({d.person_id}), {d.username}"]
        out += [
            f"  {what}: {one} now, {other} with the draft"
            for what, one, other in zip(d.fields, d.now, d.then, strict=True)
        ]
    return out
