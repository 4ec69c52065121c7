"""Whether the sources lie in a clone with the commits that are built: archives and shallow clones have none."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.house import ROOT


def needs(commit: str = "HEAD") -> None:
    """Skips the test where git doesn't have this commit."""
    looked = subprocess.run(["git", "-C", ROOT, "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True)
    if looked.returncode:
        pytest.skip(f"not on this platform: git doesn't have the commit {commit[:8]} here")
