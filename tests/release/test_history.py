"""A build of an earlier commit is left out only where git says that it doesn't have it, and then says why."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.release.history import git, needs


def _commit(folder: Path, text: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")
    assert git(folder, *who, "commit", "-q", "--allow-empty", "-m", text).returncode == 0
    return git(folder, "rev-parse", "HEAD").stdout.strip()


def test_what_a_shallow_clone_lacks_is_left_out_with_the_reason(tmp_path: Path) -> None:
    whole, shallow = tmp_path / "whole", tmp_path / "shallow"
    subprocess.run(["git", "init", "-q", whole], check=True)
    first, second = _commit(whole, "one"), _commit(whole, "two")
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{whole}", shallow], check=True)
    for commit in (first, second, "HEAD"):
        needs(commit, whole)
    needs(second, shallow)
    with pytest.raises(pytest.skip.Exception, match=r"^not on this platform: .*the clone is shallow"):
        needs(first, shallow)
    with pytest.raises(pytest.skip.Exception, match=r"here$"):
        needs("1" * 40, whole)
    (tmp_path / "archive").mkdir()
    with pytest.raises(pytest.skip.Exception, match=r"here$"):
        needs("HEAD", tmp_path / "archive")


def test_git_that_cannot_say_is_no_reason_to_leave_it_out(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".git" / "config").write_text("[core\n")
    with pytest.raises(pytest.fail.Exception, match="git can't say"):
        needs("HEAD", tmp_path)
