"""The yard: sizes, locks, scripts, and what must not stand in any file."""

from __future__ import annotations

import ast
import os
import re
import stat
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import house
from tests.support.house import ROOT

LOCKS = [ROOT / "requirements" / name for name in ("run.txt", "dev.txt")]
SCRIPTS = ["demo", "test", "check", "bench"]
# In pieces, so that this file does not find itself.
REGISTRIES = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "mirror.com", "deb.debian" + ".org"]
REGISTRIES += ["crates" + ".io", "proxy." + "golang.org", "rubygems" + ".org", "maven" + ".org", "tuna." + "tsinghua"]
PLACES = ["wo" + "rk", "ro" + "ot", "Us" + "ers", "ho" + r"me/\w+"]
MACHINE_PATHS = re.compile(r"(?<![\w.~/-])/(?:" + "|".join(PLACES) + ")/")


def project() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as f:
        return tomllib.load(f)


def locked(path: Path) -> dict[str, list[str]]:
    """Names of a lock file and their versions; several where they differ by Python."""
    out: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", path.read_text("utf-8"), re.M):
        out.setdefault(canonicalize_name(name), []).append(version)
    return out


def test_no_file_names_a_registry() -> None:
    assert [(n, r) for n, text in house.texts() for r in REGISTRIES if r in text] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [(n, m[0]) for n, text in house.texts() for m in MACHINE_PATHS.finditer(text)] == []


def test_source_files_are_short() -> None:
    sizes = {p: len(p.read_text("utf-8").splitlines()) for p in (ROOT / "src").rglob("*.py")}
    assert {p.name: n for p, n in sizes.items() if n > 400} == {}


def test_every_import_is_a_declared_dependency() -> None:
    data = project()["project"]
    assert isinstance(data, dict)
    groups = [data["dependencies"], *data["optional-dependencies"].values()]
    declared = {canonicalize_name(Requirement(d).name).replace("-", "_") for g in groups for d in g}
    # Modules named otherwise, and what FastAPI is made of.
    declared |= {"argon2", "dns", "multipart", "opentelemetry", "PIL", "pkcs11", "pytds", "starlette", "keyback"}
    # Only in keyback.testing, whose users bring them: the suites' pytest, and a server that one module starts.
    declared |= {"pytest", "scim2_models", "scim2_server", *sys.stdlib_module_names}
    used: set[tuple[str, str]] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                used |= {(path.name, a.name.partition(".")[0]) for a in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                used.add((path.name, node.module.partition(".")[0]))
    wrong = {(f, m) for f, m in used if m not in declared}
    assert not wrong


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=lambda p: p.name)
def test_lock_is_hashed_and_has_no_address(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert [e.split()[0] for e in entries if "--hash=sha256:" not in e] == []


def test_locks_fit_the_declared_dependencies() -> None:
    data = project()
    own, groups = data["project"], data["dependency-groups"]
    assert isinstance(own, dict)
    assert isinstance(groups, dict)
    run = [*own["dependencies"], *own["optional-dependencies"]["postgres"], *own["optional-dependencies"]["valkey"]]
    run += groups["build"]
    for path, wanted in zip(LOCKS, (run, run + groups["dev"]), strict=True):
        have = locked(path)
        for text in wanted:
            need = Requirement(text)
            versions = have.get(canonicalize_name(need.name), [])
            assert any(need.specifier.contains(v) for v in versions), f"{path.name} lacks {text}: scripts/lock"


def test_both_locks_hold_the_same_versions() -> None:
    run, dev = map(locked, LOCKS)
    assert {n: v for n, v in run.items() if dev.get(n) != v} == {}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_short_and_sets_itself_up(name: str) -> None:
    path = ROOT / "scripts" / name
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 20
    assert text.startswith("#!/bin/sh\n")
    assert "\n. scripts/_setup\n" in text
    assert os.name != "posix" or path.stat().st_mode & stat.S_IXUSR


def test_ci_runs_the_checks_and_then_the_tests() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    at = lines.index("scripts/check")
    assert lines[at + 1] == "scripts/test", "the README's test command; the slow ones come after"
    assert any(line.startswith("export CI=true") for line in lines)
    assert "set -euo pipefail" in lines
