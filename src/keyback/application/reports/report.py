"""One report: the figures of a period, with what would point to a single person left out."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from keyback.application.audit_log import plain_cell
from keyback.application.ports.storage import Tx
from keyback.application.reports.fold import STAGES, share_of
from keyback.domain.errors import BadInput

FEW = 5  # what fewer people did is not told apart: it would point to them
MAX_DAYS = 400
HIDDEN = ("causes",)  # figures whose parts say something about people
TIMES = ("to_password", "to_sign_in", "hold_time")


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    @classmethod
    def of(cls, first: str, last: str, today: date, days: int = 30) -> Period:
        """As typed; empty ones mean the last `days` up to today.

        Raises:
            BadInput: `day` for what is no day, `order`, `too_long` for more than 400 days.
        """
        try:
            end = date.fromisoformat(last) if last else today
            start = date.fromisoformat(first) if first else end - timedelta(days=days - 1)
        except (ValueError, OverflowError):
            raise BadInput("day") from None
        if start > end:
            raise BadInput("order")
        if (end - start).days >= MAX_DAYS:
            raise BadInput("too_long")
        return cls(start, end)

    def days(self) -> Iterator[str]:
        for n in range((self.last - self.first).days + 1):
            yield (self.first + timedelta(days=n)).isoformat()


@dataclass(frozen=True, slots=True)
class Time:
    """Durations in seconds; None where fewer than `FEW` recoveries count."""

    count: int
    median: int | None
    p95: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of a period: sums by what of it, times, and values by day. A value of -1: some, but fewer than `FEW`."""

    period: Period
    sums: Mapping[str, Mapping[str, int]]
    times: Mapping[str, Time]
    days: Mapping[str, Mapping[str, int]]

    def sum(self, figure: str, *parts: str) -> int:
        """One sum, or the sum of some; of all where no part is named."""
        found = self.sums.get(figure, {})
        return sum(n for p, n in found.items() if not parts or p in parts)

    def share(self, figure: str, part: str, of: str = "") -> float | None:
        """A part in per cent of all of its figure, or of the parts named in `of`; None where there are none."""
        whole = self.sum(figure, *of.split()) if of else self.sum(figure)
        return round(100 * self.sum(figure, part) / whole, 1) if whole else None

    @property
    def alone(self) -> float | None:
        """Per cent of recoveries in which no operator had a part."""
        return self.share("solved", "alone", "alone desk")

    @property
    def first_contact(self) -> float | None:
        """Per cent of those with an operator's part that took one of them, once, and were not back within a week."""
        desk = self.sum("solved", "desk")
        once = max(0, self.sum("solved", "desk_once") - self.sum("back", "desk"))
        return round(100 * once / desk, 1) if desk else None

    @property
    def back(self) -> float | None:
        """Per cent of recovered people who asked again within seven days."""
        whole = self.sum("solved", "alone", "desk")
        return round(100 * self.sum("back") / whole, 1) if whole else None

    def saved(self, desk_cost: float, own_cost: float) -> float:
        """What people who recovered alone saved, at a company's own cost of a call and of a recovery without one."""
        return round(self.sum("solved", "alone") * (desk_cost - own_cost), 2)


@dataclass(frozen=True, slots=True)
class Money:
    """What was saved, by a company's own figures. `currency`: three letters, or none."""

    saved: float
    currency: str = ""


def build(tx: Tx, period: Period) -> Report:
    """Adds up the figures of a period; costs by its days, not by what happened in them."""
    rows = tx.reports.figures(period.first.isoformat(), period.last.isoformat())
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    days: dict[str, dict[str, int]] = defaultdict(dict)
    for (day, figure, part), n in rows.items():
        if figure in ("oldest_case", "ways_back"):
            days[f"{figure}/{part}"][day] = n
        else:
            sums[figure][part] += n
        if figure == "funnel" and part in ("asked", "recovered"):
            days[f"{figure}/{part}"][day] = n
    times = {name: _time(sums.pop(name, Counter())) for name in TIMES}
    for name in HIDDEN:
        sums[name] = Counter({p: n if n >= FEW else -1 for p, n in sums[name].items() if n})
    funnel = {s: sums["funnel"][s] for s in STAGES}
    return Report(period, {**{k: dict(v) for k, v in sums.items()}, "funnel": funnel}, times, dict(days))


def _time(classes: Counter[str]) -> Time:
    n = sum(classes.values())
    return Time(n, share_of(classes, 0.5), share_of(classes, 0.95)) if n >= FEW else Time(n, None, None)


def lines(report: Report, money: Money | None = None) -> Iterator[tuple[str, str, str, str]]:
    """All of it as rows of figure, part, day, value; for CSV. Fewer than `FEW` are `<5`, what nobody knows is empty."""
    for figure, parts in sorted(report.sums.items()):
        for part, n in parts.items():
            yield figure, part, "", _shown(n)
    for name, t in report.times.items():
        yield name, "count", "", str(t.count)
        yield name, "median_seconds", "", "" if t.median is None else str(t.median)
        yield name, "p95_seconds", "", "" if t.p95 is None else str(t.p95)
    for name in ("alone", "first_contact", "back"):
        value: float | None = getattr(report, name)
        yield f"{name}_percent", "", "", "" if value is None else str(value)
    if money is not None:
        yield "saved", money.currency, "", str(money.saved)
    for name, by_day in sorted(report.days.items()):
        figure, _, part = name.partition("/")
        for day, n in sorted(by_day.items()):
            yield figure, part, day, str(n)


def as_csv(report: Report, money: Money | None = None) -> bytes:
    """The rows of `lines` under their headings, in UTF-8 with a mark, as spreadsheets want it."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(("figure", "part", "day", "value"))
    table.writerows([plain_cell(x) for x in line] for line in lines(report, money))
    return out.getvalue().encode("utf-8-sig")


def _shown(n: int) -> str:
    return f"<{FEW}" if n < 0 else str(n)


def as_json(report: Report, money: Money | None = None) -> dict[str, object]:
    """All of it as JSON takes it."""
    return {
        "from": report.period.first.isoformat(),
        "to": report.period.last.isoformat(),
        "sums": {f: {p: n if n >= 0 else f"<{FEW}" for p, n in parts.items()} for f, parts in report.sums.items()},
        "times": {
            n: {"count": t.count, "median_seconds": t.median, "p95_seconds": t.p95} for n, t in report.times.items()
        },
        "percent": {"alone": report.alone, "first_contact": report.first_contact, "back": report.back},
        "days": report.days,
        **({"saved": {"amount": money.saved, "currency": money.currency}} if money else {}),
    }
