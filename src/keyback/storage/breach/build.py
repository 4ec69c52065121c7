"""Building a breach file of any size in little memory: spread entries over 1,024 spool files by their first bits, then
sort and write one after the other. Spool files take 8 bytes an entry on the disk of the result and go at the end.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final

from keyback.domain.passwords.breach_filter import MAX_ENTRIES, Shape, shape_for
from keyback.storage.breach.lookup import GROUP, HEADER_BYTES, Header, untold
from keyback.storage.breach.sources import BadSource, Told, files_of, prefixes

PARTS: Final = 1024
_PART_SHIFT: Final = 54
_HELD: Final = 1 << 21  # numbers held before they are spooled: 16 MiB
_UNEVEN: Final = "the entries are not spread as SHA-1 spreads them. Is this really a list of SHA-1?"


@dataclass(frozen=True, slots=True)
class Built:
    """What was made. `read` counts lines, `count` what is kept of them once doubles are gone."""

    read: int
    count: int
    size: int
    false_positives: float


class BreachBuilder:
    """Makes one breach file; use as a context manager, `add` sources, then `write`.

    Args:
        out: the file to make; it appears, or replaces an older one, only when it is complete.
        fp: the share of passwords that were never leaked and are taken for leaked all the same.
    """

    def __init__(self, out: Path, fp: float = 1e-4) -> None:
        shape_for(1, fp)  # refuses a share out of range before hours of work
        self._out, self._fp = out, fp
        self._spool = tempfile.TemporaryDirectory(prefix=".keyback-breach-", dir=out.parent)
        self._dir = Path(self._spool.name)
        self._parts = [array("Q") for _ in range(PARTS)]
        self._held = 0
        self.read = 0

    def __enter__(self) -> BreachBuilder:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self._spool.cleanup()

    def add(self, sources: list[Path], tell: Told = untold) -> None:
        """Reads directories of range files, and lists. `tell` gets KiB read and KiB in all.

        Raises:
            BadSource: something is no list of SHA-1.
        """
        files = [f for source in sources for f in files_of(source)]
        for numbers in prefixes(files, tell):
            self.take(numbers)

    def take(self, numbers: list[int]) -> None:
        """Takes entries by the first 64 bits of their SHA-1."""
        parts = self._parts
        for n in numbers:
            parts[n >> _PART_SHIFT].append(n)
        self.read += len(numbers)
        self._held += len(numbers)
        if self.read > MAX_ENTRIES:
            raise BadSource(f"more than {MAX_ENTRIES} entries")
        if self._held >= _HELD:
            self._flush()

    def _flush(self) -> None:
        for i, part in enumerate(self._parts):
            if part:
                with (self._dir / f"{i}").open("ab") as f:
                    part.tofile(f)
                self._parts[i] = array("Q")
        self._held = 0

    def write(self, built_at: int, tell: Told = untold) -> Built:
        """Sorts and writes. `tell` gets spool files done and in all.

        Args:
            built_at: ms, kept in the file.

        Raises:
            BadSource: there was nothing in the sources, or it is not spread like SHA-1.
        """
        if not self.read:
            raise BadSource("there is no entry in the sources")
        self._flush()
        shape = shape_for(self.read, self._fp)
        new = self._dir / "new"
        with new.open("w+b") as f, (self._dir / "starts").open("w+b") as spooled:
            f.write(bytes(HEADER_BYTES))
            body, starts = _Kept(f), _Starts(spooled, shape.buckets)
            last = -1
            for i in range(PARTS):
                places = self._sorted(i, shape)
                if places and places[0] == last:
                    del places[0]
                if places:
                    last = places[-1]
                    body.write(_packed(places, shape))
                    starts.add(places, 8 * shape.width)
                tell(i + 1, PARTS)
            groups = starts.end()
            spooled.seek(0)
            while chunk := spooled.read(1 << 20):
                body.write(chunk)
            body.write(groups)
            header = Header(shape, starts.count, self._fp, built_at, body.total.digest())
            f.seek(0)
            f.write(header.pack())
            f.flush()
            os.fsync(f.fileno())
        new.replace(self._out)
        return Built(self.read, header.count, header.size, shape.false_positives(header.count))

    def _sorted(self, part: int, shape: Shape) -> list[int]:
        path = self._dir / f"{part}"
        if not path.exists():
            return []
        numbers = array("Q")
        numbers.frombytes(path.read_bytes())
        path.unlink()
        buckets, shift = shape.buckets, 64 - 8 * shape.width  # `Shape.place`, a call less for each of a billion
        return sorted({(n * buckets) >> shift for n in numbers})


class _Kept:
    """Writes, and sums up what was written."""

    def __init__(self, f: IO[bytes]) -> None:
        self._f = f
        self.total = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._f.write(data)
        self.total.update(data)


class _Starts:
    """Where buckets begin: the low halves go to a spool file, groups stay here (a byte for every 400 entries)."""

    def __init__(self, f: IO[bytes], buckets: int) -> None:
        self._f = f
        self._buckets = buckets
        self._next = 0
        self._groups = array("I" if array("I").itemsize == 4 else "L")
        self.count = 0

    def add(self, places: list[int], bits: int) -> None:
        sizes = Counter([p >> bits for p in places])
        begin = self.count + sizes.get(self._next - 1, 0)  # a bucket may go on from the part before
        self._upto((places[-1] >> bits) + 1, begin, sizes)
        self.count += len(places)

    def end(self) -> bytes:
        self._upto(self._buckets + 1, self.count, Counter())
        return _little(self._groups)

    def _upto(self, stop: int, begin: int, sizes: Counter[int]) -> None:
        out, groups = array("H"), self._groups
        try:
            for bucket in range(self._next, stop):
                if not bucket % GROUP:
                    groups.append(begin)
                out.append(begin - groups[-1])
                begin += sizes.get(bucket, 0)
        except OverflowError:
            raise BadSource(_UNEVEN) from None
        self._next = max(self._next, stop)
        self._f.write(_little(out))


def _packed(places: list[int], shape: Shape) -> bytes:
    match shape.width:
        case 1:
            return bytes([p & 0xFF for p in places])
        case 2:
            return _little(array("H", [p & 0xFFFF for p in places]))
        case width:
            mask = (1 << (8 * width)) - 1
            return b"".join([(p & mask).to_bytes(width, "little") for p in places])


def _little(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()
