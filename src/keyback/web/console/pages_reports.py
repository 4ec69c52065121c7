"""What the page of reports shows: charts, each of which is a table, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from keyback.application.reports.fold import STAGES
from keyback.application.reports.report import Report
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a chart. `name`: a key of the template's words, or a text of its own. -1: some, but few."""

    name: str
    value: int
    own: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """`columns` are by day; `bars` compare parts, with the first as the whole where it is a funnel."""

    key: str
    kind: Literal["bars", "columns"]
    rows: tuple[Bar, ...]

    @property
    def most(self) -> int:
        return max([1, *(b.value for b in self.rows)])

    @property
    def total(self) -> int:
        return sum(max(0, b.value) for b in self.rows)

    def width(self, bar: Bar) -> float:
        """In per cent of the largest; few are drawn as none."""
        return round(100 * max(0, bar.value) / self.most, 2)


@dataclass(frozen=True, slots=True)
class ReportsPage(ConsolePage):
    """`error`: a code of what is wrong with what was `typed`; `saved`: money, where a cost was given."""

    template: ClassVar[str] = "console/reports.html"
    room: ClassVar[str] = "reports"
    report: Report
    charts: tuple[Chart, ...]
    typed: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    saved: float | None = None
    currency: str = ""


ENDS = ("recovered", "canceled_owner", "canceled_requester", "canceled_operator", "rejected", "expired", "failed")
HOLDS = ("started", "waited", "ended_early", "canceled")


def charts_of(report: Report, locale: str, names: Mapping[str, str]) -> tuple[Chart, ...]:
    """Every chart of the page, those without anything in them included.

    Args:
        names: of operators, for whoever may see them; others see the first letters of ids.
    """
    s = report.sums
    ends = {**s.get("ends", {}), "recovered": report.sum("funnel", "recovered")}
    causes = sorted(s.get("causes", {}).items(), key=lambda c: -c[1])[:12]
    pairs = sorted(s.get("pairs", {}).items(), key=lambda p: -p[1])[:12]
    channels = sorted({p.partition("/")[0] for p in s.get("deliveries", {})})
    return (
        Chart("funnel", "bars", tuple(Bar(k, s["funnel"].get(k, 0)) for k in STAGES)),
        Chart("ends", "bars", tuple(Bar(k, ends.get(k, 0)) for k in ENDS)),
        Chart("asked", "columns", _by_day(report, "funnel/asked")),
        Chart("no_way", "columns", _by_day(report, "ways_back/none")),
        Chart("oldest", "columns", _by_day(report, "oldest_case/minutes")),
        Chart("causes", "bars", tuple(Bar(k, n) for k, n in causes)),
        Chart("holds", "bars", tuple(Bar(k, s.get("holds", {}).get(k, 0)) for k in HOLDS)),
        Chart("callers", "bars", tuple(Bar(k, s.get("callers", {}).get(k, 0)) for k in ("passed", "refused"))),
        Chart("pairs", "bars", tuple(Bar(_pair(p, names), n, own=True) for p, n in pairs)),
        Chart(
            "deliveries",
            "bars",
            tuple(
                Bar(f"{c}/{how}", s["deliveries"].get(f"{c}/{how}", 0))
                for c in channels
                for how in ("in_time", "late", "failed")
            ),
        ),
    )


def _by_day(report: Report, name: str) -> tuple[Bar, ...]:
    """Requests of every day; of what is looked at, the days on which it was: none is not zero."""
    found = report.days.get(name, {})
    all_days = name.startswith("funnel/")
    return tuple(Bar(day, found.get(day, 0), own=True) for day in report.period.days() if all_days or day in found)


def _pair(pair: str, names: Mapping[str, str]) -> str:
    by, _, recommended = pair.partition("/")
    shown = [names.get(i, i[:6]) for i in (recommended, by) if i]
    return " → ".join(shown)
