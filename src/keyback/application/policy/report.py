"""What a search through the policy came to: rows for machines, sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from keyback.application.policy.coverage import Census, Stranded
from keyback.application.policy.explain import CLAIM_WORDS, TIER_NAMES, proof_words, span
from keyback.application.ports.proofs import N_, About
from keyback.domain.policy.claims import Found, Path, Result
from keyback.domain.policy.presets import Preset, not_accepted
from keyback.domain.policy.rules import Policy
from keyback.locale import gettext, language


@dataclass(frozen=True, slots=True)
class PathRow:
    """One way by which a claim is broken. `evidence`: (proof, channel) of each piece; `wait`: ms."""

    tier: str
    journey: str
    evidence: tuple[tuple[str, str], ...]
    ruling: str
    wait: int


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim: does it hold, or is there a written reason why it need not."""

    claim: str
    state: Literal["holds", "accepted", "broken"]
    keeps: tuple[str, ...]
    paths: tuple[PathRow, ...] = ()
    detail: str = ""
    reason: str = ""


def claim_rows(result: Result, policy: Policy, preset: Preset) -> list[ClaimRow]:
    """Every claim in order."""
    missing, reasons = not_accepted(policy, preset), dict(policy.accepted)
    rows = []
    for f in result.found:
        accepted = f.claim.id in reasons and f.claim.id not in missing
        state: Literal["holds", "accepted", "broken"] = "holds" if f.holds else "accepted" if accepted else "broken"
        reason = reasons[f.claim.id] if state == "accepted" else ""
        rows.append(ClaimRow(f.claim.id, state, f.claim.keeps, _paths(f), f.detail, reason))
    return rows


def _paths(found: Found) -> tuple[PathRow, ...]:
    return tuple(_path(p) for p in found.paths)


def _path(p: Path) -> PathRow:
    shown = tuple((e.proof, ", ".join((e.channel, *e.also))) for e in p.evidence)
    return PathRow(p.tier, p.journey, shown, p.ruling.kind, p.ruling.wait)


STATES = {"holds": N_("holds"), "accepted": N_("given up"), "broken": N_("BROKEN")}
OUTCOMES = {
    "go": N_("in at once"),
    "hold": N_("in after a hold of {wait}"),
    "review": N_("in after approval by a second operator"),
    "more": N_("not in"),
}


def check_words(
    rows: Sequence[ClaimRow], preset: Preset, rulings: int, locale: str, abouts: Mapping[str, About]
) -> list[str]:
    """The answer of `keyback policy check`, line by line.

    Args:
        abouts: what proofs are called.
    """

    def _(text: str, **values: object) -> str:
        return gettext(locale, text, **values)

    lines, colon = [], language(locale).colon
    for r in rows:
        lines.append(f"{_(STATES[r.state])}{colon}{_(CLAIM_WORDS[r.claim])} [{r.claim}]")
        lines += [f"    {path_words(p, locale, abouts)}" for p in r.paths]
        if r.detail:
            lines.append(f"    {r.detail}")
        if r.reason:
            lines.append("    " + _(N_("Reason: {reason}"), reason=r.reason))
    broken = sum(r.state == "broken" for r in rows)
    accepted = sum(r.state == "accepted" for r in rows)
    facts = {"n": f"{rulings:,}", "preset": preset.name}
    lines.append("")
    if broken:
        lines.append(_(N_("The policy breaks the preset {preset}; {n} cases were tried."), **facts))
        lines.append(_(N_("Undo the change, or write the reason for each into policy.accepted.")))
    elif accepted:
        lines.append(
            _(
                N_("No path breaks the preset {preset} except those given up with a reason; {n} cases were tried."),
                **facts,
            )
        )
    else:
        lines.append(_(N_("No path breaks the preset {preset}; {n} cases were tried."), **facts))
    return lines


def path_words(p: PathRow, locale: str, abouts: Mapping[str, About]) -> str:
    """One path as a line: who, by what exactly, and what it comes to."""
    shown = " + ".join(f"{proof_words(locale, proof, abouts)} ({channel})" for proof, channel in p.evidence)
    who = gettext(locale, TIER_NAMES[p.tier])  # type: ignore[index]
    if p.journey == "second_factor":
        who += gettext(locale, N_(", second step lost"))
    outcome = gettext(locale, OUTCOMES[p.ruling], **({"wait": span(locale, p.wait)} if p.wait else {}))
    if p.ruling == "hold" and not p.wait:
        outcome = gettext(locale, N_("in after a hold"))
    return f"{who}{language(locale).colon}{shown or '–'} → {outcome}"


def people_words(c: Census, locale: str) -> list[str]:
    """How people would get back in, and who would not, line by line."""

    def _(text: str, **values: object) -> str:
        return gettext(locale, text, **values)

    def named(who: Sequence[Stranded], of: int) -> list[str]:
        lines = [f"    {x.name} – {_(TIER_NAMES[x.tier])}" for x in who]
        return [*lines, "    " + _(N_("and {n} more"), n=of - len(who))] if of > len(who) else lines

    lines = [
        "",
        _(
            N_("{people} people: {alone} get back in on their own, {operator} with an operator, {none} not at all."),
            people=c.people,
            **c.ways,
        ),
        *named(c.stranded, c.ways["none"]),
    ]
    if c.one_address:
        text = N_("{n} people can be told about a recovery at only one address. Ask them to add a second one.")
        lines += ["", _(text, n=c.one_address)]
    if c.colleagues:
        text = N_("These colleagues confirm for more people than policy.people_per_colleague allows:")
        lines += ["", _(text), *(f"    {address} – {n}" for address, n in c.colleagues)]
    if c.lost:
        lines += ["", _(N_("The draft removes the last way back for {n} people."), n=c.lost), *named(c.losers, c.lost)]
    return lines
