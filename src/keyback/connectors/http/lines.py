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
WHERE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


@dataclass(slots=True)
class Located:
    """A document, the line of each of its keys, and what is wrong with its syntax, by line."""

    document: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)

    def line(self, path: Sequence[str | int]) -> int:
        """Of this key, or of the nearest one around it; 1 where there is none. Numbers are left out that a file has
        not, since one thing may stand for a list of one."""
        here: Any = self.document
        known: list[str | int] = []
        line = 1
        for step in path:
            if isinstance(step, int) and not isinstance(here, list):
                continue
            known.append(step)
            line = self.lines.get(tuple(known), line)
            try:
                here = here[step]
            except (LookupError, TypeError):
                break
        return line


def locate(text: str) -> Located:
    """Reads as much of a file as can be read."""
    out = Located()
    rows = text.replace("\r\n", "\n").split("\n")
    good: list[str] = []
    header: Path = ()
    at = 0
    while at < len(rows) and len(out.faults) < MAX_FAULTS:
        end, made, fault = _statement(rows, at)
        row = rows[at].strip()
        kept = rows[at : end + 1]
        if fault:
            out.faults.append((at + 1 + fault[0], fault[1]))
            kept = [""] * len(kept)
        elif made is not None and row.startswith("["):
            header = _header(made, row.startswith("[["), out)
            out.lines.setdefault(header, at + 1)
        elif made:
            _note(made, header, at + 1, out)
        if again := None if fault or not made else _twice([*good, *kept]):
            out.faults.append((at + 1, again))
            kept = [""] * len(kept)
        good += kept
        at = end + 1
    try:
        out.document = tomllib.loads("\n".join(good))
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        out.faults.append((1, str(e)))
    out.faults.sort()
    return out


def _statement(rows: list[str], at: int) -> tuple[int, dict[str, Any] | None, tuple[int, str] | None]:
    """The last line of the statement that begins here, what it says, else its fault: how far below, and words."""
    first: tuple[int, str] | None = None
    for end in range(at, min(at + MAX_STATEMENT, len(rows))):
        try:
            return end, tomllib.loads("\n".join(rows[at : end + 1])), None
        except tomllib.TOMLDecodeError as e:
            found = WHERE.search(str(e))
            line = int(found[1]) - 1 if found and found[1] else end - at
            first = first or (0, WHERE.sub("", str(e)))
            if line < end - at:  # more lines do not mend it
                break
        except RecursionError:
            return end, None, (0, "nested too deeply")
    return at, None, first


def _twice(rows: list[str]) -> str:
    """What is wrong with a statement that is right by itself: a key or a table that was there before."""
    try:
        tomllib.loads("\n".join(rows))
    except tomllib.TOMLDecodeError as e:
        return WHERE.sub("", str(e))
    return ""


def _header(made: dict[str, Any], array: bool, out: Located) -> Path:
    path: list[str | int] = []
    here: Any = made
    while isinstance(here, dict) and here:
        (name, here), *_ = here.items()
        path.append(name)
        known = [
            n
            for p in out.lines
            if len(p) > len(path) and list(p[: len(path)]) == path and isinstance(n := p[len(path)], int)
        ]
        if isinstance(here, list) and array:
            return (*path, max(known, default=-1) + 1)
        if known:  # a table below the last of an array of tables
            path.append(max(known))
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
