"""Writes into a wheel and an sdist what they were built from: `keyback/build.json`, which `keyback version` shows.

The commit comes from `KEYBACK_COMMIT` or git, the date from `SOURCE_DATE_EPOCH` or the commit. The same commit gives
the same bytes. What is built from an sdist keeps the file that the sdist has.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INSIDE = {"wheel": "keyback/build.json", "sdist": "src/keyback/build.json"}


class BuildInfo(BuildHookInterface):
    """Hatchling makes one for each build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the file, but for an editable install: a checkout changes under it."""
        root = Path(self.root)
        if version == "editable" or (root / "src" / "keyback" / "build.json").exists():
            return
        folder = Path(tempfile.mkdtemp(prefix="keyback-build-"))
        file = folder / "build.json"
        file.write_text(json.dumps(found(root), indent=1) + "\n", encoding="utf-8")
        file.chmod(0o644)
        build_data["force_include"][str(file)] = INSIDE[self.target_name]
        self._made = file

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Takes the temporary file away."""
        made: Path | None = getattr(self, "_made", None)
        if made is not None:
            made.unlink()
            made.parent.rmdir()


def found(root: Path) -> dict[str, Any]:
    """What this is built from; None where nobody knows."""
    commit, epoch = os.environ.get("KEYBACK_COMMIT"), os.environ.get("SOURCE_DATE_EPOCH")
    changed = False
    if not commit and _git(root, "rev-parse", "--show-toplevel") == str(root.resolve()):
        commit = _git(root, "rev-parse", "HEAD")
        epoch = epoch or _git(root, "log", "-1", "--format=%ct")
        changed = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    date = datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if epoch else None
    return {"commit": commit or None, "date": date, "changed": changed}


def _git(root: Path, *command: str) -> str:
    try:
        done = subprocess.run(["git", "-C", root, *command], capture_output=True, text=True, check=False)
    except OSError:  # no git here
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
