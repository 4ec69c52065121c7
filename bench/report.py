"""Figures beside their budgets, as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Verdict = Literal["kept", "broken", "-"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report.

    Args:
        figure: what was measured, with its unit.
        budget: what it may be; empty for lines that only inform.
        raw: the numbers behind it, for --json.
        scaled: measured on less than the budget is about, as `--quick` does.
    """

    name: str
    figure: str
    budget: str = ""
    verdict: Verdict = "-"
    raw: dict[str, Any] = field(default_factory=dict)
    scaled: bool = False


def judged(name: str, value: float, figure: str, budget: str, kept: bool, *, scaled: bool = False, **raw: Any) -> Line:
    return Line(name, figure, budget, "kept" if kept else "broken", {"value": value, **raw}, scaled)


def spread(values: Sequence[float]) -> str:
    """`median (least to most)`."""
    if len(values) == 1:
        return f"{values[0]:.0f}"
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def auc(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float]:
    """Chance that a value of `slow` is larger than one of `fast` (ties half), and its standard error without any
    difference (Mann and Whitney 1947)."""
    ranked = sorted([(v, 1) for v in slow] + [(v, 0) for v in fast])
    n, m, i, ranks = len(slow), len(fast), 0, 0.0
    while i < len(ranked):
        j = i
        while j < len(ranked) and ranked[j][0] == ranked[i][0]:
            j += 1
        ranks += (i + 1 + j) / 2 * sum(mine for _, mine in ranked[i:j])
        i = j
    return (ranks - n * (n + 1) / 2) / (n * m), ((n + m + 1) / (12 * n * m)) ** 0.5


def show(lines: Sequence[Line], noise: str) -> None:
    console = Console(highlight=False)
    table = Table(show_edge=False, pad_edge=False)
    for column in ("measure", "figure", "budget", "verdict"):
        table.add_column(column)
    for line in lines:
        table.add_row(line.name, line.figure, line.budget, line.verdict + (" (scaled)" if line.scaled else ""))
    console.print(table)
    if any(line.scaled for line in lines):
        console.print("(scaled): measured on less than the budget is about; without --quick it is measured in full.")
    console.print(noise)


def as_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [asdict(line) for line in lines]
