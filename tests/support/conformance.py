"""Which test shows which requirement: checks the IDs of `covers` marks and writes `docs/conformance.md` from them.

A pytest plugin, and the functions behind `tests/docs/test_conformance.py`. The page is made from the source text of the
tests, not from a run: what is written is what is there, whichever tests were picked.

`scripts/test --conformance-write tests/docs` writes the page anew.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "docs" / "requirements.toml"
PAGE = ROOT / "docs" / "conformance.md"


@dataclass(frozen=True, slots=True)
class Shown:
    """One test that names one ID. `path` is relative to the root, with forward slashes."""

    id: str
    path: str
    test: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """One ID with its title and source, as `docs/requirements.toml` has it.

    Args:
        group: the heading above it there.
        absent: why it does not arise, or which part it belongs to that is not there yet; empty for all others.
    """

    id: str
    title: str
    source: str
    group: str
    absent: str = ""


def requirements(path: Path = REQUIREMENTS) -> dict[str, Requirement]:
    """All requirements, in the order of the file. Raises `tomllib.TOMLDecodeError` when an ID stands there twice."""
    text = path.read_text("utf-8")
    rows = tomllib.loads(text)
    groups: dict[str, str] = {}
    group = ""
    for line in text.splitlines():
        if heading := re.match(r"# ── (.+?) ─+$", line):
            group = heading[1]
        elif row := re.match(r'"([^"]+)" = ', line):
            groups[row[1]] = group
    return {i: Requirement(i, row["title"], row["source"], groups[i], row.get("absent", "")) for i, row in rows.items()}


def order_of(id_: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which C2 comes before C12 and A-6.2.9 before A-6.2.10."""
    return tuple((0, int(p)) if p.isdigit() else (1, p) for p in re.split(r"(\d+)", id_) if p)


def scan(root: Path = ROOT) -> list[Shown]:
    """Every `covers` mark in the tests and in the contract suites that we ship.

    Marks on functions, on classes, in `pytestmark` and in `pytest.param(marks=…)` count. Raises `ValueError` when an ID
    is not written as plain text, since nobody could look it up then.
    """
    patterns = ("tests/**/*.py", "src/keyback/testing/**/*.py", "src/keyback/testing.py")
    out: set[Shown] = set()
    for file in sorted(f for p in patterns for f in root.glob(p)):
        path = file.relative_to(root).as_posix()
        tree = ast.parse(file.read_text("utf-8"), path)
        out.update(Shown(i, path, name) for i, name in _in_body(tree.body, path, "", ()))
    return sorted(out, key=lambda s: (order_of(s.id), s.path, s.test))


def page(shown: list[Shown], rows: dict[str, Requirement]) -> str:
    """The text of `docs/conformance.md`."""
    tests: dict[str, dict[str, list[str]]] = {}
    for s in shown:
        tests.setdefault(s.id, {}).setdefault(s.path, []).append(s.test)
    covered = [i for i in rows if i in tests]
    absent = [i for i in rows if rows[i].absent and i not in tests]
    lines = [
        "# Conformance",
        "",
        "Which test shows which requirement, attack or fault. Made from the `covers` marks of the tests by",
        "`scripts/test --conformance-write tests/docs`; a test fails while this page is stale. Titles are ours and",
        "short, no substitute for the source.",
        "",
        f"{len(covered)} of {len(rows)} are shown by a test; {len(absent)} do not arise yet, or not at all.",
    ]
    group = ""
    for i in covered:
        if rows[i].group != group:
            group = rows[i].group
            lines += ["", f"## {group}", "", "| ID | what | source | tests |", "|---|---|---|---|"]
        cell = "; ".join(f"[{p}](../{p}): " + ", ".join(f"`{t}`" for t in names) for p, names in tests[i].items())
        lines.append(f"| {i} | {_cell(rows[i].title)} | {_cell(rows[i].source)} | {cell} |")
    lines += ["", "## Not shown by a test", "", "Not built yet, shown by hand, or not ours to show.", ""]
    lines += _listed((rows[i].group, i) for i in rows if i not in tests and not rows[i].absent)
    lines += ["", "## Not arising", "", "What this version has no part for. Whoever adds one adds its tests.", ""]
    lines += _listed((rows[i].absent, i) for i in absent)
    return "\n".join(lines) + "\n"


def _listed(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each heading with its IDs; (heading, ID)."""
    by_heading: dict[str, list[str]] = {}
    for heading, id_ in pairs:
        by_heading.setdefault(heading, []).append(id_)
    return [f"- {heading.removesuffix('.')}: {', '.join(ids)}" for heading, ids in by_heading.items()]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _in_body(body: list[ast.stmt], path: str, prefix: str, around: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    here = around + tuple(i for node in body if _sets_pytestmark(node) for i in _ids(node, path))
    for node in body:
        if isinstance(node, ast.ClassDef):
            own = tuple(i for d in node.decorator_list for i in _ids(d, path))
            yield from _in_body(node.body, path, f"{prefix}{node.name}.", here + own)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = tuple(i for d in node.decorator_list for i in _ids(d, path))
            if node.name.startswith("test"):
                yield from ((i, prefix + node.name) for i in here + own)


def _sets_pytestmark(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in targets)


def _ids(node: ast.AST, path: str) -> Iterator[str]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "covers":
            for arg in call.args:
                if not (isinstance(arg, ast.Constant) and isinstance(arg.value, str)):
                    raise ValueError(f"{path}:{call.lineno}: write the IDs of covers() as plain strings")
                yield arg.value


# ── the plugin ──────────────────────────────────────────────────────────────


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--conformance-write", action="store_true", help="write docs/conformance.md from the covers marks")


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("--conformance-write"):
        PAGE.write_text(page(scan(), requirements()), "utf-8")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = requirements()
    wrong = {
        f"{item.nodeid}: covers({i!r}) is not in docs/requirements.toml"
        + (f"; INV-{i} is" if f"INV-{i}" in known else "")
        for item in items
        for mark in item.iter_markers("covers")
        for i in mark.args
        if i not in known
    }
    if wrong:
        raise pytest.UsageError("\n".join(sorted(wrong)))
