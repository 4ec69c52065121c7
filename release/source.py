"""The sources of a commit, laid out alike wherever and whenever it is done."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Refused(Exception):
    """A release cannot be made; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """A commit on disk."""

    commit: str
    epoch: int
    tree: Path
    version: str
    released: bool  # the commit has the version's tag

    @property
    def debian_version(self) -> str:
        """What is built between releases sorts by the date of its commit, below the release that it leads to."""
        when = datetime.fromtimestamp(self.epoch, UTC).strftime("%Y%m%d%H%M%S")
        return self.version if self.released else f"{self.version}~git{when}.{self.commit[:8]}"

    def environment(self) -> dict[str, str]:
        """For programs that build: nothing of this machine in it that could show in what they write."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KEYBACK_", "PYTHON", "GIT_"))}
        mine = {"SOURCE_DATE_EPOCH": str(self.epoch), "KEYBACK_COMMIT": self.commit}
        return {**kept, **mine, "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


def git(*command: str) -> str:
    """What git says of this repository."""
    done = subprocess.run(["git", "-C", ROOT, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"git {command[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def refuse_dirty() -> None:
    """Only what is committed is released.

    Raises:
        Refused: something is not committed.
    """
    changed = git("status", "--porcelain").splitlines()
    if changed:
        names = ", ".join(line[3:] for line in changed[:5]) + (" …" if len(changed) > 5 else "")
        raise Refused(
            f"The tree has changes that aren't committed: {names}. Commit or remove them, then run this again."
        )


def lay_out(commit: str, folder: Path) -> Source:
    """Writes a commit's files into a new folder, with the commit's date and the same rights everywhere."""
    full = git("rev-parse", f"{commit}^{{commit}}")
    epoch = int(git("log", "-1", "--format=%ct", full))
    folder.mkdir(parents=True)
    with subprocess.Popen(["git", "-C", ROOT, "archive", "--format=tar", full], stdout=subprocess.PIPE) as packed:
        run(["tar", "-x", "--no-same-permissions", "-C", folder], stdin=packed.stdout)
    if packed.returncode:
        raise Refused(f"git archive {full} failed.")
    text = (folder / "src" / "keyback" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.M)
    if not found:
        raise Refused(f"{full} has no version.")
    tags = git("tag", "--points-at", full).splitlines()
    return Source(full, epoch, folder, found[1], f"v{found[1]}" in tags)


def run(command: Sequence[str | Path], **extra: object) -> None:
    """Runs a program that has to succeed.

    Raises:
        Refused: it did not.
    """
    done = subprocess.run(command, check=False, **extra)  # type: ignore[call-overload]
    if done.returncode:
        raise Refused(f"{Path(command[0]).name} {command[1]} failed with {done.returncode}; the lines above say why.")
