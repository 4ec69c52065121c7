"""The wheel and the sdist of a commit, and the wheels of everything that the lock names."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from keyback.testing.environments import cache
from release.source import Refused, Source, run

EXTRAS = ("evidence", "ldap", "otel", "pkcs11", "postgres", "sql", "valkey")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package on disk, and what it says of itself."""

    path: Path
    name: str
    version: str
    license: str
    requires: tuple[str, ...]

    @property
    def sha256(self) -> str:
        with self.path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"

    def needs(self, extras: tuple[str, ...] = ()) -> Iterator[str]:
        """Names of what it requires here."""
        for text in self.requires:
            r = Requirement(text)
            if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in ("", *extras)):
                yield canonicalize_name(r.name)


def build(source: Source, out: Path) -> tuple[Wheel, Path]:
    """The wheel and the sdist; the same commit gives the same bytes."""
    for target in ("wheel", "sdist"):
        command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", out]
        run(command, cwd=source.tree, env=source.environment(), stdout=sys.stderr, umask=0o022)
    return read(next(out.glob("*.whl"))), next(out.glob("*.tar.gz"))


def read(path: Path) -> Wheel:
    """A wheel's metadata."""
    with zipfile.ZipFile(path) as z:
        name = next(n for n in z.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n))
        told = HeaderParser().parsestr(z.read(name).decode("utf-8", "replace"))
    said = str(told.get("License-Expression") or told.get("License") or "").strip()
    license = said if len(said) <= 60 and "\n" not in said else ""
    requires = tuple(str(r) for r in told.get_all("Requires-Dist") or ())
    return Wheel(path, canonicalize_name(str(told["Name"])), str(told["Version"]), license, requires)


def locked(lock: Path, folder: Path | None) -> list[Wheel]:
    """The wheels of a lock for this machine and this Python, every hash checked.

    Args:
        lock: with hashes.
        folder: has the wheels; without one pip fetches them, once for a lock.
    """
    digest = hashlib.sha256(f"{sys.version_info[:2]}{lock.read_text('utf-8')}".encode()).hexdigest()[:12]
    kept = cache() / f"wheels-{digest}"
    if not kept.exists():
        fresh = kept.with_name(f"{kept.name}.{id(kept)}")
        shutil.rmtree(fresh, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--require-hashes"]
        command += ["--no-deps", "--only-binary", ":all:", "--dest", str(fresh), "--requirement", str(lock)]
        run(command + (["--no-index", "--find-links", str(folder)] if folder else []), stdout=sys.stderr)
        try:
            fresh.rename(kept)
        except OSError:  # somebody else was first
            shutil.rmtree(fresh)
    return [read(p) for p in sorted(kept.glob("*.whl"))]


def needed(own: Wheel, found: list[Wheel]) -> list[Wheel]:
    """Of the lock's wheels those that Keyback uses, with every extra; not what only builds it.

    Raises:
        Refused: one is not among them.
    """
    by_name = {w.name: w for w in found}
    wanted: dict[str, Wheel] = {}
    waiting = [(name, own.name) for name in own.needs(EXTRAS)]
    while waiting:
        name, by = waiting.pop()
        if name in wanted:
            continue
        if name not in by_name:
            raise Refused(f"{by} needs {name}, which requirements/run.txt does not name. Run scripts/lock.")
        wanted[name] = by_name[name]
        # Extras of packages, such as psycopg's binary, are in the lock without a word of whom they are for.
        waiting += [(n, name) for n in by_name[name].needs(_extras(name)) if n in by_name or not _extras(name)]
    return sorted(wanted.values(), key=lambda w: w.name)


def _extras(name: str) -> tuple[str, ...]:
    return {"psycopg": ("binary",), "limits": ()}.get(name, ())
