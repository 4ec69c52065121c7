"""When the help desk works, and by when a case has to be decided: a week, holidays, and a goal in working time.

Days are the company's own, so a day on which clocks change has the hours that it really has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from keyback.domain.units import HOUR

DAY_MINUTES = 24 * 60
MAX_DAYS = 400  # that are looked at; beyond them nothing is ever due
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ServiceHours:
    """Args:
    zone: of the company.
    week: for each day from Monday on, spans in minutes after midnight, in order and apart.
    holidays: days without any hours.
    goal: working time (ms) within which a case should be decided.
    """

    zone: tzinfo = UTC
    week: tuple[tuple[Span, ...], ...] = (((0, DAY_MINUTES),),) * 7
    holidays: frozenset[date] = frozenset()
    goal: int = HOUR

    def due(self, since: int) -> int:
        """By when (ms) a case has to be decided that waits since then."""
        left, last = self.goal, since
        for start, end in self._spans(since, +1):
            begin = max(start, since)
            if end - begin >= left:
                return begin + left
            left -= max(0, end - begin)
            last = max(last, end)
        return last

    def worked(self, since: int, until: int) -> int:
        """Working time (ms) between two instants; no more than is of interest once the goal is passed many times."""
        out = 0
        for start, end in self._spans(since, +1):
            if start >= until:
                break
            out += max(0, min(end, until) - max(start, since))
        return out

    def late_since(self, now: int) -> int:
        """The last instant (ms) since which a case can wait and be overdue now; 1 where none is."""
        left = self.goal
        for start, end in self._spans(now, -1):
            stop = min(end, now)
            if stop - start >= left:
                return stop - left
            left -= max(0, stop - start)
        return 1  # and not 0, by which no filter is meant

    def _spans(self, at: int, step: int) -> Iterator[Span]:
        """Working spans (ms) from the day of an instant on, forwards or backwards."""
        day = datetime.fromtimestamp(at / 1000, self.zone).date()
        for _ in range(MAX_DAYS):
            if day not in self.holidays:
                for start, end in self.week[day.weekday()][::step]:
                    yield self._instant(day, start), self._instant(day, end)
            day += timedelta(days=step)

    def _instant(self, day: date, minutes: int) -> int:
        more, minutes = divmod(minutes, DAY_MINUTES)
        wall = datetime.combine(day + timedelta(days=more), time(minutes // 60, minutes % 60), self.zone)
        return int(wall.timestamp() * 1000)
