"""What a policy and its password preset keep and break, by requirement (docs/requirements.toml)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from keyback.application.policy.report import ClaimRow
from keyback.application.ports.proofs import N_
from keyback.domain.passwords.rules import Rules
from keyback.domain.policy.rules import Policy
from keyback.locale import gettext, language

State = Literal["kept", "given up", "not kept"]
ORDER: tuple[State, ...] = ("not kept", "given up", "kept")
OF_CLAIMS: dict[str, State] = {"holds": "kept", "accepted": "given up", "broken": "not kept"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement: kept when all that it rests on is. `by`: the choices that made it what it is."""

    id: str
    state: State
    by: tuple[str, ...]


def requirements(rows: Sequence[ClaimRow], policy: Policy, rules: Rules) -> list[Requirement]:
    """Every requirement that a choice bears on, what is not kept first.

    Args:
        rows: of `claim_rows`.
        rules: the password preset.
    """
    choices = [(r.claim, r.keeps, OF_CLAIMS[r.state]) for r in rows]
    choices += [(name, ids, "kept" if kept else "not kept") for name, ids, kept in _choices(policy, rules)]
    out = []
    for wanted in {i for _, ids, _ in choices for i in ids}:
        mine = {name: state for name, ids, state in choices if wanted in ids}
        worst = min(mine.values(), key=ORDER.index)
        out.append(Requirement(wanted, worst, tuple(n for n, state in mine.items() if state == worst)))
    return sorted(out, key=lambda r: (ORDER.index(r.state), _natural(r.id)))


def _choices(policy: Policy, rules: Rules) -> list[tuple[str, tuple[str, ...], bool]]:
    """Choices that no preset of the policy forbids, but a standard does."""
    of_age = rules.max_age_days is not None
    return [
        ("second_step_for_all", ("C-4",), policy.floor != "standard"),
        ("no_security_questions", ("A-6.4.2", "N-P7"), not policy.takes("security_questions")),
        ("password_length", ("N-P1",), rules.min_length >= 15),
        ("no_composition", ("N-P4", "A-6.2.5"), not rules.classes_required),
        ("no_rotation", ("N-P5", "A-6.2.10"), not of_age),
        ("complexity_and_change", ("C-1",), bool(rules.classes_required) and of_age),
    ]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def report_words(rows: Sequence[Requirement], locale: str) -> list[str]:
    """The report of `keyback policy check --report`, line by line."""
    words: dict[State, str] = {
        "kept": N_("kept"),
        "given up": N_("given up"),
        "not kept": N_("not kept"),
    }
    lines = ["", gettext(locale, N_("Requirements and what fulfills them (titles are in docs/requirements.toml):"))]
    lines += [f"    {gettext(locale, words[r.state])}{language(locale).colon}{r.id} ({', '.join(r.by)})" for r in rows]
    return lines
