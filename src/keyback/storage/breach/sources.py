"""Reading what leaked: published range files or lists of SHA-1, plain or gzip.

A range file is named by the first five hex digits and has a line `SUFFIX:COUNT` for each entry; a list has a line of
forty hex digits, with or without `:COUNT`. Lines that count 0 are padding. No line is ever quoted: it may be a
password.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, cast

Told = Callable[[int, int], None]
_RANGE: Final = re.compile(r"([0-9A-Fa-f]{5})(?:\.txt)?(?:\.gz)?")
_HEX: Final = b"0123456789abcdefABCDEF:\r\n"
_CHUNK: Final = 1 << 20


class BadSource(ValueError):
    """Something that is no list of SHA-1; the text names the file and the way out."""


def files_of(source: Path) -> list[Path]:
    """The files of one source: a directory's range files in order, or the file itself.

    Raises:
        BadSource: it is not there, or a directory without range files.
    """
    if source.is_dir():
        found = sorted(p for p in source.iterdir() if p.is_file() and _RANGE.fullmatch(p.name))
        if not found:
            raise BadSource(f"{source}: no range files in it (named by five hex digits, such as 21BD1)")
        return found
    if not source.is_file():
        raise BadSource(f"{source}: no such file")
    return [source]


def prefixes(files: list[Path], tell: Told) -> Iterator[list[int]]:
    """The first 64 bits of every entry, some thousands at a time. `tell` gets KiB read and KiB in all.

    Raises:
        BadSource: a file is something else, or was cut off.
    """
    total = sum(p.stat().st_size for p in files)
    before = 0
    for path in files:
        named = _RANGE.fullmatch(path.name)
        with path.open("rb") as raw:
            try:
                zipped = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                f = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if zipped else raw)
                line = 0
                for lines in _lines(f):
                    yield _parse(lines, named[1] if named else "", path, line)
                    line += len(lines)
                    tell((before + raw.tell()) >> 10, total >> 10)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                raise BadSource(f"{path}: the gzip file is damaged or cut off. Fetch it again.") from None
        before += path.stat().st_size


def _lines(f: IO[bytes]) -> Iterator[list[bytes]]:
    rest = b""
    while chunk := f.read(_CHUNK):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield whole.split(b"\n")
        elif len(rest) > _CHUNK:
            break
    if rest:
        yield rest.split(b"\n")


def _parse(lines: list[bytes], prefix: str, path: Path, before: int) -> list[int]:
    if len(lines[0].partition(b":")[0].strip()) == 40:
        prefix = ""  # a list whose name only looks like a range
    high, digits = (int(prefix, 16) << 44, 35) if prefix else (0, 40)
    keep = 16 - len(prefix)
    out = []
    for n, line in enumerate(lines, before + 1):
        entry, _, count = line.rstrip(b"\r").partition(b":")
        if not entry and not count:
            continue
        if len(entry) != digits or entry.translate(None, _HEX) or (count and not count.isdigit()):
            kind = f"{digits} hex digits, with or without :COUNT"
            raise BadSource(f"{path}, line {n}: not {kind}. Is this really a list of SHA-1?")
        if count and not count.strip(b"0"):
            continue
        out.append(high | int(entry[:keep], 16))
    return out
