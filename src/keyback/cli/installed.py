"""The files of an installation against the lists of them that the packages brought (`RECORD`, PEP 376 and 427)."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

OWN = "keyback/__init__.py"


@dataclass(slots=True)
class Found:
    """What differs. Paths are as the lists have them."""

    packages: int = 0
    files: int = 0
    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.changed or self.missing or self.added)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list; `digest` is empty for what an installer writes itself."""

    path: str
    algorithm: str
    digest: str


class NoList(Exception):
    """Nothing can be compared here; the text says why."""


def own() -> Distribution | None:
    """Keyback as it was installed; None for sources that nobody installed."""
    try:
        return distribution("keyback")
    except PackageNotFoundError:
        return None


def place_of(d: Distribution) -> Path:
    """The folder that the paths of its list begin in."""
    return Path(str(d.locate_file("")))


def rows(text: str) -> Iterator[Row]:
    """The lines of a RECORD."""
    for line in csv.reader(text.splitlines()):
        if len(line) == 3:
            algorithm, _, digest = line[1].partition("=")
            yield Row(line[0], algorithm, digest)


def installed() -> tuple[Path, dict[str, list[Row]]]:
    """Where Keyback lies, and the lists of it and of every package beside it, by name.

    Raises:
        NoList: it runs from a checkout, or whoever installed it kept no list.
    """
    mine = own()
    listed = list(rows(mine.read_text("RECORD") or "")) if mine else []
    if mine is None or OWN not in {r.path for r in listed}:
        raise NoList(
            "Keyback runs from a checkout here, so there is no list of its files. git status tells what changed."
        )
    place = place_of(mine)
    found = {"keyback": listed}
    for d in distributions(path=[str(place)]):
        name = d.metadata["Name"] or ""
        if name and name.lower() != "keyback":
            found[name] = list(rows(d.read_text("RECORD") or ""))
    return place, found


def compare(place: Path, lists: Iterable[list[Row]]) -> Found:
    """Reads every file that a list names with its digest, below the folder that the paths begin in."""
    found = Found()
    known: set[str] = set()
    for listed in lists:
        found.packages += 1
        known.update(row.path for row in listed)
        for row in listed:
            if row.digest:
                _look(place, row, found)
    found.added = sorted(path for path in _on_disk(place) if path not in known)
    return found


def _look(place: Path, row: Row, found: Found) -> None:
    found.files += 1
    file = place / row.path
    try:
        with file.open("rb") as f:
            made = hashlib.file_digest(f, row.algorithm).digest()
    except FileNotFoundError:
        found.missing.append(row.path)
        return
    if base64.urlsafe_b64encode(made).rstrip(b"=").decode() != row.digest:
        found.changed.append(row.path)


def _on_disk(place: Path) -> Iterator[str]:
    """Every file of Keyback's folder. What Python compiled by itself belongs to the file beside it."""
    for path in (place / "keyback").rglob("*"):
        if "__pycache__" not in path.parts and not path.is_dir():
            yield path.relative_to(place).as_posix()
