"""Environments of their own for real servers whose packages do not go together with ours: made once for a lock."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

BUILDERS = ("setuptools", "wheel")
PIP = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "--no-deps")


def cache() -> Path:
    """Where they are kept: `KEYBACK_ENVIRONMENTS`, or the user's cache; never in the repository."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("KEYBACK_ENVIRONMENTS") or Path(home) / "keyback")


def environment(lock: Path) -> Path:
    """The folder of programs of an environment with what the lock names, hashes checked.

    Packages that come as source alone are built by the `setuptools` of the lock, and never by any other. An environment
    that was made before for the same lock is taken again; several at once wait for each other.

    Raises `subprocess.CalledProcessError` when pip fails.
    """
    text = lock.read_text(encoding="utf-8")
    digest = hashlib.sha256(f"{sys.version_info[:2]}{text}".encode()).hexdigest()[:12]
    folder = cache() / f"{lock.stem}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder / "made"
    with (folder.parent / f"{folder.name}.lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            builders = folder / "builders.txt"
            pinned = [b for b in text.replace("\\\n", " ").splitlines() if b.startswith(BUILDERS)]
            if pinned:
                builders.write_text("\n".join(pinned) + "\n", encoding="utf-8")
                _pip(folder, "--only-binary", ":all:", "-r", builders)
                _pip(folder, "--no-build-isolation", "-r", lock)
            else:
                _pip(folder, "--only-binary", ":all:", "-r", lock)
            made.touch()
    return folder / "bin"


def _pip(folder: Path, *arguments: str | Path) -> None:
    subprocess.run([folder / "bin" / "python", *PIP, *arguments], check=True, stdin=subprocess.DEVNULL)
