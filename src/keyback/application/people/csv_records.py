"""Records out of physical lines: a quotation mark that nobody closes costs its own line, never the people behind it."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_SPAN: Final = 100  # lines of one cell


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `line`: the physical line on which it begins. `fault`: why it could not be read, if so."""

    line: int
    cells: tuple[str, ...]
    fault: str = ""


def records_of(lines: Iterator[str], separator: str, width: int = 0) -> Iterator[Record]:
    """Every record but blank ones.

    Args:
        width: cells of the heading, by which a cell that has swallowed other records is told; 0: not known yet.
    """
    source = _Lines(lines)
    while (line := source.take()) is not None:
        begin = source.number
        if '"' not in line:
            cells = tuple(line.rstrip("\r\n").split(separator))
            if any(c.strip("\0 \t\xa0\u3000") for c in cells):
                yield Record(begin, cells)
            continue
        record, more = _quoted(source, line, begin, separator, width)
        source.give_back(more)
        if record.fault or any(c.strip() for c in record.cells):
            yield record


class _Lines:
    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._waiting = lines, deque[str]()
        self.number = 0

    def take(self) -> str | None:
        line = self._waiting.popleft() if self._waiting else next(self._lines, None)
        if line is not None:
            self.number += 1
        return line

    def give_back(self, lines: list[str]) -> None:
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)


def _quoted(source: _Lines, first: str, begin: int, separator: str, width: int) -> tuple[Record, list[str]]:
    """The record that begins with this line, and the lines that are none of it after all."""
    used: list[str] = []

    def feed() -> Iterator[str]:
        yield first
        while len(used) < MAX_SPAN and (line := source.take()) is not None:
            used.append(line)
            yield line

    try:
        cells = tuple(next(csv.reader(feed(), delimiter=separator, strict=True)))
    except (csv.Error, StopIteration):
        return Record(begin, (first.rstrip("\r\n"),), "quotes"), used
    if used and width and (len(cells) != width or _has_swallowed(cells, separator)):
        return Record(begin, (first.rstrip("\r\n"),), "quotes"), used
    return Record(begin, cells), []


def _has_swallowed(cells: tuple[str, ...], separator: str) -> bool:
    """Whether a cell holds the rest of its own row, or a whole other one."""
    for n, cell in enumerate(cells):
        first, *rest = cell.splitlines() or [""]
        behind = len(cells) - 1 - n
        if rest and 0 < behind <= first.count(separator) and "@" in first:
            return True
        if any("@" in line and line.count(separator) >= len(cells) - 1 > 0 for line in rest):
            return True
    return False
