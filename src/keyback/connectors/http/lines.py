"""On which line of a TOML file a key stands, and every mistake of its syntax: `tomllib` tells neither.

A file is cut into statements, each of which is parsed by itself.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Path = tuple[str | int, ...]
MAX_FAULTS: Final = 50
MAX_STATEMENT: Final = 200  # lines
MAX_TRIES: Final = 4000  # statements of several lines that are tried; a file of nothing else would take minutes
MAX_NAMES: Final = 50  # of one key; more are a joke at our cost
WHERE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")
ENDS = re.compile(r"[\]}]|\"\"\"|'''")
# What `tomllib` makes a caller stumble over, besides its own error: numbers of thousands of digits, deep nesting.
UNREADABLE: Final = (ValueError, RecursionError)
Statement = tuple[int, int, dict[str, Any], bool]
"""Its first and last line, counted from 0, what it says, and whether it is the header of a table."""


@dataclass(slots=True)
class Located:
    """A document, the line of each of its keys, and what is wrong with its syntax, by line."""

    document: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)
    tables: dict[Path, int] = field(default_factory=dict)
    tries: int = 0

    def line(self, path: Sequence[str | int]) -> int:
        """Of this key, or of the nearest one around it; 1 where there is none. Numbers are left out that a file has
        not, since one thing may stand for a list of one."""
        line = 1
        known: list[str | int] = []
        for step in self.known(path):
            known.append(step)
            line = self.lines.get(tuple(known), line)
        return line

    def known(self, path: Sequence[str | int]) -> list[str | int]:
        """As much of a path as the file has, and the step after it; without numbers that it has not."""
        here: Any = self.document
        known: list[str | int] = []
        for step in path:
            if isinstance(step, int) and not isinstance(here, list):
                continue
            known.append(step)
            try:
                here = here[step]
            except (LookupError, TypeError):
                break
        return known


def locate(text: str) -> Located:
    """Reads as much of a file as can be read."""
    out = Located()
    rows = text.replace("\r\n", "\n").split("\n")
    found: list[Statement] = []
    at, lost = 0, False
    while at < len(rows) and len(out.faults) < MAX_FAULTS and out.tries < MAX_TRIES:
        end, made, fault = _statement(rows, at, out)
        header = rows[at].lstrip().startswith("[")
        lost = fault is not None if header else lost
        if fault:
            out.faults.append((at + 1 + fault[0], fault[1]))
        elif made and not lost:  # what stands below a table that can't be read belongs to none
            found.append((at, end, made, header))
        at = end + 1
    place: Path = ()
    for at, _, made, is_header in _read(rows, found, out):
        if is_header:
            place = _header(made, rows[at].lstrip().startswith("[["), out)
            out.lines.setdefault(place, at + 1)
            if isinstance(place[-1], int):  # where one table was wanted, it is the list that is wrong
                out.lines.setdefault(place[:-1], at + 1)
        else:
            _note(made, place, at + 1, out)
    out.faults.sort()
    return out


def _read(rows: list[str], found: list[Statement], out: Located) -> list[Statement]:
    """Makes a document of statements that are right by themselves, and leaves out those that say again what was said;
    gives the others."""
    while True:
        kept = [""] * len(rows)
        for at, end, *_ in found:
            kept[at : end + 1] = rows[at : end + 1]
        try:
            out.document = tomllib.loads("\n".join(kept))
            return found
        except UNREADABLE as e:
            m = WHERE.search(str(e))
            line = int(m[1]) if m and m[1] else len(rows)
            n = next((n for n in reversed(range(len(found))) if found[n][0] < line), None)
            if n is None or len(out.faults) >= MAX_FAULTS:
                out.faults.append((1, WHERE.sub("", str(e))))
                return []
            out.faults.append((found[n][0] + 1, WHERE.sub("", str(e))))
            end = n + 1
            while found[n][3] and end < len(found) and not found[end][3]:
                end += 1
            del found[n:end]


def _statement(rows: list[str], at: int, out: Located) -> tuple[int, dict[str, Any] | None, tuple[int, str] | None]:
    """The last line of the statement that begins here, what it says, else its fault: how far below, and words."""
    first: tuple[int, str] | None = None
    for end in range(at, min(at + MAX_STATEMENT, len(rows))):
        if end > at and not ENDS.search(rows[end]):  # what goes over several lines ends with one of these
            continue
        if end > at:
            out.tries += 1
            if out.tries >= MAX_TRIES:
                break
        try:
            made = tomllib.loads("\n".join(rows[at : end + 1]))
            if _names(made) > MAX_NAMES:
                return end, None, (0, "Nested too deeply")
            return end, made, None
        except tomllib.TOMLDecodeError as e:
            found = WHERE.search(str(e))
            line = int(found[1]) - 1 if found and found[1] else end - at
            first = first or (0, WHERE.sub("", str(e)))
            if line < end - at:  # more lines do not mend it
                break
        except RecursionError:
            return end, None, (0, "Nested too deeply")
        except ValueError:
            return end, None, (0, "A number has too many digits")
    return at, None, first


def _names(made: dict[str, Any]) -> int:
    """How many names the first key of a statement has."""
    n = 0
    here: Any = made
    while isinstance(here, dict) and here:
        here = next(iter(here.values()))
        n += 1
    return n


def _header(made: dict[str, Any], array: bool, out: Located) -> Path:
    path: list[str | int] = []
    here: Any = made
    while isinstance(here, dict) and here:
        (name, here), *_ = here.items()
        path.append(name)
        known = out.tables.get(tuple(path))
        if isinstance(here, list) and array:
            n = out.tables[tuple(path)] = 0 if known is None else known + 1
            return (*path, n)
        if known is not None:  # a table below the last of an array of tables
            path.append(known)
    return tuple(path)


def _note(made: Any, at: Path, line: int, out: Located) -> None:
    if at:
        out.lines.setdefault(at, line)
    if isinstance(made, dict):
        for name, value in made.items():
            _note(value, (*at, name), line, out)
    elif isinstance(made, list):
        for n, value in enumerate(made):
            _note(value, (*at, n), line, out)
