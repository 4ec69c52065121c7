"""Whether the sources lie in a clone with the commits that are built: archives and shallow clones have none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.house import ROOT

ABSENT = ("Not a valid object name", "not a git repository", "does not exist")


def needs(commit: str = "HEAD", root: Path = ROOT) -> None:
    """Skips the test where git doesn't have this commit. Where git can't say, as in somebody else's clone, it fails:
    CI lets skips of this kind through, and would pass over it for ever."""
    looked = git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    if not looked.returncode:
        return
    said = looked.stderr.strip()
    if said and not any(words in said for words in ABSENT):
        pytest.fail(f"git can't say whether it has {commit[:8]}: {said}")
    shallow = git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"
    why = ": the clone is shallow (git fetch --unshallow brings it)" if shallow else ""
    pytest.skip(f"not on this platform: git doesn't have the commit {commit[:8]} here{why}")


def git(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", root, *command], capture_output=True, text=True, check=False)
