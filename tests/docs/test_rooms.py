"""The rooms: the map is the tree on disk, no import runs in a circle, and what has to be read for a change is short."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.docs import tree
from tests.support.house import ROOT

LONGEST_READ = 4_000  # lines; an afternoon


def test_the_map_is_the_tree_on_disk() -> None:
    assert tree.block() == tree.draw(tree.remarks(tree.block())), "run: python -m tests.docs.tree"


def test_a_change_of_a_recovery_takes_no_more_than_an_afternoon_of_reading() -> None:
    section = re.search(r"^## What to read\n(.*?)^## ", tree.PAGE.read_text("utf-8"), re.M | re.S)
    assert section
    named = [ROOT / p for p in re.findall(r"`([\w./]+)`", section[1]) if (ROOT / p).exists()]
    assert {"domain/recovery", "application/recovery"} <= {"/".join(p.parts[-2:]) for p in named}
    assert any("proofs" in p.parts for p in named), "no shelf"
    files = {f for p in [tree.PAGE, *named] for f in (p.rglob("*.py") if p.is_dir() else [p])}
    assert sum(len(f.read_text("utf-8").splitlines()) for f in files) <= LONGEST_READ


def borrowed() -> dict[str, set[str]]:
    """What of `tests` each of its modules imports."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        names = found.setdefault(path.relative_to(ROOT).as_posix(), set())
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tests":
                names |= {f"{node.module}.{a.name}" for a in node.names} | {str(node.module)}
    return found


def test_what_tests_share_lies_beside_them() -> None:
    """In `tests/support`, or in a module of the folder that is no test; nobody runs a test by importing another."""
    shared = {(file, name) for file, names in borrowed().items() for name in names}
    assert not {x for x in shared if re.search(r"\.(test_\w+|conftest)(\.|$)", x[1])}


# ── circles ─────────────────────────────────────────────────────────────────

Graph = Mapping[str, set[str]]


def imports() -> Graph:
    """Modules of ours that each imports: anywhere in it, and for types alone too."""
    modules = {}
    for path in tree.SOURCE.rglob("*.py"):
        parts = path.relative_to(tree.SOURCE.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                graph[name] |= {a.name for a in node.names if a.name in modules}
            elif isinstance(node, ast.ImportFrom) and node.module in modules:
                each = {f"{node.module}.{a.name}" for a in node.names}
                graph[name] |= {x if x in modules else str(node.module) for x in each}
        graph[name].discard(name)
    return graph


def siblings(graph: Graph, package: str) -> Graph:
    """The same between what lies in one package: modules, and folders as wholes."""
    depth = package.count(".") + 2
    out: dict[str, set[str]] = {}
    for name, found in graph.items():
        if name.startswith(package + "."):
            own = ".".join(name.split(".")[:depth])
            others = {".".join(x.split(".")[:depth]) for x in found if x.startswith(package + ".")}
            out.setdefault(own, set()).update(others - {own})
    return out


def circle(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as e:
        return list(e.args[1])
    return []


GRAPH = imports()
PACKAGES = sorted({name.rpartition(".")[0] for name in GRAPH if "." in name})


def test_no_modules_import_each_other() -> None:
    assert circle(GRAPH) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folders_import_each_other(package: str) -> None:
    assert circle(siblings(GRAPH, package)) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    wide = {"k.a.x": {"k.b.y"}, "k.b.z": {"k.a.w"}, "k.b.y": set(), "k.a.w": set()}
    assert not circle(wide)
    assert circle(siblings(wide, "k"))
