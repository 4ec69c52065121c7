"""Every requirement by clause: its source, what this installation's choices make of it, and how many tests show it."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from keyback.application.audit_log import plain_cell
from keyback.application.policy.standards import Requirement

NAMES: Final = ("requirements.toml", "conformance.md")  # the wheel has them beside this file, a checkout in docs
COLUMNS: Final = ("id", "requirement", "source", "state", "because_of", "tests", "why_not")
_ROW: Final = re.compile(r"^\| ([A-Z]+-?[A-Za-z0-9.]+) \|")
_TEST: Final = re.compile(r"`test_\w+`")


def document(name: str) -> str:
    """The text of one of `NAMES`.

    Raises:
        FileNotFoundError: this Keyback came without it.
    """
    inside = files("keyback.cli.evidence").joinpath(name)
    if inside.is_file():
        return inside.read_text("utf-8")
    return (Path(__file__).resolve().parents[4] / "docs" / name).read_text("utf-8")


def table(requirements: Sequence[Requirement]) -> str:
    """As CSV. `state` is empty where no choice of this installation bears on a requirement: the program fulfills it.

    Args:
        requirements: what the policy and the rules for passwords make of those that they bear on.
    """
    here = {r.id: r for r in requirements}
    shown = _tests(document("conformance.md"))
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    write.writerow(COLUMNS)
    for name, row in _titles().items():
        mine = here.get(name)
        cells = (
            name,
            row["title"],
            row.get("source", ""),
            mine.state if mine else "",
            "; ".join(mine.by) if mine else "",
        )
        write.writerow([plain_cell(c) for c in (*cells, str(shown.get(name, 0)), row.get("absent", ""))])
    return out.getvalue()


def _titles() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(document("requirements.toml"))


def _tests(page: str) -> dict[str, int]:
    """How many tests the page of conformance names for each requirement."""
    counts: dict[str, int] = {}
    for line in page.splitlines():
        if found := _ROW.match(line):
            counts[found[1]] = len(set(_TEST.findall(line)))
    return counts
